"""Fields of a recipe that a run may choose from its data, its machine and its time (`Recipe.planned`).

A planned field holds the value that is used where there is no data to plan from. Whoever sets it, on the command line,
in Python or in a file with a `base`, has decided: it is then no longer planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

PLANNABLE = {
    "augment.fit": "the usual size of the images",
    "augment.crop": "the usual size of the images",
    "sampling.batch_size": "the number of training images",
    "loss.class_weights": "how unequal the classes are",
    "precision": "the fastest number format of this machine",
    "schedule.epochs": "the number of training images and the minutes there are",
    "ema.decay": "the number of steps",
    "selection.every_epochs": "the number of epochs",
}
"""Field -> what its value is planned from."""
_SAME_DECISION = {
    "schedule.iterations": "schedule.epochs",
    "augment.resize": "augment.fit",
    "augment.resampling": "augment.fit",
    "evaluation.input_size": "augment.fit",
    "evaluation.protocols": "augment.fit",
}
"""Field -> the planned field that is decided with it, because a plan sets both."""


def still_planned(planned: Sequence[str], changed: Iterable[str]) -> list[str]:
    """The planned fields that none of the changes decides.

    Args:
        planned: Paths of fields or sections, such as `augment.crop`.
        changed: Paths of what was set: a planned field, its section, or a field of a planned section.
    """
    decided = [_SAME_DECISION.get(path, path) for path in changed]
    return [one for one in planned if not any(_concerns(path, one) for path in decided)]


def _concerns(path: str, planned: str) -> bool:
    return path == planned or path.startswith(f"{planned}.") or planned.startswith(f"{path}.")
