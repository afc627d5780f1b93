from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
import torch

from pixelwise.checkpoints.encoders.paths import read_encoder_file
from pixelwise.checkpoints.encoders.runs import derived_from, is_run_with_weights, run_weights
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError
from pixelwise.records.environment import Teacher, read_environment, write_environment


def test_the_result_of_a_run_is_a_source_of_weights(tiny_run: Path) -> None:
    trained = load_trained(tiny_run)

    read = run_weights(tiny_run)

    expected = trained.model.state_dict()
    assert set(read.content) == set(expected)
    assert all(torch.equal(read.content[key], value) for key, value in expected.items())
    assert read.sha256 == trained.weights_sha256
    assert read_encoder_file(tiny_run).sha256 == read.sha256


def test_a_run_without_a_checkpoint_says_how_to_continue(tiny_run: Path, tmp_path: Path) -> None:
    assert not is_run_with_weights(tmp_path)
    shutil.copy(tiny_run / "recipe.toml", tmp_path)
    assert is_run_with_weights(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint yet") as caught:
        run_weights(tmp_path)
    assert caught.value.code == "K421"


def test_what_a_run_was_derived_from_is_known_to_who_begins_with_its_encoder(tiny_run: Path, tmp_path: Path) -> None:
    taught = Path(shutil.copytree(tiny_run, tmp_path / "taught"))
    first = Teacher(recipe="resnet18", step=0, weights_sha256="ab" * 32, licence="MIT", only_encoder=True)
    write_environment(taught, msgspec.structs.replace(read_environment(taught), teachers=(first,)))
    assert derived_from(taught) == (first.alone,)
    assert derived_from(tiny_run) == derived_from(tmp_path) == derived_from(None) == ()
