"""What has to be known to read the numbers of a comparison, as sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pixelwise.evaluation.comparison.answers import Answer
from pixelwise.evaluation.comparison.comparison import Side
from pixelwise.records.evaluations import changes_of
from pixelwise.records.folds.division import division_of
from pixelwise.storage import printable
from pixelwise.views import names_in_words, percent


class Camp(NamedTuple):
    """The answers of the runs of one side.

    Attributes:
        name: Name of the side.
        answers: One per run.
    """

    name: str
    answers: tuple[Answer, ...]


def about_groups(images: int, groups: int, pattern: str | None, shown: int) -> list[str]:
    """What was drawn.

    Args:
        images: Number of images.
        groups: Number of groups that were drawn.
        pattern: What was asked for as `group`.
        shown: Number of series that the names of the images show.
    """
    if groups == 1:
        named = "There is one image" if images == 1 else f"All {images} images are of one group"
        return [f"{named}, so nothing can be drawn: there are no intervals."]
    if groups < images:
        return [f"Images of one group may be alike, so the {groups} groups were drawn, not the {images} images."]
    if pattern is not None:
        return [f"No two images are of one group ('{pattern}'), so the {images} images were drawn one by one."]
    if shown:
        return [
            f"The names of the images show {shown} series, too few or too large to be drawn as a whole: if their "
            "images are alike, the intervals are too narrow (--group PATTERN draws them nevertheless)."
        ]
    return []


def about_runs(camps: Sequence[Camp]) -> list[str]:
    """What was scored, and what of the runs is not as it seems."""
    answers = [answer for camp in camps for answer in camp.answers]
    first, said = answers[0].result, []
    if changes := changes_of(first):
        said.append(f"Scored with other options than the protocol's: {changes}.")
    strange = [printable(one.subject.folder) for one in answers if one.result.own_data is False]
    if strange:
        said.append(f"Trained on other data than what was scored: {names_in_words(strange)}.")
    for one in answers:
        cost = one.result.training
        if cost is not None and cost.share < 1:
            said.append(f"{printable(one.subject.folder)} was trained for {cost.steps} of {cost.planned_steps} steps.")
    for camp in camps:
        seeds = Counter(one.subject.seed for one in camp.answers)
        twice = [f"{seed}" for seed, number in seeds.items() if number > 1]
        if twice:
            said.append(
                f"{camp.name} has several runs of seed {names_in_words(twice)}, which may differ less than seeds do."
            )
    return said


def about_folds(camps: Sequence[Camp]) -> list[str]:
    """What the score of a cross-validation is, and whether the networks of all have learned from the same images."""
    answers = [answer for camp in camps for answer in camp.answers]
    if not answers[0].is_out_of_fold:
        return []
    said = ["Each image was scored by the network of a cross-validation that has not seen it."]
    divisions = [
        {frozenset(found.held_out) for run in one.subject.folds if (found := division_of(run)) is not None}
        for one in answers
    ]
    if any(one != divisions[0] for one in divisions):
        numbers = sorted({len(one.subject.folds) for one in answers})
        how = f" ({' and '.join(map(str, numbers))} folds)" if len(numbers) > 1 else ""
        said.append(
            f"The images are not divided into the same folds{how}, so the networks have not learned from the same "
            "images: the differences hold that, too."
        )
    return said


def about_intervals(camps: Sequence[Camp]) -> list[str]:
    """What the intervals cover."""
    alone = [camp.name for camp in camps if len(camp.answers) == 1]
    if len(alone) == len(camps):
        folds = camps[0].answers[0].is_out_of_fold
        measure = "`pixelwise train --seeds 3` measures"
        if folds:
            measure = "further cross-validations with another `--seed` measure"
        return [
            "Intervals are over images: these are differences of these trained networks. What another seed would "
            f"change is not in them; {measure} it."
        ]
    if not alone:
        return ["Intervals are over images and seeds."]
    who = f"{alone[0]} is a single run" if len(alone) == 1 else f"{names_in_words(alone)} are single runs"
    whose = "whose seed counts" if len(alone) == 1 else "whose seeds count"
    return [f"Intervals are over images and seeds, except that {who}, {whose} as if it were no chance."]


def about_seeds(sides: Sequence[Side]) -> list[str]:
    """What the seeds alone say of each side, where there are no intervals over images."""
    return [
        f"Over its seeds alone, on these very images, the mean mIoU of {side.name} is in {percent(low)} to "
        f"{percent(high)} % (95 %)."
        for side in sides
        if side.seeds_interval is not None
        for low, high in [side.seeds_interval]
    ]


def about_columns(camps: Sequence[Camp]) -> list[str]:
    """What the letters mean, and which columns have no interval."""
    said = []
    if len(camps) > 2:
        said.append("Sides that share a letter are not separated, after Holm's correction over all pairs.")
    measured = {
        "Boundary IoU": [one.result.boundary_miou for camp in camps for one in camp.answers],
        "ECE": [one.result.calibration_error for camp in camps for one in camp.answers],
    }
    names = [name for name, values in measured.items() if not all(map(math.isnan, values))]
    if names:
        verb = "has" if len(names) == 1 else "have"
        said.append(f"{' and '.join(names)} {verb} no interval: the counts are not kept for single images.")
    return said
