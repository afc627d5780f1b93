import json
from pathlib import Path

import pytest

from pixelwise.datasets.auditing.statistics import statistics
from pixelwise.datasets.findings import finding
from pixelwise.datasets.preparing.dividing import Division
from pixelwise.datasets.preparing.fetching import Prepared
from pixelwise.datasets.preparing.sharding import ShardedData
from pixelwise.datasets.preparing.verifying import Verification
from pixelwise.datasets.preparing.written import WrittenData
from pixelwise.datasets.publication import Publication
from pixelwise.reports.data import (
    print_division,
    print_prepared,
    print_public_data,
    print_sharded,
    print_statistics,
    print_verification,
    print_written_data,
)

CAMERA = Publication(name="camera", summary="ten images", terms="free", sources=(), expected={"*.png": 10})


def test_known_data_sets_are_listed_with_their_terms(capsys: pytest.CaptureFixture[str]):
    print_public_data({"camera": CAMERA})
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split() == ["camera", "ten", "images", "free"]


def test_what_is_there_is_counted_and_the_next_command_quoted(capsys: pytest.CaptureFixture[str]):
    print_prepared(Prepared(publication=CAMERA, root=Path("my data"), counts={"*.png": (12, 10)}, missing=()))
    out = capsys.readouterr().out
    assert "ok *.png: 12 of 10" in out
    assert "pixelwise check 'my data'" in out


def test_shares_of_a_division_are_of_all_pairs(capsys: pytest.CaptureFixture[str]):
    lists = {"train": Path("train.txt"), "val": Path("val.txt")}
    print_division(Division(lists=lists, pairs={"train": 3, "val": 1}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "train.txt: train 3 of 4"
    assert lines[1] == "val.txt: val 1 of 4"


def test_shards_are_counted_and_what_is_wrong_with_them_is_named(capsys: pytest.CaptureFixture[str]):
    faulty = {f"{number}.png": "D101" for number in range(7)}
    print_sharded(
        ShardedData(
            root=Path("my shards"), classes=("a", "b"), pairs={"train": 1200}, shards=3, bytes=2_600_000, faulty=faulty
        )
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].replace("\u202f", " ") == "my shards: 1 200 train, 2 classes, 3 shards, 3 MB"
    assert lines[1] == "  faulty: D101 0.png"
    assert lines[-2:] == ["  and 2 more", "next: pixelwise check 'my shards'"]


def test_a_verification_says_what_was_compared_and_what_is_wrong(capsys: pytest.CaptureFixture[str]):
    found = Verification(root=Path("shards"), images=2, files=4, bytes=3_000_000)
    print_verification(found)
    assert capsys.readouterr().out.splitlines() == [
        "shards: 2 images, 4 files, 3 MB compared", "every file is what the index says",
    ]  # fmt: skip
    names = [f"a.tar/{number}.png" for number in range(7)]
    problem = finding("D271", f"{names[0]}: is another", names)
    print_verification(Verification(root=Path("shards"), images=2, files=4, bytes=0, problems=(problem,)))
    assert capsys.readouterr().out.splitlines()[1] == f"D271 {', '.join(names[:5])} and 2 more: is another"


def test_five_files_that_were_left_out_are_named_and_the_rest_counted(capsys: pytest.CaptureFixture[str]):
    left_out = {f"{number}.png": "D101" for number in range(7)}
    print_written_data(WrittenData(root=Path("out"), classes=("a", "b"), pairs={"train": 3}, left_out=left_out))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "out: 3 train, 2 classes"
    assert lines[1] == "  left out: D101 0.png"
    assert (len(lines), lines[-1]) == (7, "  and 2 more")


def test_statistics_are_numbers_for_people_or_one_document(tiny_data: Path, capsys: pytest.CaptureFixture[str]):
    measured = statistics(tiny_data)
    print_statistics(measured, as_json=False)
    assert "64x48: 14 images" in capsys.readouterr().out
    print_statistics(measured, as_json=True)
    assert json.loads(capsys.readouterr().out)["sizes"] == [{"height": 48, "width": 64, "images": 14}]
