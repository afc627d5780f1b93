from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pixelwise.datasets.format import FORMATS, UNMISTAKABLE, Format, Scenes, format_of
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.errors import RecipeError
from pixelwise.recipes.class_sets.tables import VOC
from pixelwise.testing import check_format

Change = Callable[..., None]
FOLDER = format_of("folder")


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Change:
    """Put a changed `folder` in the place of the real one."""

    def apply(**fields: Any) -> None:
        monkeypatch.setitem(FORMATS, "folder", msgspec.structs.replace(FOLDER, **fields))

    return apply


def layout_with(**changes: Any) -> Callable[[Path], Layout | None]:
    def layout(root: Path) -> Layout | None:
        found = FOLDER.layout(root)
        return found and msgspec.structs.replace(found, **changes)

    return layout


def without_the_last(root: Path) -> Layout | None:
    found = FOLDER.layout(root)
    if found is None:
        return None
    return msgspec.structs.replace(found, splits={name: samples[:-1] for name, samples in found.splits.items()})


def in_another_order(root: Path) -> Layout | None:
    found = FOLDER.layout(root)
    if found is None:
        return None
    return msgspec.structs.replace(found, splits={name: samples[::-1] for name, samples in found.splits.items()})


def test_a_sound_format_passes(change: Change, tmp_path: Path):
    change()
    check_format("folder", tmp_path)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"layout": lambda root: Layout(name="folder", description="", root=root, splits={})}, "'folder' .*`layout`"),
        ({"recognise": lambda root: False}, "'folder' .*: none$"),
        ({"layout": without_the_last}, r"'folder' .*\b2 pairs in train\b.* 3"),
        ({"layout": in_another_order}, r"'folder' .*\d+ pixels .*\w+/0\d+"),
        ({"layout": layout_with(label_map={})}, "'folder' .*0000"),
    ],
)
def test_what_a_format_does_not_do_is_said(change: Change, tmp_path: Path, fields: dict[str, Any], fault: str):
    change(**fields)
    with pytest.raises(AssertionError, match=fault):
        check_format("folder", tmp_path)


def test_a_public_data_set_may_not_take_own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    greedy = Format(
        name="greedy",
        title="greedy",
        expected="anything",
        layout=lambda root: None,
        recognise=lambda root: True,
        priority=UNMISTAKABLE,
        classes=VOC,
    )
    monkeypatch.setitem(FORMATS, "greedy", greedy)
    with pytest.raises(AssertionError, match=r"'yolo' .*\bgreedy\b"):
        check_format("yolo", tmp_path)


def test_a_miniature_of_wrong_files_is_noticed(change: Change, tmp_path: Path):
    def write(root: Path, scenes: Scenes) -> None:
        assert FOLDER.miniature is not None
        black = [scene._replace(labels=np.zeros_like(scene.labels)) for scene in scenes.splits["val"]]
        FOLDER.miniature.write(root, msgspec.structs.replace(scenes, splits=scenes.splits | {"val": black}))

    change(miniature=msgspec.structs.replace(FOLDER.miniature, write=write))
    with pytest.raises(AssertionError, match="val/0000"):
        check_format("folder", tmp_path)


def test_a_format_without_a_miniature_cannot_be_checked(change: Change, tmp_path: Path):
    change(miniature=None)
    with pytest.raises(RecipeError) as caught:
        check_format("folder", tmp_path)
    assert caught.value.code == "R203"


def test_a_temporary_folder_is_made_where_none_is_given():
    check_format("lists")
