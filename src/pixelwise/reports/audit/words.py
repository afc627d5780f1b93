"""Sentences about an audit, shared by the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixelwise.datasets.auditing.audit import Audit
from pixelwise.datasets.auditing.layout_scores import LayoutScore
from pixelwise.datasets.auditing.places import Places
from pixelwise.datasets.samples import Dataset
from pixelwise.storage.names import counted

_LEAST = 3


def other_splits_in_words(others: Mapping[str, int]) -> str:
    """`10582 train_aug (data.train_split=train_aug)`."""
    return ", ".join(f"{pairs} {split} (data.train_split={split})" for split, pairs in others.items())


def sizes_in_words(found: Audit) -> str:
    """`480x360 (WxH), all`, or the most common size and the range; and how many images were turned upright."""
    sizes = found.sizes
    common, smallest, largest = (f"{w}x{h}" for h, w in (sizes.most_common, sizes.smallest, sizes.largest))
    other = "all" if sizes.distinct == 1 else f"{sizes.most_common_images} of them; sizes from {smallest} to {largest}"
    turned = f"; {found.turned} turned upright, as EXIF states" if found.turned else ""
    return f"{common} (WxH), {other}{turned}"


def places_in_words(places: Places) -> str:
    """Coordinate systems with the sizes of their pixels, bands, and the share of missing pixels."""
    alone, systems = len(places.systems) == 1, []
    for one in places.systems[:_LEAST]:
        sides = f"{one.smallest:g}" if one.largest == one.smallest else f"{one.smallest:g} to {one.largest:g}"
        words = f"{one.name}, pixels of {sides} {one.unit or 'units of the map'}"
        systems.append(words if alone else f"{one.images} in {words}")
    if len(places.systems) > _LEAST:
        systems.append(f"{len(places.systems) - _LEAST} more systems")
    bands = [words if len(places.bands) == 1 else f"{images} of {words}" for words, images in places.bands.items()]
    missing = "no pixels marked as missing"
    if places.with_missing:
        share = "" if places.missing is None else f", about {100 * places.missing:.1f}\u00a0% of their pixels"
        missing = f"missing pixels marked in {counted(places.with_missing, 'image')}{share}"
    return f"{counted(places.images, 'image')} on the map: {'; '.join([*systems, ', '.join(bands), missing])}"


def channels_in_words(channels: Sequence[int] | None, rgb: str = "RGB") -> str:
    """`RGB`, or the band numbers: `bands 3, 2, 1`."""
    return rgb if channels is None else f"band{'s' if len(channels) > 1 else ''} {', '.join(map(str, channels))}"


def layout_in_words(scores: Sequence[LayoutScore]) -> str:
    """How many of the folder's files the layout uses, and the second-best layout; lists may name files elsewhere."""
    first, *others = scores
    used = f"uses {_share(first)} of {first.files} image files" if first.files else "its images are in other folders"
    if first.drawn:
        used = f"masks are drawn for {counted(first.pairs, 'image')}"
    if not others:
        return f"{used}; no other layout fits"
    return f"{used}; next best: data.dataset={others[0].name} with {_share(others[0])}"


def _share(score: LayoutScore) -> str:
    return f"{100 * score.share:.0f}\u00a0%" if score.used in (0, score.files) else f"{100 * score.share:.1f}\u00a0%"


def class_files_in_words(dataset: Dataset) -> str:
    """How many images of multi-label data have a mask for each class."""
    samples = [sample for found in dataset.splits.values() for sample in found]
    numbers = [
        f"{name} {sum(sample.class_masks[class_id] is not None for sample in samples)}"
        for class_id, name in enumerate(dataset.classes)
    ]
    ignored = sum(sample.ignore_mask is not None for sample in samples)
    last = f", ignore {ignored}" if ignored else ""
    return f"masks for {len(samples)} images: {', '.join(numbers)}{last}; a class without a file is absent there"


def fits_in_words(found: Audit) -> str:
    """Which masks fit their photos least, by the agreement of label borders with image edges; empty if not compared."""
    worst = [f"{fit.id} of {fit.split} ({fit.score:g})" for fit in found.least_fitting[:_LEAST]]
    if not worst:
        return ""
    return (
        f"label borders lie least on the edges of the photo in {', '.join(worst)}; 0: no better than on another photo"
    )


def videos_in_words(found: Audit) -> list[str]:
    """One sentence for each split in which at least a tenth of the images repeat one shortly before them."""
    return [
        f"{split}: {counts.repeated} of {counts.images} images resemble an image shortly before them, "
        f"so the split is worth about {max(1, counts.images - counts.repeated)} images"
        for split, counts in found.statistics.items()
        if counts.images and counts.repeated >= 0.1 * counts.images
    ]
