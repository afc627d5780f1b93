import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.storage.arrays import write_arrays


def test_known_sets_are_listed(run_cli: Callable):
    code, stdout, _ = run_cli(["data", "prepare"])
    assert code == 0
    for name in ("camvid", "voc-aug", "ade20k", "coco", "cityscapes"):
        assert name in stdout


def test_prepare_says_what_is_missing(run_cli: Callable, tmp_path: Path):
    code, _, stderr = run_cli(["data", "prepare", "cityscapes", "--root", tmp_path])
    assert code == 3
    assert "error[D253]" in stderr
    assert "www.cityscapes-dataset.com" in stderr


def test_an_undivided_set_is_split_and_opens_by_its_lists(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    for kind in ("images", "masks"):
        shutil.copytree(tiny_data / kind / "train", tmp_path / "data" / kind)
    shutil.copy(tiny_data / "dataset.toml", tmp_path / "data")
    code, stdout, _ = run_cli(["data", "split", tmp_path / "data", "--val", "0.25", "--test", "0.2"])
    assert code == 0
    assert "val.txt: val 2 of 8" in stdout
    lines = {name: (tmp_path / "data" / f"{name}.txt").read_text().splitlines() for name in ("train", "val", "test")}
    assert sum(map(len, lines.values())) == 8
    assert run_cli(["data", "split", tmp_path / "data"]).code == 3
    assert run_cli(["data", "split", tmp_path / "data", "--force"]).code == 0


def test_convert_writes_a_folder_that_checks(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    code, stdout, _ = run_cli(["data", "convert", tiny_data, tmp_path / "out", "--size", "32x24"])
    assert code == 0
    assert "8 train, 3 val, 3 test, 3 classes" in stdout
    assert "32x24 (WxH), all" in run_cli(["check", tmp_path / "out"]).stdout


@pytest.mark.parametrize("arguments", [["--to", "coco"], ["--size", "24"]])
def test_convert_refuses_what_it_cannot_do(run_cli: Callable, tiny_data: Path, tmp_path: Path, arguments: list[str]):
    found = run_cli(["data", "convert", tiny_data, tmp_path / "out", *arguments])
    assert found.code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.heavy
def test_stats_counts(run_cli: Callable, tiny_data: Path):
    assert "64x48: 14 images" in run_cli(["data", "stats", tiny_data]).stdout
    found = json.loads(run_cli(["data", "stats", tiny_data, "--json"]).stdout)
    assert found["sizes"] == [{"height": 48, "width": 64, "images": 14}]
    assert sum(found["splits"]["train"]["pixels"]) == 8 * 46 * 64
    assert len(found["suggestions"]["mean"]) == 3


def test_the_cache_is_shown_and_cleared(run_cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "pixelwise"
    assert run_cli(["data", "cache"]).stdout.endswith(f"{folder}: 0 entries, 0.0 MB\n")
    pixels = np.zeros((200, 250, 3), np.uint8)
    about = {"dataset": "folder", "split": "train", "pairs": 2}
    write_arrays(folder / "decoded" / "abc" / "pairs", [(pixels,)] * 2, about)
    (folder / "audit-0123456789abcdef01234567.msgpack").write_bytes(b"12345")
    shown = run_cli(["data", "cache"]).stdout
    assert re.search(r"^decoded +1 +0\.3 MB +decoded training images", shown, re.MULTILINE)
    assert re.search(r"^audit +1 +0\.0 MB +", shown, re.MULTILINE)
    assert "  decoded/abc: 0.3 MB, folder train, 2 pairs\n" in run_cli(["data", "cache", "--kind", "decoded"]).stdout
    found = json.loads(run_cli(["data", "cache", "--json", "--clear", "--kind", "audit"]).stdout)
    assert [(kind["kind"], kind["bytes"]) for kind in found["kinds"]] == [("audit", 5)]
    assert found["cleared"] == {"entries": 1, "bytes": 5, "left": {}}
    assert "removed 1 entry, 0.3 MB\n" in run_cli(["data", "cache", "--clear"]).stdout
    assert list((folder / "decoded").iterdir()) == []
    refused = run_cli(["data", "cache", "--kind", "nonsense"])
    assert (refused.code, "error[R203]" in refused.stderr) == (2, True)
