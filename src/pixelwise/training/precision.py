"""Number formats and memory layouts: what to say of them, and what compiling them needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import torch
from torch import Tensor

from pixelwise.errors import RecipeError
from pixelwise.machine.compilers import cpp_compiler
from pixelwise.machine.facts import computes_bfloat16
from pixelwise.models import SegmentationModel
from pixelwise.recipes.schema.recipe import Precision


def bfloat16_caution(precision: Precision, device: torch.device) -> str | None:
    """What a user who trains in bfloat16 on a CPU should know, a sentence; None where there is nothing."""
    if precision.dtype != "bfloat16" or device.type != "cpu" or computes_bfloat16():
        return None
    return (
        "training in bfloat16, for which this processor has no instructions: a step takes two to fifty times as long "
        "as in float32; set precision.dtype=float32"
    )


def refuse_impossible(precision: Precision, device: torch.device) -> None:
    """Refuse `precision.compile` on a CPU without a C++ compiler, and `precision.cuda_graphs` without a GPU.

    Raises:
        RecipeError: R216, R224.
    """
    if not precision.compile or device.type == "cuda":
        return
    if precision.cuda_graphs:
        raise RecipeError(
            "R224",
            f"precision.cuda_graphs is set, and training would happen on '{device}'; CUDA graphs need an NVIDIA GPU",
            "set precision.cuda_graphs=false, or train on a machine with a GPU",
        )
    wanted = cpp_compiler()
    if shutil.which(wanted) is None:
        raise RecipeError(
            "R216",
            f"precision.compile is set, and there is no C++ compiler: '{wanted}' was not found",
            f"install {wanted}, name another compiler in the environment variable CXX, or set precision.compile=false",
        )


def head_logits(model: SegmentationModel, precision: Precision) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """`model.head_logits`, compiled where `precision` says so."""
    if not precision.compile:
        return model.head_logits
    return torch.compile(model.head_logits, mode="reduce-overhead" if precision.cuda_graphs else "default")
