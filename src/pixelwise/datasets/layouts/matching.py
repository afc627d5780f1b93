"""Matches images and masks by their names."""

from __future__ import annotations

import difflib
import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pixelwise.datasets.columns import ListedSamples, as_tuple, compact
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.endings import other_files
from pixelwise.datasets.layouts.listing import Entries, Entry, Listing, list_images
from pixelwise.datasets.layouts.words import IMAGE_WORDS, MASK_MARKS
from pixelwise.datasets.samples import Sample
from pixelwise.storage import printable
from pixelwise.storage.names import counted

_IMAGE = "|".join(IMAGE_WORDS)
_MASK = "|".join(MASK_MARKS)
_MASK_END = f"gtFine_labelIds|labelIds|{_MASK}"
# Suffixes and prefixes that tools add to the stems of images and masks; in a folder per image, they may be the stem.
_MASK_SUFFIX = re.compile(rf"([/_\-. ]({_MASK_END}|L)|\.(jpe?g|png|webp|tiff?|bmp|gif))$", re.IGNORECASE)
_IMAGE_SUFFIX = re.compile(rf"[/_\-. ](leftImg8bit|sat|{_IMAGE})$", re.IGNORECASE)
_MASK_PREFIX = re.compile(rf"(?:(?<=/)|^)({_MASK})[_\-. ]?(?=[^/]+$)", re.IGNORECASE)
_IMAGE_PREFIX = re.compile(rf"(?:(?<=/)|^)({_IMAGE})[_\-. ]?(?=[^/]+$)", re.IGNORECASE)
# A single letter is too ambiguous where images and masks share a folder.
_APPENDED = re.compile(rf"(^|[_\-. ])({_MASK_END})$|^({_MASK})(?=[_\-. \d])", re.IGNORECASE)
_CANDIDATES = 2000


def is_mask_name(stem: str) -> bool:
    """Whether a file name, without its extension, has a part that tools add to the names of masks."""
    return _APPENDED.search(stem) is not None


def match_folders(split: str, images: Path, masks: Path) -> tuple[tuple[Sample, ...], list[Finding]]:
    """Pair the images below one folder with the masks below another; see `match_files`."""
    image_listing = list_images(images)
    # A split without labels has no folder of masks, which is not an error.
    mask_listing = list_images(masks) if masks.is_dir() else Listing([], [])
    samples, findings = match_files(split, image_listing.entries, mask_listing.entries, masks=masks)
    return samples, [*image_listing.problems, *mask_listing.problems, *findings]


def match_files(
    split: str,
    image_entries: Sequence[Entry],
    mask_entries: Sequence[Entry],
    *,
    masks: Path,
    base: Callable[[str], str] | None = None,
) -> tuple[tuple[Sample, ...], list[Finding]]:
    """Pair images and masks that have the same key; samples are sorted by id.

    Files without a partner of the same name are tried again without the suffixes and prefixes that tools add
    (`street_mask.png`, `street_L.png`, `street.jpg.png`; `image_1.jpg` with `mask_1.png`).

    Args:
        split: Name of the split, for messages.
        image_entries: Images of the split.
        mask_entries: Masks of the split.
        masks: Folder of the masks, for messages.
        base: Reduces a key to the part that an image and its mask have in common; None uses the whole key.

    Returns:
        The samples, and findings: D130 for ambiguous names, D220 for files without a partner, D221 for an empty split,
        W220 for a split other than `train` without any mask.
    """
    if base is None and isinstance(image_entries, Entries) and isinstance(mask_entries, Entries):
        alike = _match_names(split, image_entries, mask_entries, masks)
        if alike is not None:
            return alike
    findings: list[Finding] = []
    base = base or (lambda key: key)
    images = _unique(split, "images", ((base(key), path) for key, path in image_entries), findings)
    labels = _unique(split, "masks", ((base(key), path) for key, path in mask_entries), findings)
    pairs = {key: (images[key], labels[key]) for key in images.keys() & labels.keys()}
    lonely_images = {key: path for key, path in images.items() if key not in pairs}
    lonely_masks = {key: path for key, path in labels.items() if key not in pairs}
    matches, doubtful = _loose_matches(lonely_images, lonely_masks)
    for image_key, mask_key in matches:
        pairs[image_key] = (lonely_images.pop(image_key), lonely_masks.pop(mask_key))
    findings += _ambiguous(split, doubtful, lonely_images, lonely_masks)
    findings += _left_over(split, images, lonely_images, lonely_masks, len(labels), masks)
    samples = (Sample(key, image, mask) for key, (image, mask) in sorted(pairs.items()))
    return compact(samples), findings


