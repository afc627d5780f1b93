"""Contract check for export targets."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from pixelwise.models import build_model
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions
from pixelwise.runtimes.packages import require
from pixelwise.runtimes.targets import Target, find_target
from pixelwise.testing.exporting import settled

SIZE: Size = (48, 64)
OTHER_SIZES: tuple[Size, ...] = ((64, 48), (65, 98))
LEAST_EQUAL = 0.999
"""Smallest share of pixels with the same class; with random weights a few pixels have nearly equal logits."""


def check_target(target: str | Target) -> None:
    """Check that an export target fulfils the contract of `Target`.

    A small network is exported twice: from uint8 images of one size to class ids at the image's size (from normalised
    images to logits if the format has no arrays of bytes), and from normalised images, of any size if the target
    supports that, to logits at the network's own stride. The files must
    have the names that follow from the target's `suffixes`, and their outputs must agree with PyTorch's; for an
    artefact of any size also with other image and batch sizes. Where this machine cannot run the format, the files
    alone are checked.

    Args:
        target: The target, or the name of a registered one.

    Raises:
        RecipeError: R240, a package that the target needs is not installed.
        AssertionError: The target breaks the contract; the message says where.
    """
    target = find_target(target) if isinstance(target, str) else target
    for package in target.packages:
        require(package, f"checking {target.name}", target.install)
    torch.manual_seed(0)
    model = settled(build_model(LinearSpec(encoder="resnet10t"), 5))
    forms = (
        GraphOptions(size=SIZE, uint8_input=target.byte_arrays, argmax=target.byte_arrays),
        GraphOptions(size=SIZE, output_stride=None, dynamic=target.any_size),
    )
    for form in forms:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            _check_form(target, ExportedNetwork(model, form).eval(), Path(folder))


def _check_form(target: Target, network: ExportedNetwork, folder: Path) -> None:
    options = network.options
    where = f"{target.name} ({'any size' if options.dynamic else 'one size'}{', class ids' if options.argmax else ''})"
    files = target.write(network, folder)
    network.captured = None
    promised, named = [f"model{suffix}" for suffix in target.suffixes], [file.name for file in files]
    left = sorted(file.name for file in folder.iterdir())
    if named != promised or left != sorted(promised):
        raise AssertionError(
            f"{where}: `write` returns {named} and the folder contains {left}; expected {promised}, as in `suffixes`"
        )
    if target.check is not None and (problem := target.check(files[0], tuple(named))):
        raise AssertionError(f"{where}: `check` refuses what `write` has written: {problem}")
    if files[0].is_dir() != target.folder:
        raise AssertionError(f"{where}: `folder` is {target.folder}, and {files[0].name} is not what it says")
    if target.refusal():
        return
    engine = target.open(files[0], 1)
    for size in (SIZE, *OTHER_SIZES) if options.dynamic else (SIZE,):
        for batch in (1, 3) if options.dynamic else (1,):
            inputs = _inputs(network, batch, size)
            with torch.no_grad():
                wanted = network(torch.from_numpy(inputs)).numpy()
            _compare(f"{where}, {batch} images of {size}", np.asarray(engine(inputs)), wanted)


def _inputs(network: ExportedNetwork, batch: int, size: Size) -> np.ndarray:
    random = np.random.default_rng(0)
    channels = len(network.model.preprocessing.mean)
    if network.options.uint8_input:
        return random.integers(0, 256, (batch, *size, channels), dtype=np.uint8)
    return random.standard_normal((batch, channels, *size), dtype=np.float32)


def _compare(where: str, found: np.ndarray, wanted: np.ndarray) -> None:
    if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
        raise AssertionError(f"{where}: it returns {found.dtype} {found.shape}, PyTorch {wanted.dtype} {wanted.shape}")
    if found.dtype == np.uint8:
        equal = float((found == wanted).mean())
        if equal < LEAST_EQUAL:
            raise AssertionError(
                f"{where}: {100 * equal:.2f} % of the pixels have the same class as in PyTorch, "
                f"expected at least {100 * LEAST_EQUAL:.2f} %"
            )
        return
    difference, extent = float(np.abs(found - wanted).max()), float(wanted.max() - wanted.min())
    if not difference < 1e-3 * extent:
        raise AssertionError(
            f"{where}: logits differ from PyTorch's by up to {difference:.2g} over a range of {extent:.2g}"
        )
