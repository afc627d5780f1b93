from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pixelwise.checkpoints.files.reading import read_weights
from pixelwise.errors import CheckpointError

STATE = {f"layer.{number}.weight": torch.randn(3) for number in range(5)}
PARTS = [f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]


def write(path: Path, state: dict[str, torch.Tensor] = STATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A folder with weights in three parts, their index and other files."""
    keys = list(STATE)
    shares = {PARTS[0]: keys[:2], PARTS[1]: keys[2:3], PARTS[2]: keys[3:]}
    for name, share in shares.items():
        write(tmp_path / name, {key: STATE[key] for key in share})
    index = {"metadata": {}, "weight_map": {key: name for name, share in shares.items() for key in share}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8", newline="")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8", newline="")
    return tmp_path


@pytest.mark.parametrize("given", [".", "model.safetensors.index.json", *PARTS])
@pytest.mark.parametrize("with_index", [True, False])
def test_parts_are_joined_whichever_is_given(parts: Path, given: str, with_index: bool) -> None:
    if not with_index:
        (parts / "model.safetensors.index.json").unlink()
        if given.endswith("json"):
            return

    read = read_weights(parts / given)

    assert set(read.content) == set(STATE)
    assert all(torch.equal(read.content[key], value) for key, value in STATE.items())
    assert [file.name for file in read.files] == PARTS
    assert "3 parts" in read.notes[0]


@pytest.mark.parametrize("given", [".", "model.safetensors.index.json", PARTS[0]])
@pytest.mark.parametrize("with_index", [True, False])
def test_a_missing_part_is_named(parts: Path, given: str, with_index: bool) -> None:
    (parts / PARTS[1]).unlink()
    if not with_index:
        (parts / "model.safetensors.index.json").unlink()
        if given.endswith("json"):
            return

    with pytest.raises(CheckpointError, match=rf"of the weights' 3 parts 1 are missing: {PARTS[1]}") as caught:
        read_weights(parts / given)
    assert caught.value.code == "K483"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["model.safetensors", "pytorch_model.bin", "config.json"], "model.safetensors"),
        (["pytorch_model.bin", "training_args.bin", "optimizer.bin", "rng_state.pth"], "pytorch_model.bin"),
        (["epoch=3-step=10.ckpt", "hparams.yaml", "optimizer.pt"], "epoch=3-step=10.ckpt"),
        (["best.pth", ".hidden.pth"], "best.pth"),
    ],
)
def test_the_one_weights_file_of_a_folder_is_read(tmp_path: Path, files: list[str], chosen: str) -> None:
    for name in files:
        write(tmp_path / name, STATE if name == chosen else {"other": torch.ones(1)})

    read = read_weights(tmp_path)

    assert [file.name for file in read.files] == [chosen]
    assert set(read.content) == set(STATE)
    assert read.folder == tmp_path


def test_several_weights_files_are_listed_and_not_chosen_from(tmp_path: Path) -> None:
    for name in ("epoch=1.ckpt", "epoch=2.ckpt", "last.ckpt"):
        write(tmp_path / name)

    with pytest.raises(CheckpointError, match=r"3 weights files: epoch=1\.ckpt, epoch=2\.ckpt, last\.ckpt") as caught:
        read_weights(tmp_path)
    assert caught.value.code == "K484"


def test_a_folder_without_weights_says_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("x", encoding="utf-8", newline="")
    with pytest.raises(CheckpointError, match=r"holds no weights file, but readme\.txt") as caught:
        read_weights(tmp_path)
    assert caught.value.code == "K485"

    write(tmp_path / "version_0" / "checkpoints" / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"in its folders: version_0.checkpoints.last\.ckpt"):
        read_weights(tmp_path)

    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="a TensorFlow model"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        "no JSON",
        '{"weight_map": {"a": "../a.bin"}}',
        '{"weight_map": {"a": ".."}}',
        '{"weight_map": {"a": 3}}',
        '{"weight_map":' * 100_000,
    ],
)
def test_an_index_that_leads_elsewhere_or_nowhere_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content, encoding="utf-8", newline="")

    with pytest.raises(CheckpointError, match="no `weight_map` from tensors to files beside it") as caught:
        read_weights(tmp_path / "model.safetensors.index.json")
    assert caught.value.code == "K405"


def test_a_tensor_in_two_parts_is_refused(parts: Path) -> None:
    write(parts / PARTS[1], {"layer.0.weight": torch.zeros(3)})

    with pytest.raises(CheckpointError, match=r"repeats tensors of another part: layer\.0\.weight"):
        read_weights(parts)


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file or folder") as caught:
        read_weights(tmp_path / "missing.pth")
    assert caught.value.code == "K405"
