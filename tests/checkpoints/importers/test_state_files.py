from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from pixelwise.checkpoints.importers.state_files import load_state_file
from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.recipes.families.enet import ENetSpec


def test_safetensors_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({"a": torch.tensor([1.0, 2.0])}, path)

    assert load_state_file(path)["a"].tolist() == [1.0, 2.0]


def test_files_of_training_scripts_with_numpy_scores_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ENet"
    torch.save({"epoch": 160, "miou": np.float64(0.5312), "state_dict": {"a": torch.ones(2)}}, path)

    content = load_state_file(path)

    assert content["miou"] == 0.5312
    assert content["state_dict"]["a"].tolist() == [1.0, 1.0]


def test_files_written_with_an_older_numpy_and_an_older_torch_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ENet"
    torch.save({"miou": np.float64(0.5312)}, path, _use_new_zipfile_serialization=False)
    old = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.write_bytes(old)

    assert b"numpy.core.multiarray" in old
    assert load_state_file(path)["miou"] == 0.5312


class Payload:
    """Pickled, it asks the reader to create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("as_zip", [True, False])
def test_code_in_a_file_is_named_and_never_run(tmp_path: Path, as_zip: bool) -> None:
    path, trace = tmp_path / "weights.pt", tmp_path / "trace"
    torch.save({"state_dict": Payload(trace)}, path, _use_new_zipfile_serialization=as_zip)

    with pytest.raises(CheckpointError, match=r"weights\.pt: .* '\w+\.system'") as caught:
        load_state_file(path)

    assert caught.value.code == "K405"
    assert not trace.exists()


def test_a_whole_pickled_model_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(build_model(ENetSpec(), num_classes=2), path)

    with pytest.raises(CheckpointError, match=r"'pixelwise\.models\.enet\.ENet'") as caught:
        load_state_file(path)

    assert "state_dict()" in caught.value.help


def truncated(path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


DAMAGED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated": ("a.pt", truncated, "PytorchStreamReader"),
    "empty": ("a.pt", lambda path: path.write_bytes(b""), "torch.save"),
    "a text": ("a.pt", lambda path: path.write_text("not found"), "torch.save"),
    "a truncated safetensors file": ("a.safetensors", lambda path: path.write_bytes(b"\x10"), "safetensors file"),
    "a list": ("a.pt", lambda path: torch.save([torch.ones(1)], path), r"\blist\b.* dict\b"),
    "a folder": ("a.pt", lambda path: path.mkdir(), ""),
    "nothing": ("a.pt", lambda path: None, ""),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_files_that_hold_no_weights_are_refused_by_name(tmp_path: Path, case: str) -> None:
    name, write, message = DAMAGED[case]
    write(tmp_path / name)

    with pytest.raises(CheckpointError, match=f"{name}: .*{message}") as caught:
        load_state_file(tmp_path / name)

    assert caught.value.code == "K405"
