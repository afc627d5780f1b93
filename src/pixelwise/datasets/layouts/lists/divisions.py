"""Divides images with masks by lists that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.drawn_findings import found_elsewhere
from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.lists.rows import Row
from pixelwise.datasets.layouts.named_images import NamedImages, Wanted
from pixelwise.datasets.samples import Sample
from pixelwise.storage import printable

HELP = "correct the list, or remove it if it does not divide these images"
Listed = tuple[Path, Row]
"""A list, and one of its rows."""


def divided_by_lists(
    samples: Sequence[Sample], rows: Mapping[str, Sequence[Listed]], root: Path
) -> tuple[dict[str, tuple[Sample, ...]], list[Finding]]:
    """The samples of each split, by lists of names with or without folders and extensions.

    Args:
        samples: All images with masks.
        rows: Split -> its lines.
        root: Folder of the data set.

    Returns:
        The samples by split, sorted by id, and findings: D220 for lines that name none of the samples, D232 if no line
        of a split does, D221 for an empty list, W225 for names with other folders than those of the images.
    """
    of_path = {sample.image_path: sample for sample in samples}
    images = NamedImages((Entry(sample.id, path) for path, sample in of_path.items()), root, stems=True)
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    elsewhere: list[tuple[str, str]] = []
    for split, found in rows.items():
        wanted = [Wanted(row.names, file, (root,)) for file, row in found]
        # Where two images have the name, that in the folder of the split is meant.
        matches = [
            match if match.entry else images.find(one._replace(split=split))
            for one, match in zip(wanted, images.find_all(wanted), strict=True)
        ]
        chosen = {match.entry.path: of_path[match.entry.path] for match in matches if match.entry}
        splits[split] = tuple(sorted(chosen.values(), key=lambda sample: sample.id))
        lost = [(one, one[1].line, match.reason) for one, match in zip(found, matches, strict=True) if not match.entry]
        problems += missing_lines(split, "names", found, lost)
        elsewhere += [
            (one.names[0], printable(match.entry.path))
            for one, match in zip(wanted, matches, strict=True)
            if match.entry and match.elsewhere
        ]
        if not found:
            problems.append(finding("D221", f"split '{split}' is empty: its list names no image", [], HELP))
    if elsewhere:
        problems.append(found_elsewhere(elsewhere, "lists"))
    return splits, problems


def missing_lines(
    split: str, what: str, rows: Sequence[Listed], lost: Sequence[tuple[Listed, str, str]]
) -> list[Finding]:
    """D220 for lines whose files do not exist; D232 if that are all of them.

    Args:
        split: Name of the split.
        what: What the lines hold, for the message.
        rows: All lines of the split.
        lost: The lines whose files do not exist, each with what it writes and why that is no file.
    """
    if not lost:
        return []
    (file, row), text, reason = lost[0]
    where = f"{printable(file)}: line {row.number}, '{printable(text[:200])}', {reason}"
    files = [printable(name) for _, name, _ in lost]
    if len(lost) == len(rows):
        return [
            finding("D232", f"{split}: none of the {len(rows)} {what} in its list exists, e.g. {where}", files, HELP)
        ]
    return [
        finding(
            "D220",
            f"{split}: {len(lost)} of {len(rows)} {what} in {printable(file.name)} name a file that does not exist or "
            f"is not certain, e.g. {where}",
            files,
            "paths are relative to the list or to the data set's folder; correct the list, or train without these "
            "lines: 'data.allow=[\"D220\"]'",
        )
    ]
