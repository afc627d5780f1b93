"""Faults that `check_target` finds in targets that keep the network in memory and do one thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.runtimes.graphs import ExportedNetwork
from pixelwise.runtimes.targets import Target
from pixelwise.testing import check_target


def in_memory(spoil: Callable[[np.ndarray], np.ndarray] = lambda outputs: outputs, extra: str = "") -> Target:
    """A target with an empty file: the network stays in memory."""
    kept: list[ExportedNetwork] = []

    def write(network: ExportedNetwork, folder: Path) -> list[Path]:
        kept.append(network)
        for name in filter(None, ("model.memory", extra)):
            (folder / name).touch()
        return [folder / "model.memory"]

    def open_engine(file: Path, threads: int | None) -> Callable[[np.ndarray], np.ndarray]:
        def run(images: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return spoil(kept[-1](torch.from_numpy(images)).numpy())

        return run

    return Target(
        name="memory", label="Memory", summary="", suffixes=(".memory",), write=write, open=open_engine, marker="x"
    )


def test_a_target_that_keeps_the_contract_passes() -> None:
    check_target(in_memory())


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (in_memory(extra="notes.txt"), "notes.txt"),
        (in_memory(lambda outputs: outputs[..., :-1]), "PyTorch uint8"),
        (in_memory(lambda outputs: outputs.astype(np.float64)), "float64"),
        (in_memory(lambda outputs: (outputs + 1) % 5 if outputs.dtype == np.uint8 else outputs), "0.00 %"),
        (in_memory(lambda outputs: outputs if outputs.dtype == np.uint8 else 1.1 * outputs), r"logits .*\b0?\.\d+"),
        (in_memory(lambda outputs: outputs if outputs.dtype == np.uint8 else outputs * np.nan), r"logits .*\bnan\b"),
    ],
)
def test_what_a_target_does_not_do_is_said(target: Target, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_target(target)


def test_a_target_of_one_size_is_not_asked_for_others() -> None:
    def only_one_size(outputs: np.ndarray) -> np.ndarray:
        assert len(outputs) == 1
        return outputs

    check_target(msgspec.structs.replace(in_memory(only_one_size), any_size=False))


def test_a_missing_package_is_named() -> None:
    missing: dict[str, Any] = {"packages": ("not_installed_anywhere",), "install": "acme"}
    with pytest.raises(RecipeError) as caught:
        check_target(msgspec.structs.replace(in_memory(), **missing))
    assert caught.value.code == "R240"
    assert "pip install 'acme'" in caught.value.help
