"""Number formats and memory layouts: what to say of them, and what compiling them needs."""

from __future__ import annotations

import os
import shutil
import sys

import torch

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema import Precision


def bfloat16_caution(precision: Precision, device: torch.device) -> str | None:
    """What a user who trains in bfloat16 on a CPU should know, a sentence; None where that is not so."""
    if precision.dtype != "bfloat16" or device.type != "cpu":
        return None
    caution = "training in bfloat16 on a CPU is not reproducible bit for bit, nor is resuming it"
    if not computes_bfloat16():
        caution += (
            "; this processor has no instructions for it, so a step takes many times as long as in float32: "
            "set precision.dtype=float32"
        )
    return caution


def computes_bfloat16() -> bool:
    """Whether this processor's convolutions in bfloat16 are faster than one number at a time."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def refuse_without_compiler(precision: Precision, device: torch.device) -> None:
    """Refuse `precision.compile` on a CPU where there is no C++ compiler.

    Raises:
        RecipeError: R216.
    """
    if not precision.compile or device.type != "cpu":
        return
    wanted = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(wanted) is None:
        raise RecipeError(
            "R216",
            f"precision.compile is set, and there is no C++ compiler: '{wanted}' was not found",
            f"install {wanted}, name another compiler in the environment variable CXX, or set precision.compile=false",
        )
