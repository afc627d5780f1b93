"""Findings about annotations from which masks are drawn: what cannot be used, and what is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pixelwise.datasets.findings import Finding, finding
from pixelwise.errors import DataError
from pixelwise.storage import printable

_KINDS = 4
# What differs between two problems of one kind: numbers, quoted words, paths and file names.
_PARTICULARS = re.compile(r"'[^']*'|\S*[\d/\\.]\S*")


def drawn_twice(image: Path, first: Path, second: Path) -> DataError:
    """D232 for an image with two annotations, in two files or in one.

    Args:
        image: The image.
        first: File of the annotation that was drawn.
        second: File of the other one.
    """
    return DataError(
        "D232",
        f"{printable(image)}: has two annotations, in {printable(first)} and {printable(second)}; each would call the "
        "objects of the other background",
        "keep one annotation per image; a format of another package has to merge them (`layouts.merging.merged`)",
    )


def drawing_problems(
    images: Sequence[tuple[str | None, str]],
    broken: Sequence[tuple[Path, str]],
    skipped: Sequence[tuple[Path, str]],
    unused: Sequence[tuple[Path, str]],
    elsewhere: Sequence[tuple[str, Path]],
) -> list[Finding]:
    """Findings about the annotations of a data set.

    Args:
        images: Split and printable path of every annotated image.
        broken: File and reason of every annotation that cannot be used.
        skipped: File and kind of every shape without an area.
        unused: File and content of everything else that is left out.
        elsewhere: Written path and image, for images that lie in another folder than their annotation says.
    """
    problems = []
    if broken:
        examples = _one_of_each_kind(broken)
        problems.append(
            finding(
                "D230",
                examples[0]
                if len(broken) == 1
                else f"{len(broken)} annotations cannot be used, e.g. {'; '.join(examples)}",
                # One file may hold the annotations of all images.
                list(dict.fromkeys(printable(file) for file, _ in broken)),
                "correct them or export them again, or train without these images: 'data.allow=[\"D230\"]'",
            )
        )
    problems += _left_out(skipped, unused, elsewhere)
    outside = [file for split, file in images if split is None]
    if outside and len(outside) < len(images):
        problems.append(
            finding(
                "W216",
                f"{len(outside)} images lie outside the split folders and are left out, e.g. {outside[0]}",
                outside,
                "move them into train/, val/ or test/",
            )
        )
    if not images:
        problems.append(
            finding(
                "D221",
                "no annotated image was found",
                [],
                "annotations must name images of this folder, in their text or by their file name",
            )
        )
    return problems


def _left_out(
    skipped: Sequence[tuple[Path, str]], unused: Sequence[tuple[Path, str]], elsewhere: Sequence[tuple[str, Path]]
) -> list[Finding]:
    problems = []
    if skipped:
        kinds = ", ".join(sorted({kind for _, kind in skipped}))
        problems.append(
            finding(
                "W221",
                f"{len(skipped)} shapes without an area are left out ({kinds}), e.g. in {printable(skipped[0][0])}",
                list(dict.fromkeys(printable(file) for file, _ in skipped)),
                "annotate these objects with polygons if they are to be learnt",
            )
        )
    if unused:
        examples = _one_of_each_kind(unused)
        problems.append(
            finding(
                "W223",
                examples[0] if len(unused) == 1 else f"{len(unused)} parts are not used, e.g. {'; '.join(examples)}",
                list(dict.fromkeys(printable(file) for file, _ in unused)),
                "remove what is not needed, or export it in this format if it is",
            )
        )
    if elsewhere:
        problems.append(found_elsewhere([(written, printable(image)) for written, image in elsewhere]))
    return problems


def found_elsewhere(images: Sequence[tuple[str, str]], where: str = "annotations") -> Finding:
    """W225 for images that do not lie where their annotations say.

    Args:
        images: Written path, and printable path of the file that was taken for it.
        where: What names the images, for the message.
    """
    written, image = images[0]
    return finding(
        "W225",
        f"{len(images)} files do not lie where the {where} say, and were found by the end of their path, e.g. "
        f"{image} for {printable(written)}",
        [image for _, image in images],
        "no action is needed if these are the files that are meant",
    )


def _one_of_each_kind(broken: Sequence[tuple[Path, str]]) -> list[str]:
    """`file: reason` for the first of each of the first kinds of reasons."""
    kinds: dict[str, str] = {}
    for file, reason in broken:
        kinds.setdefault(_PARTICULARS.sub("", reason), f"{printable(file)}: {reason}")
    return list(kinds.values())[:_KINDS]
