"""The system's C++ compiler."""

from __future__ import annotations

import os
import sys

_COMPILERS = {"darwin": "clang++", "win32": "cl"}


def cpp_compiler() -> str:
    """The C++ compiler that `torch.compile` runs: the one named by CXX, otherwise the system's default."""
    return os.environ.get("CXX") or _COMPILERS.get(sys.platform, "g++")
