"""Findings about a data set, derived from the examinations of its pairs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pixelwise.datasets.auditing.conventions import mixed_conventions
from pixelwise.datasets.auditing.correspondence import MaskFit
from pixelwise.datasets.auditing.examination import Examination, mask_name, relative_name
from pixelwise.datasets.auditing.mask_conclusions import disturbed, nothing_to_learn, swapped
from pixelwise.datasets.auditing.near_duplicates import HashedImage
from pixelwise.datasets.auditing.positions import position_findings
from pixelwise.datasets.explanations import (
    describe_counts,
    describe_ids,
    explain_colors_without_table,
    explain_unknown_ids,
    label_map_override,
    number_of,
)
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.labels import add_counts
from pixelwise.datasets.reading.areas import MAX_VALUES
from pixelwise.datasets.reading.tiff import stack_in_words
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import printable
from pixelwise.storage.names import counted, some

Twins = Mapping[tuple[str, str], Sequence[tuple[HashedImage, HashedImage, int]]]
"""Two splits -> near-duplicates: an image of the first, one of the second, and the Hamming distance of their hashes."""

# A message names at most this many classes.
_NAMED = 8
_CLASSES_OF_ALPHA = 2
_HAS = ("has", "have")
# Masks that are exchanged here and there are fewer than this share.
_SHIFTED = 0.3
_OF_MASKS = frozenset({"D202", "D203", "D204", "D205", "D206", "W213", "W217", "W218", "W263"})
_SUPERSEDED = {
    "D262": _OF_MASKS | {"D260", "D264"},
    "D261": _OF_MASKS,
    "D260": frozenset({"D202", "D203", "D204", "D205", "D264", "W218", "W263"}),
    "D203": frozenset({"D202", "D203"}),
}
"""Code of a finding about all masks -> codes of findings that it explains."""


def collect_findings(
    dataset: Dataset,
    examinations: Sequence[Examination],
    pixels: Mapping[str, Sequence[int]],
    changed: Sequence[Path],
    twins: Twins,
    fits: Sequence[MaskFit],
) -> tuple[Finding, ...]:
    """Collect all findings, errors first.

    Args:
        dataset: The data set; the problems noticed while opening it are included.
        examinations: The examinations of all pairs.
        pixels: Split -> number of labelled pixels of each class.
        changed: Files whose content changed although their modification time did not.
        twins: Near-duplicates across splits, as in `Twins`.
        fits: How well the masks fit their photos.
    """
    findings = [_relative(found, dataset.root) for found in dataset.problems]
    general, superfluous = _of_values(dataset, examinations, findings)
    findings += _per_file(dataset, examinations)
    findings = [*general, *(found for found in findings if found.code not in superfluous)]
    findings += _damaged_on_disk(dataset, changed)
    findings += _leaks(dataset, examinations)
    findings += _near_duplicates(dataset, twins)
    findings += _foreign_masks(dataset, examinations, fits)
    findings += [found for found in _different_palettes(dataset, examinations) if found.code not in superfluous]
    findings += _image_warnings(dataset, examinations)
    findings += _transparent_masks(dataset, examinations)
    findings += position_findings(dataset, examinations)
    findings += nothing_to_learn(dataset, examinations, pixels)
    findings += _class_warnings(dataset, examinations, pixels)
    # A name that resembles that of another data set matters least.
    return tuple(sorted(findings, key=lambda found: (found.severity != "error", found.code == "W262")))


def _shorten(text: str, root: Path) -> str:
    return text.replace(f"{printable(root)}/", "")


def _relative(found: Finding, root: Path) -> Finding:
    """The finding with paths relative to the data set's folder."""
    return Finding(
        code=found.code,
        severity=found.severity,
        message=_shorten(found.message, root),
        files=tuple(_shorten(file, root) for file in found.files),
        total=found.total,
        fix=_shorten(found.fix, root),
    )


