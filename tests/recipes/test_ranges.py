"""The ranges of fields, compared with those that their sections state in their own words."""

import pytest

from pixelwise.recipes.ranges import Interval, interval
from pixelwise.recipes.schema.augment import Augment
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.distillation import Distillation
from pixelwise.recipes.schema.evaluation import Published
from pixelwise.recipes.schema.loss import Loss, Ohem
from pixelwise.recipes.schema.training import Checkpoints, Ema, Group, Optimizer, Schedule


@pytest.mark.parametrize(
    ("section", "name", "expected"),
    [
        (Data, "mask_threshold", Interval(1, 255)),
        (Data, "mask_tolerance", Interval(1, 127)),
        (Data, "instance_divisor", Interval(2)),
        (Data, "workers", Interval(0)),
        (Data, "channels", Interval(0)),
        (Data, "town_size", Interval(1)),
        (Augment, "hue", Interval(0, 0.5)),
        (Augment, "rotate", Interval(0, 180)),
        (Augment, "contrast", Interval(0, 1, below=True)),
        (Augment, "max_class_share", Interval(0, 1, above=True)),
        (Augment, "scale", Interval(0, above=True)),
        (Optimizer, "lr", Interval(0, above=True)),
        (Optimizer, "betas", Interval(0, 1, below=True)),
        (Schedule, "epochs", Interval(1)),
        (Schedule, "iterations", Interval(1)),
        (Schedule, "rise", Interval(0, 1, above=True, below=True)),
        (Ema, "decay", Interval(0, 1, above=True, below=True)),
        (Checkpoints, "keep", Interval(2)),
        (Group, "warmup_after", Interval(0)),
        (Distillation, "cache_views", Interval(0)),
        # A share below 1 or a whole number: no interval.
        (Ohem, "min_kept", Interval()),
        # No numbers, or none with bounds.
        (Loss, "class_weights", Interval()),
        (Schedule, "kind", Interval()),
        (Published, "train_hours", Interval()),
    ],
)
def test_a_range_is_that_which_the_section_checks(section: type, name: str, expected: Interval):
    found = interval(section, name)
    assert found == expected


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Interval(), ""),
        (Interval(1), "1 or more"),
        (Interval(0, above=True), "more than 0"),
        (Interval(0, 1), "0 to 1"),
        (Interval(0, 1, below=True), "0 or more and less than 1"),
        (Interval(most=3), "3 or less"),
    ],
)
def test_a_range_has_words(found: Interval, words: str):
    assert found.words() == words