def _match_names(
    split: str, images: Entries, labels: Entries, masks: Path
) -> tuple[tuple[Sample, ...], list[Finding]] | None:
    """What `match_files` gives where names are unambiguous and all that have a partner share its name; None elsewhere.

    No table of all names is made, which would take many times the memory of the samples.
    """
    if not (images and labels and _are_plain(images) and _are_plain(labels)):
        return None
    image_rows, mask_rows = array("q"), array("q")
    lonely: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    here = there = 0
    while here < len(images) or there < len(labels):
        key = images.keys[images.rows[here]] if here < len(images) else None
        other = labels.keys[labels.rows[there]] if there < len(labels) else None
        if key is not None and key == other:
            image_rows.append(images.rows[here])
            mask_rows.append(labels.rows[there])
        elif other is None or (key is not None and key < other):
            lonely[0][images[here].key] = images[here].path
        else:
            lonely[1][other] = labels[there].path
        here += key is not None and (other is None or key <= other)
        there += other is not None and (key is None or other <= key)
    if any(_loose_matches(*lonely)):
        return None
    findings = _unpaired(split, *lonely, len(images), len(labels), masks)
    if not image_rows:
        return (), findings
    labels.files.share_names(images.files.names)
    rows = [
        entries.rows if len(chosen) == len(entries) else chosen
        for entries, chosen in ((images, image_rows), (labels, mask_rows))
    ]
    return as_tuple(ListedSamples(images.keys, [images.files, labels.files], [rows[0], *rows])), findings


def _are_plain(entries: Entries) -> bool:
    """Whether keys differ, and not in upper and lower case alone."""
    hashes = np.fromiter((hash(key.casefold()) for key in entries.keys), np.int64, len(entries))
    hashes.sort()
    # Keys of the same hash are held to differ in case alone: whoever calls this looks closer then.
    return entries.distinct and not np.any(hashes[1:] == hashes[:-1])


def match_classes(
    split: str,
    image_entries: Sequence[Entry],
    mask_entries: Mapping[str, Sequence[Entry]],
    classes: Sequence[str],
    *,
    ignore: str,
    masks: Path,
) -> tuple[tuple[Sample, ...], list[Finding]]:
    """Pair images with one mask per class, sorted by id; an image needs a mask of at least one class.

    Args:
        split: Name of the split, for messages.
        image_entries: Images of the split.
        mask_entries: Class name -> its masks; `ignore` -> masks of the ignored pixels.
        classes: Class names, in their order.
        ignore: Key in `mask_entries` for the ignored pixels.
        masks: Folder of the masks, for messages.

    Returns:
        The samples, and findings as in `match_files`.
    """
    findings: list[Finding] = []
    images = _unique(split, "images", ((key, path) for key, path in image_entries), findings)
    found: dict[str, dict[str, Path]] = {}
    lonely_masks: dict[str, Path] = {}
    total = 0
    for name in (*classes, ignore):
        labels = _unique(split, f"masks of {name}", ((k, path) for k, path in mask_entries.get(name, ())), findings)
        matches = [(key, key) for key in labels if key in images]
        images_left = {key: path for key, path in images.items() if key not in labels}
        masks_left = {key: path for key, path in labels.items() if key not in images}
        loose, doubtful = _loose_matches(images_left, masks_left)
        matches += loose
        findings += _ambiguous(split, doubtful, dict(images), masks_left)
        for image_key, mask_key in matches:
            found.setdefault(image_key, {})[name] = labels[mask_key]
        used = {mask_key for _, mask_key in matches}
        lonely_masks |= {f"{name}/{key}": path for key, path in masks_left.items() if key not in used}
        total += len(labels)
    samples: list[Sample] = []
    for key, paths in sorted(found.items()):
        per_class = tuple(paths.get(name) for name in classes)
        first = next((path for path in per_class if path is not None), None)
        if first is not None:
            samples.append(Sample(key, images[key], first, per_class, paths.get(ignore)))
    paired = {sample.id for sample in samples}
    lonely_images = {key: path for key, path in images.items() if key not in paired}
    findings += _left_over(split, images, lonely_images, lonely_masks, total, masks)
    return compact(samples), findings


