"""Divides the images of a data set into folds, each of which is held out by another network (cross-validation).

Groups and classes decide as for `pixelwise data split`: no group of images is in two folds, and every fold has its
share of the images of every class. The same images, groups and seed give the same folds on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from pixelwise.datasets.layouts.splits import VALIDATION_SHARE, groups_of, images_of_share
from pixelwise.datasets.preparing.dividing import id_in_groups
from pixelwise.datasets.preparing.stratifying import TRAIN, stratified
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.storage.names import counted, some


class Fold(NamedTuple):
    """The images of a fold, by their ids in the order of the samples.

    Attributes:
        train: Those that its network learns from.
        selection: Those among the images of the other folds by which the best of its weights are chosen; empty if no
            part was asked for.
        held_out: Those that it never sees.
    """

    train: tuple[str, ...]
    selection: tuple[str, ...]
    held_out: tuple[str, ...]


def fold_samples(
    samples: Sequence[Sample],
    classes: Mapping[str, Collection[int]],
    *,
    folds: int,
    group: str | None = None,
    seed: int = 0,
    selection: bool = False,
) -> list[Fold]:
    """Divide samples into folds.

    Args:
        samples: Samples with different ids, as those of the split `all`.
        classes: Id of each sample -> ids of the classes in its mask.
        folds: Number of folds, 2 or more.
        group: Regular expression that finds the name of an image's group; None: see `layouts.splits.groups_of`.
        seed: Seed of the order in which groups are taken.
        selection: Whether each fold needs images to choose weights by. They are divided off those of the other folds,
            by the same groups and classes: images that are held out must not choose.

    Raises:
        DataError: D221, there are fewer groups than folds, or too few in the other folds to divide any off.
        RecipeError: R203, `group` is not a valid regular expression, or is found in no name.
    """
    groups = sample_groups(samples, folds=folds, group=group, selection=selection)
    ids = list(groups)
    images = Counter(groups.values())
    if len(images) < folds:
        fewer = ", or fewer `folds`" if len(images) > 1 else ", or label more images: two folds need two groups"
        raise DataError(
            "D221",
            f"{counted(len(images), 'group')} of images ({some(sorted(images))}) for {folds} folds",
            f"a group is never divided: choose another `group`{fewer}",
        )
    # The last part is what `stratified` calls the training split: it takes what the others leave.
    parts = [*map(str, range(1, folds)), TRAIN]
    wanted = {part: (number + 1) * len(ids) // folds - number * len(ids) // folds for number, part in enumerate(parts)}
    del wanted[TRAIN]
    part_of = stratified(images, _of_groups(groups, classes), wanted, seed)
    return [
        _fold(ids, groups, classes, {name for name, part in part_of.items() if part == own}, seed, selection)
        for own in parts
    ]


def sample_groups(
    samples: Sequence[Sample], *, folds: int, group: str | None = None, selection: bool = False
) -> dict[str, str]:
    """Id of each sample -> name of its group, which `fold_samples` does not divide.

    Args:
        samples: As there.
        folds: As there.
        group: As there.
        selection: As there.

    Raises:
        RecipeError: R203, `group` is not a valid regular expression, or is found in no name.
    """
    named = {sample.id: id_in_groups(sample) for sample in samples}
    share = min(1 / folds, VALIDATION_SHARE) if selection else 1 / folds
    groups_by_name = groups_of(sorted(set(named.values())), group, share)
    return {id: groups_by_name[name] for id, name in named.items()}


def _fold(
    ids: Sequence[str],
    groups: Mapping[str, str],
    classes: Mapping[str, Collection[int]],
    held_out: set[str],
    seed: int,
    selection: bool,
) -> Fold:
    """The fold that holds some groups out."""
    rest = {id: groups[id] for id in ids if groups[id] not in held_out}
    chosen: set[str] = set()
    if selection:
        if len(set(rest.values())) < 2:
            # With as many folds as there are groups, each already holds out a single one.
            more = ", more `folds`" if len(held_out) > 1 else ""
            raise DataError(
                "D221",
                f"the images beside a fold are one group ({', '.join(sorted(set(rest.values())))}), from which no part "
                "can be divided off to choose the best weights by",
                f"a group is never divided: choose another `group`{more}, or the weights of the last step: "
                "selection.weights=last selection.every_epochs=0",
            )
        number = max(1, images_of_share(len(rest), VALIDATION_SHARE))
        split_of = stratified(Counter(rest.values()), _of_groups(rest, classes), {"val": number}, seed)
        chosen = {id for id in rest if split_of[rest[id]] == "val"}
    return Fold(
        train=tuple(id for id in rest if id not in chosen),
        selection=tuple(id for id in rest if id in chosen),
        held_out=tuple(id for id in ids if id not in rest),
    )


def _of_groups(groups: Mapping[str, str], classes: Mapping[str, Collection[int]]) -> dict[str, set[int]]:
    """Group -> ids of the classes in its images."""
    found: dict[str, set[int]] = {name: set() for name in groups.values()}
    for id, name in groups.items():
        found[name].update(classes.get(id, ()))
    return found