def _of_values(
    dataset: Dataset, examinations: Sequence[Examination], opened: Sequence[Finding]
) -> tuple[list[Finding], frozenset[str]]:
    """Findings about the values of all masks, and the codes that they make superfluous.

    One cause for all masks explains the errors of single masks, whose own advice would be wrong.
    """
    general = swapped(dataset, examinations) or mixed_conventions(dataset, examinations)
    general = general or disturbed(dataset, examinations)
    if any(found.code == "D260" for found in opened):
        general = [found for found in general if found.code not in ("D260", "W264")]
    if not general:
        general = _black_and_white(dataset, examinations)
    codes = {found.code for found in general} | {"D260"} & {found.code for found in opened}
    return general, frozenset().union(*(_SUPERSEDED.get(code, ()) for code in codes))


def _per_file(dataset: Dataset, examinations: Iterable[Examination]) -> list[Finding]:
    """One finding per error code, covering all affected files."""
    by_code: dict[str, list[tuple[Examination, Path, DataError]]] = {}
    for examination in examinations:
        for path, error in examination.errors:
            by_code.setdefault(error.code, []).append((examination, path, error))
    findings = []
    for code, cases in sorted(by_code.items()):
        files = [relative_name(path, dataset.root) for _, path, _ in cases]
        first = cases[0][2]
        message, fix = _shorten(first.message, dataset.root), _shorten(first.help, dataset.root)
        if len(cases) > 1:
            message, fix = _over_all(dataset, code, [case[0] for case in cases], message, fix)
        findings.append(finding(code, message, files, fix))
    return findings


def _over_all(dataset: Dataset, code: str, cases: list[Examination], message: str, fix: str) -> tuple[str, str]:
    """Message and fix for several files: pixel counts are summed; other messages quote the error of the first file."""
    if code == "D202" and not dataset.multilabel:
        unknown = add_counts(case.unknown_ids for case in cases)
        seen = add_counts(case.raw_ids for case in cases)
        return (
            f"{len(cases)} masks contain {describe_counts(unknown)}; expected {describe_ids(dataset.label_table.ids)}",
            explain_unknown_ids(unknown, seen, len(dataset.classes), dataset.label_table.ids),
        )
    if code == "D205" and all(case.unknown_colors for case in cases):
        colors = add_counts(case.unknown_colors for case in cases)
        clause, help = explain_colors_without_table(colors, len(dataset.classes))
        least = "at least " if any(len(case.unknown_colors) == MAX_VALUES for case in cases) else ""
        return (
            f"{len(cases)} masks are RGB images with {least}{len(colors)} colours; expected one channel of class ids, "
            f"or a colour table; {clause}",
            help,
        )
    return f"{len(cases)} files; the first: {message}", fix


def _damaged_on_disk(dataset: Dataset, changed: Sequence[Path]) -> list[Finding]:
    if not changed:
        return []
    files = sorted(relative_name(path, dataset.root) for path in changed)
    return [
        finding(
            "D103",
            f"{files[0]}: the content has changed since an earlier audit, although size and modification time have "
            "not: the file was damaged on disk or while being copied",
            files,
            "restore the file from a backup; if the change was intended, `touch` it",
        )
    ]


def _leaks(dataset: Dataset, examinations: Iterable[Examination]) -> list[Finding]:
    """Identical images in several splits, which leak training data into the evaluation."""
    by_digest: dict[str, dict[str, Path]] = {}
    for examination in examinations:
        if examination.digest:
            paths = by_digest.setdefault(examination.digest, {})
            paths.setdefault(examination.split, examination.sample.image_path)
    shared: dict[tuple[str, ...], list[dict[str, Path]]] = {}
    for paths in by_digest.values():
        if len(paths) > 1:
            shared.setdefault(tuple(paths), []).append(paths)
    findings = []
    for splits, groups in shared.items():
        example = " and ".join(relative_name(groups[0][split], dataset.root) for split in splits)
        findings.append(
            finding(
                "D133",
                f"{_images(len(groups), 'is', 'are')} in {' and '.join(splits)} with identical content, e.g. "
                f"{example}: scores on {splits[-1]} would be too high",
                [relative_name(path, dataset.root) for group in groups for path in group.values()],
                f"remove them, with their masks, from {splits[0]} or from {splits[-1]}",
            )
        )
    return findings


