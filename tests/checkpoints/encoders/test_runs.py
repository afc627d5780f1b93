from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from pixelwise.checkpoints.encoders.paths import read_encoder_file
from pixelwise.checkpoints.encoders.runs import is_run_with_weights, run_weights
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError


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
