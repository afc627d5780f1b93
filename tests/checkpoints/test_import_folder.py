from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import pixelwise
from pixelwise.checkpoints.import_folder import import_weights_file
from pixelwise.storage import sha256_file

KEYS = json.loads((Path(__file__).parent / "data" / "enet-seed.json").read_text())["keys"]


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A file as the training script of PyTorch-ENet writes it, random weights, 12 outputs."""
    torch.manual_seed(3)
    state = {key: torch.rand(shape) if shape else torch.tensor(7) for key, shape in KEYS.items()}
    path = tmp_path / "ENet"
    torch.save({"epoch": 160, "miou": 0.53, "state_dict": state, "optimizer": {}}, path)
    return path


@pytest.mark.heavy
def test_an_imported_file_is_used_like_a_run(theirs: Path, tmp_path: Path, tiny_data: Path) -> None:
    folder = tmp_path / "enet"

    report = import_weights_file(theirs, "enet-camvid", folder, source="pytorch-enet")

    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["sha256"] == sha256_file(theirs)
    assert (provenance["file"], provenance["source"], provenance["licence"]) == ("ENet", "pytorch-enet", "MIT")
    assert report.dropped == ("transposed_conv.weight[:, 11]",)
    assert provenance["report"]["dropped"] == ["transposed_conv.weight[:, 11]"]
    image = tiny_data / "images" / "val" / "00.png"
    model = pixelwise.build_model("enet-camvid")
    pixelwise.import_weights(model, torch.load(theirs, weights_only=True), source="pytorch-enet")
    expected = pixelwise.Segmenter(model, input_size=(360, 480)).predict(image).labels
    assert (pixelwise.load(folder).predict(image).labels == expected).all()


def test_a_folder_that_is_taken_is_left_alone(theirs: Path, tmp_path: Path) -> None:
    import_weights_file(theirs, "enet-camvid", tmp_path / "enet", source="pytorch-enet")
    before = sha256_file(tmp_path / "enet" / "recipe.toml")

    with pytest.raises(pixelwise.PixelwiseError, match=r"\benet\b") as caught:
        import_weights_file(theirs, "enet-camvid", tmp_path / "enet", source="pytorch-enet")

    assert getattr(caught.value, "code", "") == "R213"
    assert sha256_file(tmp_path / "enet" / "recipe.toml") == before


def test_weights_that_do_not_fit_leave_no_folder(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(pixelwise.PixelwiseError, match=r"transposed_conv\.weight") as caught:
        import_weights_file(theirs, "enet-cityscapes", tmp_path / "enet", source="pytorch-enet")
    assert getattr(caught.value, "code", "") == "K403"
    assert not (tmp_path / "enet").exists()


def test_the_verb_prints_what_became_of_every_tensor(theirs: Path, tmp_path: Path, run_cli: Callable) -> None:
    arguments = ["import-weights", theirs, "--recipe", "enet-camvid", "--source", "pytorch-enet"]

    code, stdout, _ = run_cli([*arguments, "--output", tmp_path / "enet", "--licence", "CC0-1.0"])

    assert code == 0
    assert re.search(r"mapped, 1 dropped, 0 missing, 0 mismatched", stdout)
    assert "'unlabelled'" in stdout
    assert json.loads((tmp_path / "enet" / "provenance.json").read_text())["licence"] == "CC0-1.0"
    code, _, stderr = run_cli([*arguments[:-1], "pytorch_enet", "--output", tmp_path / "other"])
    assert code == 4
    assert "K401" in stderr
    assert "'pytorch-enet'" in stderr
