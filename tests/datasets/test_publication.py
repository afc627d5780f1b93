from pathlib import Path

import pytest

from pixelwise.datasets.publication import Publication


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("data", "data"),
        ("data/VOCdevkit/VOC2012", "data"),
        ("VOCdevkit/VOC2012", "."),
        ("data/VOC2012", "data/VOC2012"),
        ("my data", "'my data'"),
    ],
)
def test_the_command_names_the_folder_that_archives_unpack_into(folder: str, expected: str):
    voc = Publication(name="voc", summary="", terms="", sources=(), expected={}, unpacks_to="VOCdevkit/VOC2012")
    assert voc.command(Path(folder)) == f"pixelwise data prepare voc --root {expected}"


def test_archives_that_unpack_side_by_side_leave_the_folder_as_it_is():
    plain = Publication(name="x", summary="", terms="", sources=(), expected={})
    assert plain.command(Path("VOCdevkit/VOC2012")) == "pixelwise data prepare x --root VOCdevkit/VOC2012"
