from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

import pixelwise
from pixelwise.checkpoints.encoders.paths import identified, read_encoder_file, weights_path
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError
from pixelwise.recipes.schema.recipe import Initialize


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with files of several names."""
    monkeypatch.chdir(tmp_path)
    for name in ("encoder", "resnet18", "encoder.pth", "sub/encoder", "nvidia/mit-b0"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        torch.save({"a": torch.ones(2)}, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "is_path"),
    [
        ("none", False), ("default", False), ("resnet18", False), ("resnet18.a1_in1k", False), ("unknown_name", False),
        ("nvidia/mit-b1", False),
        ("encoder", True), ("encoder.pth", True), ("./encoder", True), ("sub/encoder", True), ("./resnet18", True),
        ("nvidia/mit-b0", True), ("missing.safetensors", True), ("missing/encoder.ckpt", True), ("../missing", True),
        ("/missing", True), ("~/missing", True), ("a/b/c", True),
    ],
)  # fmt: skip
def test_a_path_is_what_exists_or_looks_like_one(here: Path, name: str, is_path: bool) -> None:
    assert (weights_path(name) is not None) == is_path


@pytest.mark.parametrize("name", ["missing.pth", "./missing", "~/missing"])
def test_a_missing_file_is_named_as_a_file(here: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"names the file .*missing.*, but there is no such file") as caught:
        identified(Initialize(encoder=name))
    assert caught.value.code == "K405"


def test_a_file_is_identified_by_its_content(here: Path) -> None:
    digest = hashlib.sha256((here / "encoder.pth").read_bytes()).hexdigest()

    found = identified(Initialize(encoder="encoder.pth"))

    assert (found.encoder, found.sha256) == (str(here / "encoder.pth"), digest)
    assert identified(found) == found
    assert identified(Initialize(encoder="resnet18")) == Initialize(encoder="resnet18")
    torch.save({"a": torch.zeros(2)}, here / "encoder.pth")
    with pytest.raises(CheckpointError, match=rf"initialize\.sha256 is {digest[:12]}") as caught:
        identified(found)
    assert caught.value.code == "K486"


def test_a_file_is_read_with_what_it_holds(here: Path) -> None:
    assert read_encoder_file(here / "encoder").content["a"].tolist() == [1.0, 1.0]


def test_the_encoder_of_a_run_on_the_hub_keeps_its_address(hub, tiny_run: Path) -> None:
    pixelwise.push(tiny_run, "me/tiny", licence="mit")
    address = f"hub://me/tiny@{hub.repositories['me/tiny'].head}"
    path = weights_path(address)
    assert path is not None
    assert path.name == hub.repositories["me/tiny"].head
    kept = identified(Initialize(encoder=address))
    assert kept.encoder == address
    assert kept.sha256 == read_encoder_file(path).sha256 == load_trained(tiny_run).weights_sha256
