import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch


@pytest.fixture
def theirs(tmp_path):
    """A weights file that no importer accepts."""
    path = tmp_path / "weights.pt"
    torch.save({"nothing": torch.ones(1)}, path)
    return path


def test_help_lists_the_registered_sources(run_cli: Callable):
    code, stdout, _ = run_cli(["import-weights", "--help"], env={"COLUMNS": "200"})
    assert code == 0
    assert all(source in stdout for source in ("pytorch-enet", "mmsegmentation", "huggingface"))


def test_errors_name_flags(run_cli: Callable, theirs, tmp_path):
    arguments = ["import-weights", theirs, "--recipe", "enet-camvid", "--output", tmp_path / "out"]
    code, _, stderr = run_cli([*arguments, "--source", "pytorch-enet"])
    assert code == 4
    assert "error[K402]" in stderr
    assert "--source" in stderr
    code, _, stderr = run_cli([*arguments, "--source", "pytorch-ent"])
    assert (code, "'pytorch-enet'" in stderr) == (4, True)
    assert not (tmp_path / "out").exists()


def test_a_file_becomes_a_folder(run_cli: Callable, tmp_path):
    keys = json.loads((Path(__file__).parents[2] / "checkpoints" / "data" / "enet-seed.json").read_text())["keys"]
    torch.save({key: torch.rand(shape) if shape else torch.tensor(7) for key, shape in keys.items()}, tmp_path / "ENet")
    arguments = ["import-weights", tmp_path / "ENet", "--recipe", "enet-camvid", "--source", "pytorch-enet"]
    code, stdout, stderr = run_cli([*arguments, "--output", tmp_path / "out", "--licence", "Apache-2.0", "--json"])
    assert code == 0, stderr
    assert json.loads(stdout)["source"] == "pytorch-enet"
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["licence"] == "Apache-2.0"
    again = run_cli([*arguments, "--output", tmp_path / "out"])
    assert (again.code, "--output" in again.stderr) == (2, True)
