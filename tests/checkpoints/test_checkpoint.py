import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pixelwise.checkpoints.checkpoint import (
    best_checkpoint,
    list_checkpoints,
    newest_checkpoint,
    open_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
)
from pixelwise.errors import CheckpointError
from pixelwise.storage.atomic import remove_leftovers


def save(folder: Path, step: int, miou: float | None = None, value: float = 0.0):
    return save_checkpoint(
        folder,
        step=step,
        tensors={"model": {"weight": torch.full((3,), value)}},
        state={"progress": step},
        miou=miou,
        metadata={"b": 1, "a": "x"},
    )


def test_what_is_saved_is_read_back(tmp_path: Path):
    save(tmp_path, 7, miou=0.5, value=2.0)
    checkpoint = open_checkpoint(tmp_path / "step-00000007")
    assert checkpoint.step == 7
    assert checkpoint.tensors("model")["weight"].tolist() == [2.0, 2.0, 2.0]
    assert checkpoint.state() == {"progress": 7}
    assert checkpoint.manifest.miou == 0.5
    assert not checkpoint.has("ema")


def test_equal_tensors_give_equal_files(tmp_path: Path):
    assert save(tmp_path / "a", 1).sha256("model") == save(tmp_path / "b", 1).sha256("model")


def test_a_file_the_checkpoint_lacks_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"step-00000001 .*ema\.safetensors.* model\.safetensors") as caught:
        save(tmp_path, 1).tensors("ema")
    assert caught.value.code == "K411"


def test_the_newest_and_the_best_are_found_by_their_manifests(tmp_path: Path):
    for step, miou in [(1, 0.3), (2, 0.6), (3, 0.6), (4, None)]:
        save(tmp_path, step, miou)
    newest, best = newest_checkpoint(tmp_path), best_checkpoint(tmp_path)
    assert newest is not None
    assert best is not None
    assert (newest.step, best.step) == (4, 2)


def test_old_ones_go_but_the_newest_two_and_the_best_stay(tmp_path: Path):
    for step, miou in [(1, 0.3), (2, 0.6), (3, 0.5), (4, None), (5, None)]:
        save(tmp_path, step, miou)
    remove_old_checkpoints(tmp_path, keep=2)
    assert [manifest.step for _, manifest in list_checkpoints(tmp_path)] == [2, 4, 5]
    assert sorted(os.listdir(tmp_path)) == ["step-00000002", "step-00000004", "step-00000005"]


def test_the_same_step_is_replaced_by_the_one_with_a_score(tmp_path: Path):
    save(tmp_path, 1)
    save(tmp_path, 1, miou=0.4)
    assert [(m.step, m.miou) for _, m in list_checkpoints(tmp_path)] == [(1, 0.4)]
    assert os.listdir(tmp_path) == ["step-00000001"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / "model.safetensors").unlink(), r"model\.safetensors"),
        (lambda path: (path / "model.safetensors").write_bytes(b""), r"model\.safetensors .*\b0 bytes"),
        (lambda path: (path / "manifest.json").unlink(), r"manifest\.json"),
        (lambda path: (path / "manifest.json").write_text("{"), r"manifest\.json"),
    ],
)
def test_C4_damage_is_found_and_the_one_before_is_used(tmp_path: Path, damage, words: str):
    save(tmp_path, 1)
    damage(save(tmp_path, 2).path)
    with pytest.raises(CheckpointError, match=words) as caught:
        open_checkpoint(tmp_path / "step-00000002")
    assert caught.value.code == "K410"
    said: list[str] = []
    newest = newest_checkpoint(tmp_path, lambda code, message: said.append(f"{code} {message}"))
    assert newest is not None
    assert newest.step == 1
    assert said[0].startswith("W401 ")
    assert "step 1 " in said[0]


def test_C4_one_flipped_bit_is_found(tmp_path: Path):
    path = save(tmp_path, 1).path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors .*SHA-256 \w{12}\.\.\..* \w{12}\.\.\.\n"):
        open_checkpoint(path.parent)
    with pytest.raises(CheckpointError, match="step-00000001") as caught:
        newest_checkpoint(tmp_path)
    assert caught.value.code == "K412"


def test_a_manifest_cannot_point_outside_its_folder(tmp_path: Path):
    path = save(tmp_path, 1).path
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"]["../secret"] = {"sha256": "0" * 64, "bytes": 1}
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"'\.\./secret'") as caught:
        open_checkpoint(path)
    assert caught.value.code == "K410"


def test_no_checkpoint_is_none(tmp_path: Path):
    assert newest_checkpoint(tmp_path / "nothing") is None
    assert best_checkpoint(tmp_path) is None


@pytest.mark.heavy
def test_C3_killed_at_any_moment_of_saving_the_newest_is_valid(tmp_path: Path):
    script = """
import itertools, sys, torch
from pathlib import Path
from pixelwise.checkpoints.checkpoint import save_checkpoint, remove_old_checkpoints
tensors = {"model": {"weight": torch.zeros(200_000)}}
for step in itertools.count(1):
    save_checkpoint(Path(sys.argv[1]), step=step, tensors=tensors, state={}, miou=None, metadata={})
    remove_old_checkpoints(Path(sys.argv[1]), 2)
    print(step, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    last = 0
    for last, _ in enumerate(process.stdout, start=1):
        if last == 20:
            break
    # From here on it is somewhere in the middle of saving the next one.
    process.send_signal(signal.SIGKILL)
    process.communicate()
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert newest.step >= last
    remove_leftovers(tmp_path)
    assert all(name.startswith("step-") for name in os.listdir(tmp_path))
