from __future__ import annotations

import csv
import json
from pathlib import Path

import msgspec

from pixelwise.records.folds.mistakes import LabelMistake, queue_of, write_mistakes

FIRST = LabelMistake(
    rank=1,
    image="train/=a",
    labelled="car",
    predicted="road",
    pixels=120,
    confidence=0.93456,
    of_label=0.01,
    score=4.5,
    x=3,
    y=4,
    width=10,
    height=12,
    fold="fold-1",
    image_file="/data/images/train/=a.png",
    mask_file="/data/masks/train/=a.png",
)
SECOND = msgspec.structs.replace(FIRST, rank=2, score=2.0, x=40)
OTHER = msgspec.structs.replace(FIRST, rank=3, image="b", score=1.0, image_file="/data/images/train/b.png")


def test_files_of_the_ranking(tmp_path: Path):
    write_mistakes(tmp_path / "m", [FIRST, SECOND, OTHER], b'{"code":"W320"}\n', Path("/data"))
    rows = list(csv.DictReader((tmp_path / "m" / "mistakes.csv").open(encoding="utf-8", newline="")))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert (rows[0]["confidence"], rows[0]["labelled"]) == ("0.9346", "car")
    stored = msgspec.json.decode((tmp_path / "m" / "mistakes.json").read_bytes(), type=list[LabelMistake])
    assert stored == [FIRST, SECOND, OTHER]
    assert (tmp_path / "m" / "findings.jsonl").read_bytes() == b'{"code":"W320"}\n'


def test_the_queue_has_each_image_once_at_the_place_of_its_likeliest_region(tmp_path: Path):
    write_mistakes(tmp_path, [FIRST, SECOND, OTHER], b"", Path("/data"))
    queue = json.loads((tmp_path / "queue.json").read_text("utf-8"))
    assert queue == {
        "images": [{"image": "images/train/=a.png", "score": 4.5}, {"image": "images/train/b.png", "score": 1.0}]
    }
    assert queue_of([FIRST], Path("/elsewhere")) == []


def test_the_sentence_names_place_and_classes():
    assert "120 connected pixels are labelled 'car'" in FIRST.message
    assert "'road' there with 93 % on average, at x 3..13, y 4..16" in FIRST.message
