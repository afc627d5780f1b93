"""Findings about a data set, derived from the examinations of its pairs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pixelwise.datasets.auditing.conventions import mixed_conventions
from pixelwise.datasets.auditing.correspondence import MaskFit
from pixelwise.datasets.auditing.examination import Examination, relative_name
from pixelwise.datasets.auditing.facts import Cases, Facts
from pixelwise.datasets.auditing.mask_conclusions import disturbed, nothing_to_learn
from pixelwise.datasets.auditing.shared_images import Twins, divided_series, leaks, near_duplicates
from pixelwise.datasets.auditing.sums import SplitSums
from pixelwise.datasets.explanations import (
    describe_counts,
    describe_ids,
    explain_colors_without_table,
    explain_unknown_ids,
    label_map_override,
    number_of,
)
from pixelwise.datasets.findings import Affected, Finding, finding
from pixelwise.datasets.reading.tiff import stack_in_words
from pixelwise.datasets.samples import WITHOUT_MASKS, Dataset, Sample
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import printable
from pixelwise.storage.names import counted, some

# A message names at most this many classes.
_NAMED = 8
_CLASSES_OF_ALPHA = 2
_HAS = ("has", "have")
# Masks that are exchanged here and there are fewer than this share.
_SHIFTED = 0.3
_OF_MASKS = frozenset({"D202", "D203", "D204", "D205", "D206", "W213", "W217", "W218", "W263"})
# Deviations from the mean that hold practically all values, and the least one of pictures with enough levels of 255.
_WITHIN, _FEW_LEVELS = 4, 4
_SUPERSEDED = {
    "D262": _OF_MASKS | {"D260", "D264"},
    "D261": _OF_MASKS,
    "D260": frozenset({"D202", "D203", "D204", "D205", "D264", "W218", "W263"}),
    "D203": frozenset({"D202", "D203"}),
}
"""Code of a finding about all masks -> codes of findings that it explains."""


def collect_findings(
    facts: Facts,
    splits: Mapping[str, SplitSums],
    every: Callable[[], Sequence[Examination]],
    changed: Sequence[Path],
    twins: Twins,
    fits: Sequence[MaskFit],
) -> tuple[Finding, ...]:
    """Collect all findings, errors first.

    Args:
        facts: What was learnt about all pairs; the problems noticed while opening the data set are included.
        splits: What was added up over the pairs of every split.
        every: Gives the examinations of all pairs, for findings that compare all masks; called only if there may be
            such findings.
        changed: Files whose content changed although their modification time did not.
        twins: Near-duplicates across splits, as in `Twins`.
        fits: How well the masks fit their photos.
    """
    dataset = facts.dataset
    pixels = {name: sums.pixels for name, sums in splits.items()}
    findings = [_relative(found, dataset.root) for found in dataset.problems]
    general, superfluous = _of_values(facts, every, findings)
    findings += _per_file(facts)
    findings = [*general, *(found for found in findings if found.code not in superfluous)]
    findings += _damaged_on_disk(dataset, changed)
    findings += leaks(dataset, splits)
    findings += near_duplicates(dataset, twins)
    findings += divided_series(dataset)
    findings += _foreign_masks(dataset, fits)
    findings += [found for found in _different_palettes(facts.palettes) if found.code not in superfluous]
    findings += _image_warnings(facts)
    findings += _coarse_values(dataset, splits)
    findings += _transparent_masks(facts)
    findings += facts.positions.findings()
    if not facts.unusable_labels:  # else the missing classes may be in the pairs that cannot be used
        labelled = {name: one for name, one in pixels.items() if dataset.splits[name] and name != WITHOUT_MASKS}
        findings += nothing_to_learn(dataset, labelled)
    findings += _class_warnings(facts, splits)
    # A name that resembles that of another data set matters least.
    return tuple(sorted(findings, key=lambda found: (found.severity != "error", found.code == "W262")))


def _coarse_values(dataset: Dataset, splits: Mapping[str, SplitSums]) -> list[Finding]:
    """W142 if the values of all bands lie in so small a part of `data.input_range` that few of 256 levels are left."""
    given = dataset.reading.input_range
    if given is None:
        return []
    low, width = given[0], given[1] - given[0]
    for name, sums in splits.items():
        mean, std = (np.array(values) for values in sums.normalisation())
        if not sums.images or not 0 < std.max() < _FEW_LEVELS / 255:
            continue
        least, most = (mean - _WITHIN * std).min(), (mean + _WITHIN * std).max()
        least, most = max(0.0, float(least)), min(1.0, float(most))
        digits = 1 - math.floor(math.log10(width * (most - least)))
        wanted = math.floor((low + width * least) * 10**digits), math.ceil((low + width * most) * 10**digits)
        wanted = ", ".join(f"{value / 10**digits:.{max(0, digits)}f}" for value in wanted)
        return [
            finding(
                "W142",
                f"the images of {name} use about {math.ceil(255 * (most - least))} of the 255 steps of "
                f"data.input_range=[{given[0]:g}, {given[1]:g}], so that most of what they show is lost by rounding",
                [],
                f"choose the range that the values have: for example, 'data.input_range=[{wanted}]', which is "
                f"{_WITHIN} standard deviations around their mean",
            )
        ]
    return []


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
    facts: Facts, every: Callable[[], Sequence[Examination]], opened: Sequence[Finding]
) -> tuple[list[Finding], frozenset[str]]:
    """Findings about the values of all masks, and the codes that they make superfluous.

    One cause for all masks explains the errors of single masks, whose own advice would be wrong.
    """
    dataset, general = facts.dataset, facts.swapped.findings(facts.dataset)
    if not general and (facts.conventions.may_be_mixed() or facts.disturbances.may_be_disturbed()):
        examinations = every()
        general = mixed_conventions(dataset, examinations) or disturbed(dataset, examinations)
    if any(found.code == "D260" for found in opened):
        general = [found for found in general if found.code not in ("D260", "W264")]
    if not general:
        general = _black_and_white(facts)
    codes = {found.code for found in general} | {"D260"} & {found.code for found in opened}
    return general, frozenset().union(*(_SUPERSEDED.get(code, ()) for code in codes))


def _per_file(facts: Facts) -> list[Finding]:
    """One finding per error code, covering all affected files."""
    dataset, findings = facts.dataset, []
    for code, cases in sorted(facts.errors.items()):
        if cases.first is None:
            raise AssertionError  # a code is there because of an error
        message, fix = _shorten(cases.first.message, dataset.root), _shorten(cases.first.help, dataset.root)
        if cases.files.number > 1:
            message, fix = _over_all(dataset, code, cases, message, fix)
        findings.append(finding(code, message, cases.files.first, fix, total=cases.files.number))
    return findings


def _over_all(dataset: Dataset, code: str, cases: Cases, message: str, fix: str) -> tuple[str, str]:
    """Message and fix for several files: pixel counts are summed; other messages quote the error of the first file."""
    number = cases.files.number
    if code == "D202" and not dataset.multilabel:
        unknown, seen = cases.unknown_ids, cases.raw_ids
        return (
            f"{number} masks contain {describe_counts(unknown)}; expected {describe_ids(dataset.label_table.ids)}",
            explain_unknown_ids(unknown, seen, len(dataset.classes), dataset.label_table.ids),
        )
    if code == "D205" and cases.all_colored:
        clause, help = explain_colors_without_table(cases.colors, len(dataset.classes))
        least = "at least " if cases.more_colors else ""
        return (
            f"{number} masks are RGB images with {least}{len(cases.colors)} colours; expected one channel of class "
            f"ids, or a colour table; {clause}",
            help,
        )
    return f"{number} files; the first: {message}", fix


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


def _black_and_white(facts: Facts) -> list[Finding]:
    table, seen = facts.dataset.label_table, facts.raw_ids
    if table.threshold is not None:
        return []  # with a threshold, 255 is the object
    if set(seen) != {0, IGNORE} or table.ids.get(IGNORE) != IGNORE:
        return []
    return [
        finding(
            "D206",
            f"the masks contain only {describe_counts(seen)}; 255 means ignored, so only one class is left",
            facts.with_ids.first,
            f"if 255 is the object, add {label_map_override({0: 0, IGNORE: 1})}",
            total=facts.with_ids.number,
        )
    ]


def _foreign_masks(dataset: Dataset, fits: Sequence[MaskFit]) -> list[Finding]:
    """W261 for masks whose borders do not lie on the edges of their photos."""
    suspects = [fit for fit in fits if fit.suspicious]
    if not suspects:
        return []
    wanted = {(fit.split, fit.id) for fit in suspects}
    names = {
        (split, sample.id): relative_name(sample.mask_path or sample.image_path, dataset.root)
        for split in dict.fromkeys(fit.split for fit in suspects)
        for sample in dataset.splits[split]
        if (split, sample.id) in wanted
    }
    files = [names[fit.split, fit.id] for fit in suspects]
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


def _different_palettes(masks: Affected) -> list[Finding]:
    """Palette masks that disagree on the colour of an id: their colours were probably indexed file by file."""
    if not masks.number:
        return []
    several = "palette mask assigns" if masks.number == 1 else "palette masks assign"
    return [
        finding(
            "W213",
            f"{masks.number} {several} a different colour to an id than earlier masks do, e.g. {masks.first[0]}: "
            "the editor may have indexed the colours separately in each file",
            masks.first,
            "if the colours rather than the indices encode the classes, set data.colors to read the masks by colour",
            total=masks.number,
        )
    ]


def _image_warnings(facts: Facts) -> list[Finding]:
    alpha = facts.dataset.reading.alpha
    axes = stack_in_words(facts.stack) if facts.stack is not None else ""
    cases = (
        (
            "W102",
            ("has a different format than its file name says", "have a different format than their file names say"),
            "rename them; other programs may fail to open them",
        ),
        (
            "W106",
            tuple(f"{verb} transparent pixels, read with data.alpha={alpha}" for verb in _HAS),
            "data.alpha=drop ignores the transparency, data.alpha=black blends the pixels onto black",
        ),
        (
            "W107",
            tuple(f"{verb} several frames or pages{axes}; only the first is used" for verb in _HAS),
            "export the frames as single images if another one is needed",
        ),
        (
            "W141",
            (
                "has 8 bits per channel and is read as it is, without data.input_range",
                "have 8 bits per channel and are read as they are, without data.input_range",
            ),
            "if their values have another range than those of the other images, convert them, or leave them out",
        ),
    )
    findings = []
    for code, (one, several), fix in cases:
        files = facts.images.get(code)
        if files is not None:
            text = _counted(files, f"image {one}", f"images {several}")
            findings.append(finding(code, f"{text}, e.g. {files.first[0]}", files.first, fix, total=files.number))
    return findings


def _counted(files: Affected, one: str, several: str) -> str:
    return f"{files.number} {one if files.number == 1 else several}"


def _transparent_masks(facts: Facts) -> list[Finding]:
    files = facts.see_through
    if not files.number:
        return []
    text = f"{_counted(files, 'mask has', 'masks have')} transparent pixels, whose values or colours count all the same"
    fix = "if transparency marks the background, read it instead: data.mask_channel=alpha data.mask_threshold=128"
    if len(facts.dataset.classes) > _CLASSES_OF_ALPHA:
        # What is opaque has several classes, which transparency cannot tell apart.
        fix = "nothing, if each colour is right; what an editor shows as a hole has a colour, too, and is read by it"
    return [finding("W140", f"{text}, e.g. {files.first[0]}", files.first, fix, total=files.number)]


def _class_warnings(facts: Facts, splits: Mapping[str, SplitSums]) -> list[Finding]:
    findings, void = [], facts.void
    if void.number:
        holds = _counted(void, "mask holds", "masks hold")
        text = f"{holds} only ignored pixels, so nothing can be learnt from them, e.g. {void.first[0]}"
        findings.append(finding("W212", text, void.first, "label them, or remove the pairs", total=void.number))
    for split, sums in splits.items():
        absent = [name for name, count in zip(facts.dataset.classes, sums.pixels, strict=True) if not count]
        if absent and any(sums.pixels):
            findings.append(_absent(facts.dataset, splits, split, absent))
    return findings


def _absent(dataset: Dataset, splits: Mapping[str, SplitSums], split: str, absent: Sequence[str]) -> Finding:
    """W210 for classes without a pixel in a split, with the files of other splits that show them."""
    ids = [dataset.classes.index(name) for name in absent]
    files, others = Affected(), []
    for other, sums in splits.items():
        holders = sums.rows_with(ids) if other != split else ()
        others += [other] if len(holders) else []
        for row in holders:
            files.add(lambda other=other, row=row: _shown(dataset, dataset.splits[other][int(row)]))
    what = "image" if dataset.multilabel else "mask"
    names, verb = some(absent, _NAMED), "has" if len(absent) == 1 else "have"
    elsewhere = ""
    if files.number:
        them = "it" if len(absent) == 1 else "them"
        elsewhere = f"; {' and '.join(others)} {'has' if len(others) == 1 else 'have'} pixels of {them} in "
        elsewhere += f"{counted(files.number, what)}, e.g. {files.first[0]}"
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
    return finding("W210", text, files.first, fix, total=files.number)


def _shown(dataset: Dataset, sample: Sample) -> str:
    """The mask of a pair, or its image where it has a mask per class."""
    path = sample.image_path if dataset.multilabel else sample.mask_path or sample.image_path
    return relative_name(path, dataset.root)
