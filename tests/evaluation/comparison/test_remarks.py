import math
from pathlib import Path

import pytest
from results import miniature

from pixelwise.evaluation.comparison.answers import Answer, Subject
from pixelwise.evaluation.comparison.remarks import Camp, about_columns, about_groups, about_intervals, about_runs
from pixelwise.records.result import TrainingCost


def camp(name: str, *seeds: int, **changes) -> Camp:
    return Camp(
        name,
        tuple(
            Answer(Subject(Path(f"{name}-{i}"), (), seed, None, ()), miniature(**changes), ())
            for i, seed in enumerate(seeds)
        ),
    )


@pytest.mark.parametrize(
    ("numbers", "begin"),
    [
        ((1, 1, None, 0), "There is one image"),
        ((9, 1, "x", 0), "All 9 images are of one group"),
        ((9, 3, None, 3), "Images of one group may be alike, so the 3 groups were drawn, not the 9 images."),
        ((9, 9, "x", 3), "No two images are of one group ('x')"),
        ((9, 9, None, 3), "The names of the images show 3 series"),
        ((9, 9, None, 0), ""),
    ],
)
def test_what_was_drawn(numbers: tuple[int, int, str | None, int], begin: str):
    assert " ".join(about_groups(*numbers)).startswith(begin)
    assert len(about_groups(*numbers)) == bool(begin)


def test_what_is_not_as_it_seems():
    half = TrainingCost(steps=1, seconds=1, peak_memory_bytes=1, planned_steps=2)
    assert about_runs([camp("a", 0, 1)]) == []
    assert about_runs([camp("a", 0, training=half)]) == ["a-0 was trained for 1 of 2 steps."]
    assert about_runs([camp("a", 0, variant="data.exif=ignore --group x")]) == [
        "Scored with other options than the protocol's: data.exif=ignore."
    ]
    assert about_runs([camp("a", 0, own_data=False)]) == ["Trained on other data than what was scored: a-0."]
    assert about_runs([camp("a", 3, 3, 4)]) == ["a has several runs of seed 3, which may differ less than seeds do."]


def test_what_the_intervals_cover():
    one, two, more = camp("a", 0), camp("b", 0), camp("c", 0, 1)
    assert about_intervals([one, two])[0].startswith("Intervals are over images: ")
    assert about_intervals([more]) == ["Intervals are over images and seeds."]
    assert "a is a single run, whose seed counts" in about_intervals([one, more])[0]
    assert "a, b are single runs, whose seeds count" in about_intervals([one, two, more])[0]


def test_columns_without_interval_are_those_that_are_shown():
    nothing = {"boundary_miou": math.nan, "calibration_error": math.nan}
    assert about_columns([camp("a", 0, **nothing)] * 2) == []
    assert about_columns([camp("a", 0, **nothing)] * 3)[0].startswith("Sides that share a letter")
    (said,) = about_columns([camp("a", 0, **(nothing | {"boundary_miou": 0.5}))])
    assert said.startswith("Boundary IoU has no interval")
    (said,) = about_columns([camp("a", 0, **(nothing | {"calibration_error": 0.5}))])
    assert said.startswith("ECE has no interval")
