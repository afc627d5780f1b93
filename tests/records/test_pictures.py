from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pixelwise.records.pictures import (
    LISTING,
    PICTURES,
    Moment,
    Picture,
    Pictures,
    forget_after,
    read_pictures,
    spread,
    write_pictures,
)

SHOWN = Picture(id="day/a", height=3, width=4, photo="image-1.webp", labels="image-1-truth.webp")


def at(*steps: int) -> Pictures:
    """One image with its predictions at these steps."""
    moments = tuple(Moment(step=step, layers=(f"image-1-step-{step}.webp",)) for step in steps)
    return Pictures(split="val", images=(SHOWN,), moments=moments)


def write_all(run: Path, pictures: Pictures) -> None:
    write_pictures(run, pictures)
    for name in pictures.names():
        (run / PICTURES / name).write_bytes(b"picture")


@pytest.mark.parametrize(
    ("steps", "most", "kept"),
    [
        ([], 3, []),
        ([10], 3, [10]),
        ([10, 20, 30], 3, [10, 20, 30]),
        ([10, 20, 30, 40], 3, [10, 30, 40]),
        ([10, 30, 40, 50], 3, [10, 30, 50]),  # 30 to 50 is closed, with the smallest gap
        ([10, 50, 60, 100], 3, [10, 60, 100]),
        ([1, 2, 3, 4, 5], 2, [1, 5]),
    ],
)
def test_steps_that_are_kept_are_spread_evenly(steps: list[int], most: int, kept: list[int]):
    assert spread(steps, most) == kept


def test_a_long_training_keeps_its_first_and_last_step_and_no_large_gap():
    steps: list[int] = []
    for step in range(1, 1001):
        steps = spread([*steps, step], 24)
    assert (steps[0], steps[-1], len(steps)) == (1, 1000, 24)
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert max(gaps) <= 4 * 1000 / 23


def test_the_list_is_read_as_it_was_written_and_empty_without_one(tmp_path: Path):
    assert read_pictures(tmp_path) == Pictures()
    write_pictures(tmp_path, at(4, 8))
    assert read_pictures(tmp_path) == at(4, 8)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"split": 3}',
        '{"batch": [{"id": "a", "height": 1, "width": 1, "photo": "../data.json", "labels": "b.webp"}]}',
        '{"moments": [{"step": 1, "layers": ["image-1-step-1.webp"]}]}',
    ],
)
def test_a_list_that_is_damaged_or_leads_elsewhere_counts_as_none(text: str, tmp_path: Path):
    (tmp_path / PICTURES).mkdir()
    (tmp_path / PICTURES / LISTING).write_text(text)
    assert read_pictures(tmp_path) == Pictures()


def test_files_that_are_no_longer_listed_are_removed(tmp_path: Path):
    write_all(tmp_path, at(4, 8))
    write_pictures(tmp_path, at(8))
    assert {path.name for path in (tmp_path / PICTURES).iterdir()} == {LISTING, *at(8).names()}


def test_what_a_killed_run_drew_after_its_last_checkpoint_is_forgotten(tmp_path: Path):
    write_all(tmp_path, at(4, 8, 12))
    forget_after(tmp_path, 8)
    assert read_pictures(tmp_path) == at(4, 8)
    assert not (tmp_path / PICTURES / "image-1-step-12.webp").exists()
    forget_after(tmp_path, -1)
    assert read_pictures(tmp_path) == at()
