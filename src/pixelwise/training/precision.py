"""Checks of the training precision, and compilation of the network."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import torch
from torch import Tensor

from pixelwise.errors import RecipeError
from pixelwise.machine.compilers import cpp_compiler
from pixelwise.machine.facts import computes_bfloat16
from pixelwise.models import SegmentationModel
from pixelwise.ranks import ALONE, Ranks
from pixelwise.ranks.adding import AddedGradients
from pixelwise.recipes.schema.recipe import Precision


def bfloat16_caution(precision: Precision, device: torch.device) -> str | None:
    """Warning for training in bfloat16 on a CPU without bfloat16 instructions; None if it does not apply."""
    if precision.dtype != "bfloat16" or device.type != "cpu" or computes_bfloat16():
        return None
    return (
        "this processor has no instructions for bfloat16: a training step takes two to fifty times as long as in "
        "float32; set precision.dtype=float32"
    )


def refuse_impossible(precision: Precision, device: torch.device) -> None:
    """Refuse `precision.compile` on a CPU without a C++ compiler, and `precision.cuda_graphs` without a GPU.

    Raises:
        RecipeError: R216, the compiler is missing; R224, there is no GPU.
    """
    if not precision.compile or device.type == "cuda":
        return
    if precision.cuda_graphs:
        raise RecipeError(
            "R224",
            f"precision.cuda_graphs is set, but training would run on '{device}'; CUDA graphs need an NVIDIA GPU",
            "set precision.cuda_graphs=false, or train on a machine with a GPU",
        )
    wanted = cpp_compiler()
    if shutil.which(wanted) is None:
        raise RecipeError(
            "R216",
            f"precision.compile is set, but there is no C++ compiler: '{wanted}' was not found",
            f"install {wanted}, name another compiler in the environment variable CXX, or set precision.compile=false",
        )


def training_outputs(
    model: SegmentationModel, precision: Precision, ranks: Ranks = ALONE
) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """`model.training_outputs`, compiled if `precision.compile` is set; of several processes, gradients are added."""
    forward = model.training_outputs
    if precision.compile:
        forward = torch.compile(forward, mode="reduce-overhead" if precision.cuda_graphs else "default")
    return AddedGradients(model, forward, ranks) if ranks.world > 1 else forward
