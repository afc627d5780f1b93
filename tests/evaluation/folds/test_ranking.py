from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from pixelwise.evaluation.folds import mistakes, ranking
from pixelwise.evaluation.folds.out_of_fold import Said, say
from pixelwise.evaluation.folds.ranking import own_file, rank
from pixelwise.records.environment import read_environment, write_environment
from pixelwise.storage import json_text

NAMES = {id: id for id in ("test/00", "test/01", "test/02")}


@pytest.fixture
def said(fold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Predictions that agree with the labels except for a block of one image, which is surely of class 2."""
    found = say(fold, tmp_path / "out", NAMES)
    data = Path(json.loads((fold / "environment.json").read_text("utf-8"))["arguments"]["data"])
    counts = np.zeros((3, 3), np.int64)
    for id in NAMES:
        labels = np.array(Image.open(data / "masks" / f"{id}.png"))
        predicted, own = np.where(labels == 255, 0, labels).astype(np.uint8), np.full(labels.shape, 200, np.uint8)
        if id == "test/01":
            predicted[4:20, 2:14], own[4:20, 2:14] = 2, 3
        for folder, values in (("masks", predicted), ("confidence", np.full_like(own, 220)), ("label", own)):
            Image.fromarray(values).save(tmp_path / "out" / folder / f"{id}.png")
        np.add.at(counts, (labels[labels != 255], predicted[labels != 255]), 1)
    sums = tuple(0.5 * float(row.sum()) for row in counts)
    return Said(
        **{**json.loads(json_text(found)), "confusion": tuple(map(tuple, counts.tolist())), "self_confidence": sums}
    )


def test_regions_are_ranked_and_written_with_crops(fold: Path, said: Said, tmp_path: Path):
    found = rank([fold], [said], tmp_path / "out", tmp_path / "mistakes", crops=1)
    assert found
    assert {one.image for one in found} == {"test/01"}
    first = found[0]
    assert (first.rank, first.predicted, first.fold) == (1, "ball", "fold-0")
    assert 2 <= first.x < 14
    assert 4 <= first.y < 20
    assert first.mask_file.endswith("test/01.png")
    crop = Image.open(tmp_path / "mistakes" / first.crop)
    assert crop.width > 2 * crop.height / 3
    assert [one.crop != "" for one in found] == [True] + [False] * (len(found) - 1)
    findings = [json.loads(line) for line in (tmp_path / "mistakes/findings.jsonl").read_text("utf-8").splitlines()]
    assert "--edit`" in findings[0]["fix"]
    assert [(one["code"], one["severity"], one["message"]) for one in findings] == [
        ("W320", "warning", one.message) for one in found
    ]
    queue = json.loads((tmp_path / "mistakes/queue.json").read_text("utf-8"))
    assert [one["image"] for one in queue["images"]] == ["images/test/01.png"]


def test_paths_of_the_queue_begin_in_the_folder_that_was_named(fold: Path, said: Said, tmp_path: Path):
    environment = read_environment(fold)
    assert environment.data_folder is not None
    shutil.copytree(environment.data_folder, tmp_path / "above" / "photos")
    named = msgspec.structs.replace(environment.arguments, data=str(tmp_path / "above"))
    write_environment(fold, msgspec.structs.replace(environment, arguments=named))
    rank([fold], [said], tmp_path / "out", tmp_path / "mistakes", crops=0)
    queue = json.loads((tmp_path / "mistakes/queue.json").read_text("utf-8"))
    assert [one["image"] for one in queue["images"]] == ["photos/images/test/01.png"]


def test_files_that_are_not_the_users_are_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert own_file(None) == ""
    assert own_file(tmp_path / "masks" / "a b [1].png") == str(tmp_path / "masks" / "a b [1].png")
    assert own_file(tmp_path / "cache" / "pixelwise" / "drawn" / "000000-a.png") == ""
    assert own_file(tmp_path / os.fsdecode(b"\xff.png")).endswith("\\xff.png")


def test_drawn_masks_lead_to_the_photo_and_the_tool(
    fold: Path, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranking, "is_cached", lambda path: "masks" in path.parts)
    found = rank([fold], [said], tmp_path / "out", tmp_path / "mistakes", crops=0)
    assert {one.mask_file for one in found} == {""}
    first = json.loads((tmp_path / "mistakes/findings.jsonl").read_text("utf-8").splitlines()[0])
    (file,) = first["files"]
    assert file.endswith("images/test/01.png")
    assert "with the tool that made the annotations" in first["fix"]


def test_without_regions_the_files_say_so(fold: Path, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mistakes, "LEAST_PIXELS", 10**6)
    assert rank([fold], [said], tmp_path / "out", tmp_path / "mistakes", crops=5) == []
    assert json.loads((tmp_path / "mistakes/mistakes.json").read_text("utf-8")) == []
