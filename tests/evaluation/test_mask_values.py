"""Data on which a network is scored, and whose masks mean something else than their values say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pixelwise.datasets.opening import open_folder
from pixelwise.errors import DataError
from pixelwise.evaluation.mask_values import refuse_other_values
from pixelwise.observer import Observer

NAMED = 'data.classes=["background","object"]'


def write(root: Path, values: list[tuple[int, int]], split: str = "val") -> Path:
    """Noise, and a rectangle per mask, with the values of background and object."""
    rng = np.random.default_rng(1)
    for index, (background, marked) in enumerate(values):
        mask = np.full((24, 32), background, np.uint8)
        mask[4:20, 6 + index : 24] = marked
        for kind, array in (("images", rng.integers(0, 256, (24, 32, 3), np.uint8)), ("masks", mask)):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / kind / split / f"{index}.png")
    return root


def refused(root: Path, *more: str, allow: tuple[str, ...] = (), split: str = "val") -> str:
    """Code and help of the error; empty if the split can be scored."""
    _, dataset = open_folder(root, [NAMED, *more])
    try:
        refuse_other_values(dataset, split, allow=allow)
    except DataError as error:
        return f"{error.code} {error.help}"
    return ""


def test_ids_are_scored(tmp_path: Path):
    assert refused(write(tmp_path, [(0, 1)] * 4)) == ""


def test_black_and_white_masks_of_named_classes_are_refused(tmp_path: Path):
    root = write(tmp_path, [(0, 255)] * 4)
    assert refused(root) == "D206 if 255 is the object, add 'data.label_map={0 = 0, 255 = 1}'"
    assert refused(root, "data.label_map={0 = 0, 255 = 1}") == ""
    assert refused(root, allow=("D206",)) == ""


def test_two_conventions_are_refused(tmp_path: Path):
    root = write(tmp_path, [(0, 1), (0, 255), (0, 1), (0, 255)])
    assert refused(root).startswith("D261 ")
    assert refused(root, "data.label_map={0 = 0, 1 = 1, 255 = 1}") == ""


def test_only_the_scored_split_counts(tmp_path: Path):
    write(write(tmp_path, [(0, 1)] * 4), [(0, 255)] * 4, "test")
    assert refused(tmp_path) == ""
    assert refused(tmp_path, split="test").startswith("D206 ")


def test_errors_that_do_not_concern_the_labels_stop_no_evaluation(tmp_path: Path):
    write(write(tmp_path, [(0, 1)] * 4), [(0, 1)] * 4, "train")  # the same images in both splits
    assert refused(tmp_path) == ""


@pytest.mark.heavy
@given(
    st.lists(st.tuples(st.just(0), st.sampled_from([1, 255])), min_size=2, max_size=6),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_object_that_is_255_anywhere_is_never_ignored_in_silence(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[int, int]]
):
    root = write(tmp_path_factory.mktemp("masks"), values)
    assert bool(refused(root)) == any(marked == 255 for _, marked in values)


def test_the_phase_is_told_and_no_progress(tmp_path: Path):
    seen: list[object] = []

    class Told(Observer):
        def phase(self, name: str, unit: str = "") -> None:
            seen.append(name)

        def progress(self, done: int, total: int | None) -> None:
            seen.append((done, total))

    _, dataset = open_folder(write(tmp_path, [(0, 1)] * 3), [NAMED])
    refuse_other_values(dataset, "val", observer=Told())
    assert seen == ["looking at the data"]
