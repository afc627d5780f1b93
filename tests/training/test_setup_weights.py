"""Runs that begin with weights from a file, or with another run, say and record what they begin with."""

import hashlib
from pathlib import Path

import pytest
import timm
import torch
from observers import Told

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.environment import read_environment
from pixelwise.records.run_folder import read_recipe
from pixelwise.training import setup
from pixelwise.training.runs import train

LITE = "tf_efficientnet_lite0"
SHORT = ("schedule.iterations=1", "schedule.warmup_iterations=0", "optimizer.lr=1e-9", "optimizer.weight_decay=0.0")
NETWORK = f"model={{family='unet',encoder='{LITE}',decoder_channels=[8]}}"


def begin(
    recipe: Path, data: Path, run: Path, *overrides: str, **options: object
) -> tuple[Path, list[tuple[str, str]]]:
    """A run of one step that changes no weight, and its warnings."""
    warned: list[tuple[str, str]] = []
    observer = Told(warn=lambda code, message: warned.append((code, message)), phase=lambda *_: None)
    entry = apply_overrides(find(str(recipe)), [NETWORK, *SHORT])
    train(entry, data, run, observer=observer, overrides=overrides, threads=1, **options)
    return run, warned


@pytest.mark.heavy
def test_a_run_records_the_file_and_follows_its_normalisation(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    torch.manual_seed(3)
    state = timm.create_model(LITE).state_dict()
    torch.save({"state_dict": {f"model.{key}": value for key, value in state.items()}}, tmp_path / "encoder.pth")
    digest = hashlib.sha256((tmp_path / "encoder.pth").read_bytes()).hexdigest()

    run, warned = begin(tiny_recipe, tiny_data, tmp_path / "run", weights=str(tmp_path / "encoder.pth"))

    assert [code for code, _ in warned if code.startswith("W48")] == ["W482"]
    recipe = read_recipe(run)
    assert (recipe.initialize.encoder, recipe.initialize.sha256) == (str(tmp_path / "encoder.pth"), digest)
    assert read_environment(run).initial_weights.sha256 == digest
    assert recipe.model.preprocessing.mean == (0.5, 0.5, 0.5)
    assert load_trained(run).model.preprocessing.std == (0.5, 0.5, 0.5)
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    stem = checkpoint.tensors("model")["encoder.network.conv_stem.weight"]
    assert torch.allclose(stem, state["conv_stem.weight"], rtol=0, atol=1e-6)

    # The same file under another name is the same experiment; another file is not.
    copy = tmp_path / "copy"
    copy.write_bytes((tmp_path / "encoder.pth").read_bytes())
    fresh = apply_overrides(recipe, [f"initialize.encoder={copy}", f"initialize.sha256={digest}"])
    assert fresh.hash() == recipe.hash()
    assert apply_overrides(fresh, [f"initialize.sha256={'0' * 64}"]).hash() != recipe.hash()
    torch.save(state, tmp_path / "encoder.pth")
    with pytest.raises(CheckpointError, match=digest[:12]) as caught:
        train(recipe, tiny_data, tmp_path / "again", threads=1)
    assert caught.value.code == "K486"


@pytest.mark.heavy
def test_a_normalisation_on_the_command_line_is_kept(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    torch.save(timm.create_model(LITE).state_dict(), tmp_path / "encoder.pth")
    own = "model.preprocessing={mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]}"

    run, warned = begin(tiny_recipe, tiny_data, tmp_path / "run", own, weights=str(tmp_path / "encoder.pth"))

    assert [code for code, _ in warned if code.startswith("W48")] == ["W483"]
    assert read_recipe(run).model.preprocessing.mean == (0.485, 0.456, 0.406)


@pytest.mark.heavy
def test_nothing_is_fetched_that_the_weights_of_a_run_overwrite(
    tiny_recipe: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    half = "model.preprocessing={mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25]}"
    first, _ = begin(tiny_recipe, tiny_data, tmp_path / "first", half)

    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("the encoder's weights are fetched although another run fills the network")

    monkeypatch.setattr(setup, "initialize", fetch)
    run, warned = begin(tiny_recipe, tiny_data, tmp_path / "run", weights="default", begin=first)

    environment = read_environment(run).initial_weights
    assert (environment.encoder, environment.sha256) == ("none", None)
    assert environment.run is not None
    # The normalisation is that of the run whose weights it has.
    assert read_recipe(run).model.preprocessing.std == (0.25, 0.25, 0.25)
    assert "W482" in [code for code, _ in warned]
