"""Refuses data whose masks mean something else than their values say, before a network is scored on it.

Training audits the data that it sees. Data that a network is scored on later can hold mistakes that no single mask
shows: the object is 255 in all masks, where it means ignored, or 1 in some and 255 in others.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection

import msgspec

from pixelwise.datasets.auditing.audit import audit, raise_for_errors
from pixelwise.datasets.format import format_of
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.observer import SILENT, Observer
from pixelwise.storage import printable

ABOUT_VALUES = frozenset({"D202", "D203", "D204", "D205", "D206", "D260", "D261", "D262", "D264"})
"""Codes of errors of the audit that say what the values of masks mean."""


class _Phases(Observer):
    """Passes on what is being done, but not its progress, which counts scored images for the callers of `evaluate`."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def phase(self, name: str, unit: str = "") -> None:
        self._observer.phase(name, unit)


def refuse_other_values(
    dataset: Dataset, split: str, *, allow: Collection[str] = (), observer: Observer = SILENT
) -> None:
    """Raise the error of the audit if the masks of a split, taken together, would be read wrongly.

    Other errors of the audit do not concern a score. Public data sets are read by their published values, and masks per
    class (multi-label data) one by one; neither is examined.

    Args:
        dataset: The data set, with the classes of the network.
        split: Name of the split.
        allow: Codes of errors that the user accepts.
        observer: Receives the phase.

    Raises:
        DataError: D202 to D206, D260 to D262 or D264, with the fix that `pixelwise check` prints.
    """
    if dataset.multilabel or format_of(dataset.name).classes is not None:
        return
    found = audit(dataset, splits=[split], observer=_Phases(observer))
    about_values = tuple(one for one in found.findings if one.code in ABOUT_VALUES)
    raise_for_errors(msgspec.structs.replace(found, findings=about_values), tuple(allow))


def refuse_undescribed_values(dataset: Dataset, split: str) -> None:
    """As `refuse_other_values`, for a verb that takes no settings of how data is read: a description helps there.

    Raises:
        DataError: As `refuse_other_values`, with a fix that the verb takes.
    """
    try:
        refuse_other_values(dataset, split)
    except DataError as error:
        raise DataError(
            error.code,
            error.message,
            "say what the values mean in dataset.toml in the folder of the data (`label_map = { RAW = ID, ... }`, "
            f"255 = ignored); `pixelwise check {shlex.quote(printable(dataset.root))}` proposes a map",
        ) from error