def _images(number: int, one: str, several: str) -> str:
    return f"1 image {one}" if number == 1 else f"{number} images {several}"


def _near_duplicates(dataset: Dataset, twins: Twins) -> list[Finding]:
    """Images of two splits that look alike: re-encoded copies, or neighbouring frames of a video."""
    findings = []
    for (first, second), pairs in twins.items():
        one, other, _ = pairs[0]
        names = [relative_name(image.path, dataset.root) for pair in pairs for image in pair[:2]]
        example = f"{relative_name(other.path, dataset.root)} looks like {relative_name(one.path, dataset.root)}"
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


def _black_and_white(dataset: Dataset, examinations: Iterable[Examination]) -> list[Finding]:
    if dataset.label_table.threshold is not None:
        return []  # with a threshold, 255 is the object
    seen = add_counts(e.raw_ids for e in examinations)
    if set(seen) != {0, IGNORE} or dataset.label_table.ids.get(IGNORE) != IGNORE:
        return []
    files = [relative_name(e.sample.mask_path, dataset.root) for e in examinations if e.sample.mask_path and e.raw_ids]
    return [
        finding(
            "D206",
            f"the masks contain only {describe_counts(seen)}; 255 means ignored, so only one class is left",
            files,
            f"if 255 is the object, add {label_map_override({0: 0, IGNORE: 1})}",
        )
    ]


def _foreign_masks(dataset: Dataset, examinations: Iterable[Examination], fits: Sequence[MaskFit]) -> list[Finding]:
    """W261 for masks whose borders do not lie on the edges of their photos."""
    suspects = [fit for fit in fits if fit.suspicious]
    if not suspects:
        return []
    pairs = {(e.split, e.sample.id): e for e in examinations}
    files = [mask_name(pairs[fit.split, fit.id], dataset) for fit in suspects]
    first = suspects[0]
    masks = number_of(suspects, "mask does", "masks do")
    text = f"{masks} not fit the photo: the borders of the labels do not lie on its edges, e.g. {files[0]}"
    if first.other:
        text += f", which seems to be exchanged with that of {first.other}"
    if len(suspects) > _SHIFTED * len(fits):
        text += f"; with {len(suspects)} of {len(fits)} masks, the names may be shifted by one"
    look = f"pixelwise check {shlex.quote(printable(dataset.root))} --html page.html"
    fix = f"look at them (`{look}`), and give each mask the name of the photo it was drawn on"
    return [finding("W261", text, files, fix)]


def _different_palettes(dataset: Dataset, examinations: Iterable[Examination]) -> list[Finding]:
    """Palette masks that disagree on the colour of an id: their colours were probably indexed file by file."""
    colors: dict[int, tuple[int, int, int]] = {}
    files = []
    for examination in examinations:
        if any(colors.setdefault(raw_id, color) != color for raw_id, color in examination.colors.items()):
            files.append(relative_name(examination.sample.mask_path or examination.sample.image_path, dataset.root))
    if not files:
        return []
    return [
        finding(
            "W213",
            f"{number_of(files, 'palette mask assigns', 'palette masks assign')} a different colour to an id than "
            f"earlier masks do, e.g. {files[0]}: "
            "the editor may have indexed the colours separately in each file",
            files,
            "if the colours rather than the indices encode the classes, set data.colors to read the masks by colour",
        )
    ]


