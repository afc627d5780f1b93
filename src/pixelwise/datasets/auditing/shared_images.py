"""Findings about images that are in several splits, as they are or nearly so."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pixelwise.datasets.auditing.examination import relative_name
from pixelwise.datasets.auditing.sums import SplitSums
from pixelwise.datasets.findings import Affected, Finding, finding
from pixelwise.datasets.layouts.splits import VALIDATION_SHARE
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.datasets.shards.layout import is_sharded
from pixelwise.storage import printable
from pixelwise.storage.series import series_of, series_pattern, shown_series

Twins = Mapping[tuple[str, str], Sequence[tuple[Sample, Sample, int]]]
"""Two splits -> near-duplicates: a pair of the first, one of the second, and the Hamming distance of their hashes."""


def leaks(dataset: Dataset, splits: Mapping[str, SplitSums]) -> list[Finding]:
    """Identical images in several splits, which leak training data into the evaluation."""
    shared: dict[tuple[str, ...], Affected] = {}
    examples: dict[tuple[str, ...], str] = {}
    numbers: Counter[tuple[str, ...]] = Counter()
    for images in _with_equal_content(splits):
        where = tuple(split for split, _ in images)
        names = [relative_name(dataset.splits[split][row].image_path, dataset.root) for split, row in images]
        numbers[where] += 1
        examples.setdefault(where, " and ".join(names))
        files = shared.setdefault(where, Affected())
        for name in names:
            files.add(lambda name=name: name)
    findings = []
    for where, files in shared.items():
        findings.append(
            finding(
                "D133",
                f"{_images(numbers[where], 'is', 'are')} in {' and '.join(where)} with identical content, e.g. "
                f"{examples[where]}: scores on {where[-1]} would be too high",
                files.first,
                f"remove them, with their masks, from {where[0]} or from {where[-1]}",
                total=files.number,
            )
        )
    return findings


def _with_equal_content(splits: Mapping[str, SplitSums]) -> Iterable[list[tuple[str, int]]]:
    """Split and row of the first image of each split, for every content that is in several splits."""
    names, numbers = list(splits), [len(sums.looks) for sums in splits.values()]
    # Hashes that differ in their first eight bytes are told apart by these, in a tenth of the memory.
    starts = np.concatenate(
        [np.zeros(0, np.uint64), *(sums.looks.digests.view(np.uint64)[::4] for sums in splits.values())]
    )
    ordered = np.sort(starts)
    # By sorting: the table of NumPy 2.0 cannot hold such numbers.
    places = np.flatnonzero(np.isin(starts, ordered[1:][ordered[1:] == ordered[:-1]], kind="sort"))
    begins = np.cumsum([0, *numbers])
    split = np.searchsorted(begins, places, side="right") - 1
    digests = np.array(
        [splits[names[of]].looks.digests[place - begins[of]] for place, of in zip(places, split, strict=True)], "S32"
    )
    _, content = np.unique(digests, return_inverse=True)
    _, firsts = np.unique(content * len(names) + split, return_index=True)
    firsts = np.sort(firsts[digests[firsts] != b""])
    several = np.bincount(content[firsts])[content[firsts]] > 1
    groups: dict[int, list[tuple[str, int]]] = {}
    for one in firsts[several].tolist():
        image = names[split[one]], int(places[one] - begins[split[one]])
        groups.setdefault(int(content[one]), []).append(image)
    return groups.values()


def divided_series(dataset: Dataset) -> list[Finding]:
    """W265 if data without splits was divided by name, although names show series, such as the drives of a video."""
    if not dataset.divided or not {"train", "val"} <= dataset.splits.keys():
        return []
    keys = sorted(sample.id for split in ("train", "val") for sample in dataset.splits[split])
    series = shown_series(keys)
    if not series or len(set(series_of(keys, VALIDATION_SHARE).values())) < len(keys):
        return []
    fix = "give the data splits that keep each series together, such as folders named train and val"
    if not dataset.multilabel and not is_sharded(dataset.root):
        command = ["pixelwise", "data", "split", printable(dataset.root), "--group", series_pattern(keys)]
        fix = f"keep each series together: `{shlex.join(command)}`"
    text = (
        f"the images have no splits, so val was chosen by their names; these show {series} series, too few or too "
        "large to stay together, so they are divided: if images of a series are alike, the score on val is too high"
    )
    return [finding("W265", text, fix=fix)]


def _images(number: int, one: str, several: str) -> str:
    return f"1 image {one}" if number == 1 else f"{number} images {several}"


def near_duplicates(dataset: Dataset, twins: Twins) -> list[Finding]:
    """Images of two splits that look alike: re-encoded copies, or neighbouring frames of a video."""
    findings = []
    for (first, second), pairs in twins.items():
        one, other, _ = pairs[0]
        names = [relative_name(sample.image_path, dataset.root) for pair in pairs for sample in pair[:2]]
        example = " looks like ".join(relative_name(sample.image_path, dataset.root) for sample in (other, one))
        findings.append(
            finding(
                "W134",
                f"{_images(len(pairs), f'of {second} looks', f'of {second} look')} like images of {first}, e.g. "
                f"{example}: scores on {second} would be too high",
                list(dict.fromkeys(names)),
                "keep each video sequence in one split (`pixelwise data split` with `group`), or remove the images "
                f"from {first}",
            )
        )
    return findings