def _left_over(
    split: str,
    images: dict[str, Path],
    lonely_images: dict[str, Path],
    lonely_masks: dict[str, Path],
    num_masks: int,
    masks: Path,
) -> list[Finding]:
    """Findings about files without a partner."""
    if not num_masks and images and split != "train":
        return [
            finding(
                "W220",
                f"{split}: {len(images)} images but no masks; the split is left out",
                [printable(path) for path in images.values()],
                f"images without masks can be predicted but not scored; masks are expected in {printable(masks)}",
            )
        ]
    findings = _unpaired(split, lonely_images, lonely_masks, len(images), num_masks, masks)
    if not images:
        findings.append(
            finding("D221", f"split '{split}' is empty: no image was found", [], "add images, or remove its folders")
        )
    return findings


def _unique(split: str, what: str, entries: Iterable[tuple[str, Path]], findings: list[Finding]) -> dict[str, Path]:
    """Path by key; several files with one key, or keys that differ only in case, become findings."""
    by_key: dict[str, list[Path]] = {}
    for key, path in entries:
        by_key.setdefault(key, []).append(path)
    doubles = [printable(path) for paths in by_key.values() if len(paths) > 1 for path in paths]
    if doubles:
        findings.append(
            finding(
                "D130",
                f"{split}: {len(doubles)} {what} have the same name except for extension or Unicode normalisation, "
                f"e.g. {doubles[0]} and {doubles[1]}; the first one is used",
                doubles,
                "keep one file per name",
            )
        )
    by_case: dict[str, list[Path]] = {}
    for key, paths in by_key.items():
        by_case.setdefault(key.casefold(), []).append(paths[0])
    alike = [printable(path) for paths in by_case.values() if len(paths) > 1 for path in paths]
    if alike:
        findings.append(
            finding(
                "D130",
                f"{split}: {len(alike)} {what} have names that differ only in case, "
                f"e.g. {alike[0]} and {alike[1]}: macOS and Windows treat them as one file",
                alike,
                "rename one of them",
            )
        )
    return {key: paths[0] for key, paths in by_key.items()}


def _loose_matches(
    images: dict[str, Path], masks: dict[str, Path]
) -> tuple[list[tuple[str, str]], list[tuple[set[str], set[str]]]]:
    """Keys of images and masks that agree once the tools' additions are stripped.

    Returns:
        Pairs of keys, and sets of images and masks that could belong together in several ways.
    """
    by_stem: dict[str, list[str]] = {}
    for key in images:
        for stem in {key, _IMAGE_SUFFIX.sub("", key), _IMAGE_PREFIX.sub("", key)}:
            by_stem.setdefault(stem, []).append(key)
    matches: dict[str, list[str]] = {}
    doubtful: list[tuple[set[str], set[str]]] = []
    for key in masks:
        found = sorted((by_stem[stem] for stem in _mask_stems(key) if stem in by_stem), key=len)
        if found and len(found[0]) == 1:
            matches.setdefault(found[0][0], []).append(key)
        elif found:
            doubtful.append((set(found[0]), {key}))
    doubtful += [({image}, set(found)) for image, found in matches.items() if len(found) > 1]
    return [(image, found[0]) for image, found in matches.items() if len(found) == 1], doubtful


def _ambiguous(
    split: str, doubtful: Sequence[tuple[set[str], set[str]]], images: dict[str, Path], masks: dict[str, Path]
) -> list[Finding]:
    """D130 for images and masks that could belong together in several ways; they are removed from both tables."""
    files: list[str] = []
    texts: list[str] = []
    for image_keys, mask_keys in doubtful:
        some_images = [printable(images[key]) for key in sorted(image_keys) if key in images]
        some_masks = [printable(masks[key]) for key in sorted(mask_keys) if key in masks]
        if len(mask_keys) > 1:
            texts.append(f"{' and '.join(some_masks)} may both be the mask of {' or '.join(some_images)}")
        else:
            texts.append(f"{' or '.join(some_masks)} may be the mask of {' or of '.join(some_images)}")
        files += [*some_images, *some_masks]
    for image_keys, mask_keys in doubtful:
        for key in image_keys:
            images.pop(key, None)
        for key in mask_keys:
            masks.pop(key, None)
    if not texts:
        return []
    more = f" (and {len(texts) - 1} more of this kind)" if len(texts) > 1 else ""
    return [
        finding(
            "D130",
            f"{split}: {texts[0]}{more}; they are left out",
            list(dict.fromkeys(files)),
            "keep one mask per image, or give each mask the name of its image",
        )
    ]