def _image_warnings(dataset: Dataset, examinations: Iterable[Examination]) -> list[Finding]:
    readable = [(e, e.image) for e in examinations if e.image is not None]
    stacks = [e for e, facts in readable if facts.animated]
    axes = stack_in_words(stacks[0].sample.image_path) if stacks else ""
    cases = (
        (
            "W102",
            [e for e, _ in readable if e.misnamed],
            ("has a different format than its file name says", "have a different format than their file names say"),
            "rename them; other programs may fail to open them",
        ),
        (
            "W106",
            [e for e, facts in readable if facts.transparent],
            tuple(f"{verb} transparent pixels, read with data.alpha={dataset.reading.alpha}" for verb in _HAS),
            "data.alpha=drop ignores the transparency, data.alpha=black blends the pixels onto black",
        ),
        (
            "W107",
            stacks,
            tuple(f"{verb} several frames or pages{axes}; only the first is used" for verb in _HAS),
            "export the frames as single images if another one is needed",
        ),
        (
            "W141",
            [e for e, facts in readable if dataset.reading.input_range is not None and not facts.ranged],
            (
                "has 8 bits per channel and is read as it is, without data.input_range",
                "have 8 bits per channel and are read as they are, without data.input_range",
            ),
            "if their values have another range than those of the other images, convert them, or leave them out",
        ),
    )
    findings = []
    for code, affected, (one, several), fix in cases:
        files = [relative_name(e.sample.image_path, dataset.root) for e in affected]
        if files:
            text = number_of(files, f"image {one}", f"images {several}")
            findings.append(finding(code, f"{text}, e.g. {files[0]}", files, fix))
    return findings


def _transparent_masks(dataset: Dataset, examinations: Iterable[Examination]) -> list[Finding]:
    files = [mask_name(e, dataset) for e in examinations if e.see_through]
    if not files:
        return []
    text = (
        f"{number_of(files, 'mask has', 'masks have')} transparent pixels, whose values or colours count all the same"
    )
    fix = "if transparency marks the background, read it instead: data.mask_channel=alpha data.mask_threshold=128"
    if len(dataset.classes) > _CLASSES_OF_ALPHA:
        # What is opaque has several classes, which transparency cannot tell apart.
        fix = "nothing, if each colour is right; what an editor shows as a hole has a colour, too, and is read by it"
    return [finding("W140", f"{text}, e.g. {files[0]}", files, fix)]


def _class_warnings(
    dataset: Dataset, examinations: Iterable[Examination], pixels: Mapping[str, Sequence[int]]
) -> list[Finding]:
    findings = []
    void = [e for e in examinations if e.pixels is not None and int(e.pixels[IGNORE]) == e.size[0] * e.size[1]]
    if void:
        files = [mask_name(e, dataset) for e in void]
        holds = number_of(files, "mask holds", "masks hold")
        text = f"{holds} only ignored pixels, so nothing can be learnt from them, e.g. {files[0]}"
        findings.append(finding("W212", text, files, "label them, or remove the pairs"))
    for split, counts in pixels.items():
        absent = [name for name, count in zip(dataset.classes, counts, strict=True) if not count]
        if absent and any(counts):
            findings.append(_absent(dataset, examinations, split, absent))
    return findings


def _absent(dataset: Dataset, examinations: Iterable[Examination], split: str, absent: Sequence[str]) -> Finding:
    """W210 for classes without a pixel in a split, with the files of other splits that show them."""
    ids = [dataset.classes.index(name) for name in absent]
    holders = [e for e in examinations if e.pixels is not None and e.split != split and any(e.pixels[i] for i in ids)]
    files, what = [mask_name(e, dataset) for e in holders], "mask"
    if dataset.multilabel:  # a pair has a mask per class
        files, what = [relative_name(e.sample.image_path, dataset.root) for e in holders], "image"
    names, verb = some(absent, _NAMED), "has" if len(absent) == 1 else "have"
    elsewhere = ""
    if files:
        others = list(dict.fromkeys(e.split for e in holders))
        them = "it" if len(absent) == 1 else "them"
        elsewhere = f"; {' and '.join(others)} {'has' if len(others) == 1 else 'have'} pixels of {them} in "
        elsewhere += f"{counted(len(files), what)}, e.g. {files[0]}"
    if "train" in split:
        text = f"{split}: {names} {verb} no pixels and cannot be learnt{elsewhere}"
        fix = "label more images that show such classes, so that every split has some; or leave the classes out"
    else:
        kept = len(dataset.classes) - len(absent)
        text = (
            f"{split}: {names} {verb} no pixels and cannot be measured there: means cover {kept} of "
            f"{len(dataset.classes)} classes, but a class that is predicted all the same has IoU 0{elsewhere}"
        )
        fix = "move images between the splits, so that each has some of every class; or leave the classes out"
    return finding("W210", text, files, fix)
