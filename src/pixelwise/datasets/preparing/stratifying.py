"""Divides groups of images so that every split gets its share of the images, and of the images of every class.

The order of the work is that of iterative stratification (Sechidis, Tsoumakas and Vlahavas: On the Stratification of
Multi-Label Data, 2011): the class in the fewest images is divided first, since it has the least choice. Where there are
enough groups with a class, every split gets one of them, even where its share is less than one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from pixelwise.datasets.layouts.splits import place_of

TRAIN = "train"


def stratified(
    sizes: Mapping[str, int], classes: Mapping[str, Collection[int]], wanted: Mapping[str, int], seed: int = 0
) -> dict[str, str]:
    """Group -> split. Groups of one image fill every split exactly; larger ones as closely as they can.

    Args:
        sizes: Group -> number of its images; at least as many groups as splits.
        classes: Group -> ids of the classes in its images.
        wanted: Split -> number of images; the rest is `train`.
        seed: Seed of the order in which groups are taken; see `layouts.splits.place_of`.
    """
    total = sum(sizes.values())
    room = {**wanted, TRAIN: total - sum(wanted.values())}
    shares = {split: images / total for split, images in room.items()}
    order = sorted(sizes, key=lambda name: place_of(name, seed))
    groups_of = _groups_of(classes, order)
    images_of = {one: sum(sizes[name] for name in names) for one, names in groups_of.items()}
    split_of: dict[str, str] = {}
    for one in sorted(groups_of, key=lambda one: (images_of[one], one)):
        lacking = {split: share * images_of[one] for split, share in shares.items()}
        if len(groups_of[one]) >= len(room):
            lacking = {split: max(number, 1.0) for split, number in lacking.items()}
        for name in groups_of[one]:
            if name in split_of:
                lacking[split_of[name]] -= sizes[name]
        for name in groups_of[one]:
            if name not in split_of:
                free = [split for split in room if room[split] > 0] or list(room)
                split = max(free, key=lambda split: (lacking[split], room[split]))
                split_of[name] = split
                lacking[split] -= sizes[name]
                room[split] -= sizes[name]
    for name in order:
        if name not in split_of:
            # A group that is too large by more than half belongs to train.
            split_of[name] = next((split for split in wanted if sizes[name] < 2 * room[split]), TRAIN)
            room[split_of[name]] -= sizes[name]
    return _without_empty(split_of, list(room), sizes)


def _groups_of(classes: Mapping[str, Collection[int]], order: Collection[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for name in order:
        for one in classes.get(name, ()):
            found[one].append(name)
    return found


def _without_empty(split_of: dict[str, str], splits: Collection[str], sizes: Mapping[str, int]) -> dict[str, str]:
    """Move the smallest group of the split with the most groups to each split that has none."""
    for split in splits:
        groups: dict[str, list[str]] = defaultdict(list)
        for name, own in split_of.items():
            groups[own].append(name)
        if split not in groups:
            moved = min(max(groups.values(), key=len), key=lambda name: (sizes[name], name))
            split_of[moved] = split
    return split_of
