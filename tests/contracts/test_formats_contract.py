"""The contract of every registered data format, see `pixelwise.testing.check_format`."""

from pathlib import Path

import pytest

from pixelwise.datasets.format import FORMATS
from pixelwise.datasets.recognition import recognised
from pixelwise.testing import check_format
from pixelwise.testing.miniatures import write_miniature

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("name", FORMATS.own())
def test_a_format_keeps_its_contract(name: str, tmp_path: Path):
    check_format(name, tmp_path)


def test_every_format_is_explained_where_the_error_says_so():
    section = (ROOT / "docs" / "errors.md").read_text("utf-8").partition("### D222")[2].partition("\n### ")[0]
    named = {line.split()[0] for line in section.splitlines() if line.startswith("    ") and line[4] != " "}
    assert named == set(FORMATS.own())


def test_where_several_formats_fit_the_order_is_known(tmp_path: Path):
    # Lists beside a CamVid folder, and outlines beside masks: what somebody did on purpose comes first.
    root = write_miniature("camvid", tmp_path / "camvid", (1, 1))
    (root / "train.txt").write_text("train/0001TP_006000.png trainannot/0001TP_006000.png\n")
    assert [format.name for format in recognised(root)] == ["camvid", "lists", "folder"]
    root = write_miniature("labelme", write_miniature("folder", tmp_path / "own", (1, 1)), (1, 1))
    assert [format.name for format in recognised(root)] == ["folder", "labelme"]


@pytest.mark.heavy
def test_a_described_folder_is_own_data_but_for_names_that_nobody_else_has(tmp_path: Path):
    for name in ("camvid", "cityscapes"):
        root = write_miniature(name, tmp_path / name, (1, 1))
        (root / "dataset.toml").write_text('classes = ["a"]')
        assert next(format.name for format in recognised(root)) == ("folder" if name == "camvid" else "cityscapes")
