from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pixelwise.checkpoints.checkpoint import FileRecord
from pixelwise.checkpoints.hub.layout import (
    PICKLES,
    Description,
    is_ours,
    no_run,
    read_description,
    refuse_differing,
)
from pixelwise.errors import CheckpointError

RECORD = FileRecord(sha256=hashlib.sha256(b"abc").hexdigest(), bytes=3)


def test_only_files_that_push_sends_are_ours():
    for name in (
        "README.md", "pixelwise.json", "recipe.toml", "environment.json", "data.json", "history.json",
        "provenance.json",
        "checkpoints/step-00000016/model.safetensors", "checkpoints/step-00000016/ema.safetensors",
        "checkpoints/step-00000016/manifest.json", "evaluations/val-native/result.json",
        "evaluations/val-native/per_class.csv", "samples/worst-1.jpg", "model.toml", "model.onnx",
        "model.xml", "model.bin", "model.tflite", "model.mlpackage/Manifest.json",
        "model.mlpackage/Data/com.apple.CoreML/model.mlmodel",
        "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin",
    ):  # fmt: skip
        assert is_ours(name), name
    for name in (
        ".gitattributes", "LICENSE", "notes.txt", "model.pt", "model.pt2", "checkpoints/step-1/ema.safetensors",
        "checkpoints/step-00000016/training.safetensors", "checkpoints/step-00000016/ema.safetensors/x", "log.jsonl",
        "evaluations/val-native/per_image.csv", "samples/a/b.jpg", "xrecipe.toml", "recipe.toml\n",
        "model.mlpackage", "model.mlpackage/Data/com.apple.CoreML/weights/other.bin", "model.mlpackage/run.py",
    ):  # fmt: skip
        assert not is_ours(name), name


@pytest.mark.parametrize("ending", sorted(set(PICKLES) - {".bin"}))
def test_no_file_of_a_run_or_an_artefact_may_be_a_pickle(ending: str):
    assert not is_ours(f"model{ending}")
    assert not is_ours(f"checkpoints/step-00000016/model{ending}")


def test_sizes_and_hashes_are_compared(tmp_path: Path):
    described = Description(kind="run", files={"recipe.toml": RECORD})
    file = tmp_path / "recipe.toml"
    for content, says in ((None, "is missing"), (b"ab", "has 2 bytes, .* says 3"), (b"abd", "has SHA-256")):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(CheckpointError, match=says) as caught:
            refuse_differing(tmp_path, described, "hub://me/a")
        assert caught.value.code == "K496"
    file.write_bytes(b"abc")
    refuse_differing(tmp_path, described, "hub://me/a")


def test_a_description_is_read_back(tmp_path: Path):
    file = tmp_path / "pixelwise.json"
    plain = {"kind": "run", "files": {"recipe.toml": {"sha256": RECORD.sha256, "bytes": 3}}, "later": 1}
    file.write_text(json.dumps(plain))
    assert read_description(file, "hub://me/a") == Description(kind="run", files={"recipe.toml": RECORD})
    # What one kind may hold, the other may not.
    for kind, name in (("artefact", "recipe.toml"), ("run", "model.onnx")):
        file.write_text(json.dumps(plain | {"kind": kind, "files": {name: plain["files"]["recipe.toml"]}}))  # type: ignore[index]
        with pytest.raises(CheckpointError, match="no file of a published run"):
            read_description(file, "hub://me/a")


def test_too_many_files_are_refused(tmp_path: Path):
    file = tmp_path / "pixelwise.json"
    names = [f"evaluations/a{number}/result.json" for number in range(2001)]
    file.write_text(json.dumps({"kind": "run", "files": {name: {"sha256": "x", "bytes": 1} for name in names}}))
    with pytest.raises(CheckpointError, match="lists 2001 files, more than 2000"):
        read_description(file, "hub://me/a")


def test_what_a_repository_holds_instead_is_said():
    assert "it holds no files" in no_run("hub://me/a", []).message
    assert "weights are pickles (a.ckpt, b.PT)" in no_run("hub://me/a", ["a.ckpt", "b.PT", "c.safetensors"]).message
