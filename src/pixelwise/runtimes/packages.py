"""Optional packages that only some targets need, imported on use."""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType

from pixelwise.errors import RecipeError
from pixelwise.telemetry import switch_off_openvino

TRAIN = "pixelwise[train]"
"""Requirement for `pip install` that brings PyTorch."""
EXPORT = "pixelwise[export]"
"""Requirement for `pip install` that brings the packages for ONNX and OpenVINO."""

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""Environment variables without which LiteRT's converter, which is made of TensorFlow, comments on its work."""


def has_torch() -> bool:
    """Whether PyTorch is installed; does not import it."""
    try:
        return importlib.util.find_spec("torch") is not None
    except (ImportError, ValueError):  # something keeps it from being found
        return False


def require(package: str, purpose: str, install: str = EXPORT) -> ModuleType:
    """Import a module of an optional package, with its telemetry switched off.

    Args:
        package: Full name of the module.
        purpose: The action that needs it, for the error, such as `running an ONNX file`.
        install: Requirement for `pip install` that brings the package.

    Raises:
        RecipeError: R240, the package or one of its own dependencies is not installed.
    """
    root = package.partition(".")[0]
    if root in ("openvino", "nncf"):
        switch_off_openvino()
    if root == "litert_torch":
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        through = "" if missing in ("", root) else f", which needs {missing}"
        raise RecipeError(
            "R240",
            f"{purpose} needs the package {root}{through}, which is not installed",
            f"install it: pip install '{install}'",
        ) from error