def _mask_stems(key: str) -> list[str]:
    """A mask's key, then the key with more and more of the tools' additions stripped."""
    once = _MASK_SUFFIX.sub("", key)
    return [key, once, _MASK_SUFFIX.sub("", once), _MASK_PREFIX.sub("", key)]


def _unpaired(
    split: str, images: dict[str, Path], masks: dict[str, Path], num_images: int, num_masks: int, folder: Path
) -> list[Finding]:
    if images and masks and (len(images), len(masks)) == (num_images, num_masks):
        return [_strangers(split, images, masks, folder)]
    findings = []
    for alone, others, number, text in (
        (images, masks, num_images, "mask"),
        (masks, images, num_masks, "image"),
    ):
        if not alone:
            continue
        key = next(iter(alone))
        near = difflib.get_close_matches(key, list(others)[:_CANDIDATES], n=1, cutoff=0.4)
        nearest = f"; nearest name: {printable(others[near[0]].name)}" if near else ""
        what = "images" if text == "mask" else "masks"
        verb = "has" if len(alone) == 1 else "have"
        cause, fix = _cause(images, masks, len(alone) == number, folder)
        findings.append(
            finding(
                "D220",
                f"{split}: {len(alone)} of {number} {what} {verb} no {text}, e.g. {printable(alone[key].name)}"
                f"{nearest}{cause}",
                [printable(path) for path in alone.values()],
                fix,
            )
        )
    return findings


def _strangers(split: str, images: dict[str, Path], masks: dict[str, Path], folder: Path) -> Finding:
    """D220 for images and masks of which none belong together."""
    key = next(iter(images))
    near = difflib.get_close_matches(key, list(masks)[:_CANDIDATES], n=1, cutoff=0.4)
    example = printable(images[key].name)
    if near:
        example += f", whose nearest is {printable(masks[near[0]].name)}"
    cause, fix = _cause(images, masks, True, folder)
    return finding(
        "D220",
        f"{split}: none of {counted(len(images), 'image')} has a mask of its name among {counted(len(masks), 'mask')}, "
        f"e.g. {example}{cause}",
        [printable(path) for path in (*images.values(), *masks.values())],
        fix,
    )


def _cause(images: dict[str, Path], masks: dict[str, Path], none: bool, folder: Path) -> tuple[str, str]:
    """Why files have no partner, as far as it can be told, and what to do.

    Args:
        images: Images without a mask.
        masks: Masks without an image.
        none: Whether no file has a partner; then there is nothing to train on without them.
        folder: Folder of the masks.
    """
    where = printable(folder)
    stems = {stem.casefold(): (stem, path) for key, path in masks.items() for stem in _mask_stems(key)}
    for key in images:
        if key.casefold() in stems:
            stem, mask = stems[key.casefold()]
            alike = mask.name.replace(Path(stem).name, Path(key).name, 1)
            return (
                "; names differ in upper and lower case",
                f"rename the masks as their images are: {printable(mask.name)} to {printable(alike)}, and so on",
            )
    rename = f"give each mask the name of its image and put it into {where}"
    if not none:
        return "", f"{rename}; or remove the files, or train without them: 'data.allow=[\"D220\"]'"
    if len(images) == len(masks):
        order = f"{printable(min(images.values()).name)} with {printable(min(masks.values()).name)}, and so on"
        return (
            "; there are as many images as masks, under other names",
            f"{rename}; if both are in the same order ({order}), write the pairs into train.txt and val.txt: one "
            "`IMAGE MASK` per line",
        )
    words, advice = other_files(folder)
    cause = f"; {where} holds {words} instead" if words and not masks else ""
    return cause, f"{advice}; {rename}" if cause and advice else rename
