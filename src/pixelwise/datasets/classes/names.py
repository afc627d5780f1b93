"""Assigns classes to the labels of annotations, for masks drawn from LabelMe, COCO, YOLO, CVAT and Label Studio."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from pixelwise.datasets.classes.agreement import normal_name
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.outlines import BACKGROUND, IGNORED_LABEL
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import printable
from pixelwise.storage.names import some

_SHOWN = 5


class LabelClasses(NamedTuple):
    """The result of `label_classes`.

    Attributes:
        classes: Class names; the position is the class id.
        ids: Raw value of the drawn masks -> class id or 255 (ignored).
        problems: D207 for labels that have no class, W229 for classes whose names differ only in their spelling.
    """

    classes: tuple[str, ...]
    ids: dict[int, int]
    problems: tuple[Finding, ...]


def label_classes(
    label_names: Mapping[int, str],
    classes: Sequence[str] | None,
    labels: Mapping[str, int] | None,
    order: Sequence[str] | None,
) -> LabelClasses:
    """Assign a class to each label.

    Without `labels`, a label belongs to the class of the same name. Pixels that no annotation covers belong to the
    class `background` if there is one. With `labels` that do not name it, they are class 0 unless a label is mapped to
    0. Otherwise they are ignored.

    Args:
        label_names: Raw value of the drawn masks -> label.
        classes: Class names chosen by the user; None takes `order`.
        labels: Label -> class id or 255, chosen by the user.
        order: Labels in the layout's own order, `background` first.
    """
    if labels is None:
        names = tuple(classes if classes is not None else order or ())
        class_of = {name: class_id for class_id, name in enumerate(names)}
        background = class_of.get(BACKGROUND, IGNORE)
    else:
        background = labels.get(BACKGROUND, IGNORE if 0 in labels.values() else 0)
        names = tuple(classes or _names(labels, background))
        class_of = dict(labels)
    class_of |= {BACKGROUND: background, IGNORED_LABEL: class_of.get(IGNORED_LABEL, IGNORE)}
    unknown = sorted(name for name in label_names.values() if name not in class_of)
    ids = {raw: class_of.get(name, IGNORE) for raw, name in sorted(label_names.items())}
    problems = _unknown_labels(unknown, names, labels)
    if labels is None and classes is None:
        problems += _spelled_differently(names, set(label_names.values()))
    return LabelClasses(names, ids, tuple(problems))


def _names(labels: Mapping[str, int], background: int) -> list[str]:
    """Name every class after the first label mapped to it, or `background` if no label is mapped to its class."""
    named: dict[int, str] = {}
    for label, class_id in labels.items():
        if class_id != IGNORE:
            named.setdefault(class_id, label)
    if background != IGNORE:
        named.setdefault(background, BACKGROUND)
    return [named.get(class_id, f"class_{class_id}") for class_id in range(max(named, default=-1) + 1)]


def _spelled_differently(names: Sequence[str], used: Collection[str]) -> list[Finding]:
    """W229 if annotations spell what may be one class in several ways, each of which is a class of its own."""
    spelled: dict[str, list[str]] = {}
    for name in names:
        if name in used:
            spelled.setdefault(normal_name(name), []).append(name)
    several = [found for found in spelled.values() if len(found) > 1]
    if not several:
        return []
    place = {name: class_id for class_id, found in enumerate(spelled.values()) for name in found}
    shown = "; ".join(", ".join(f"'{printable(name)}'" for name in found) for found in several[:_SHOWN])
    more = f"; and {len(several) - _SHOWN} more" if len(several) > _SHOWN else ""
    return [
        finding(
            "W229",
            f"the annotations spell what may be one class in several ways, which are classes of their own: "
            f"{shown}{more}",
            [printable(name) for found in several for name in found],
            f"to read each as one class, add {_labels_override(place)}",
        )
    ]


def _labels_override(mapping: Mapping[str, int]) -> str:
    """The command-line override for the classes of labels, quoted for a shell."""
    entries = ", ".join(f"{json.dumps(name, ensure_ascii=False)} = {class_id}" for name, class_id in mapping.items())
    return shlex.quote(f"data.labels={{{entries}}}")


def _unknown_labels(unknown: Sequence[str], names: Sequence[str], labels: Mapping[str, int] | None) -> list[Finding]:
    if not unknown:
        return []
    shown = some([f"'{printable(name)}'" for name in unknown])
    known = ", ".join(f"'{printable(name)}'" for name in (names if labels is None else labels))
    where = "data.classes" if labels is None else "data.labels"
    ignored = ", ".join(f'"{name}" = {IGNORE}' for name in unknown)
    kept = ", ".join(
        f'"{name}" = {class_id}' for name, class_id in (labels or {n: i for i, n in enumerate(names)}).items()
    )
    return [
        finding(
            "D207",
            f"the annotations contain labels that {where} does not name: {shown}; it names {known}",
            [printable(name) for name in unknown],
            f"to ignore their pixels, set 'data.labels={{{kept}, {ignored}}}'; if they are classes, add them to "
            f"{where}",
        )
    ]
