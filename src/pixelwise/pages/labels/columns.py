"""What is known of every pair of a data set, by columns: a few dozen bytes for each, however many there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pixelwise.datasets.auditing.examination import Examination
from pixelwise.datasets.auditing.facts import image_facts
from pixelwise.datasets.samples import Dataset, Sample, ids_of
from pixelwise.recipes.class_sets.tables import IGNORE

_FIRST = 1024


class Entries:
    """Rows of keys with a number each, appended by one thread while others read what is there.

    Rows are appended in increasing order; a row has each key at most once.
    """

    def __init__(self) -> None:
        self._rows = np.zeros(_FIRST, np.uint32)
        self._keys = np.zeros(_FIRST, np.uint16)
        self._numbers = np.zeros(_FIRST, np.int64)
        self._length = 0

    def add(self, row: int, keys: Sequence[int] | np.ndarray, numbers: Sequence[int] | np.ndarray) -> None:
        """Append the keys of a row, with their numbers."""
        begin, end = self._length, self._length + len(keys)
        while end > len(self._rows):
            # Whoever reads the shorter arrays keeps them.
            self._rows, self._keys, self._numbers = (
                np.concatenate([one, np.zeros_like(one)]) for one in (self._rows, self._keys, self._numbers)
            )
        self._rows[begin:end], self._keys[begin:end], self._numbers[begin:end] = row, keys, numbers
        self._length = end  # last, so that all before it can be read

    def read(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows uint32 (N,), keys uint16 (N,) and numbers int64 (N,); not to be written to."""
        length = self._length
        return self._rows[:length], self._keys[:length], self._numbers[:length]

    def of(self, row: int) -> dict[int, int]:
        """Key -> number, of one row."""
        rows, keys, numbers = self.read()
        begin, end = np.searchsorted(rows, [row, row + 1])
        return dict(zip(keys[begin:end].tolist(), numbers[begin:end].tolist(), strict=True))

    def rows_with(self, key: int) -> np.ndarray:
        """The rows that have a key, in increasing order."""
        rows, keys, _ = self.read()
        return rows[keys == key]


class Columns:
    """The pairs of all splits, in the order of the splits: a row for each.

    Args:
        dataset: The data set.

    Attributes:
        splits: Names of the splits.
        begins: First row of every split, and the number of rows.
        split: int16 (N,), number of the split.
        heights: int32 (N,), height of the image; 0 while it is unknown or if the image cannot be read.
        widths: int32 (N,), likewise.
        fits: float32 (N,), how well the mask fits its photo, in standard deviations; NaN if that is unknown.
        partners: Row -> row of the image whose mask seems to be exchanged with that of the first.
        classes: For every row the classes that it shows, with the number of their pixels.
        codes: Codes of findings, in the order in which they were found.
        findings: For every row the positions of its findings in `codes`.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.splits = tuple(dataset.splits)
        numbers = [len(samples) for samples in dataset.splits.values()]
        self.begins = np.cumsum([0, *numbers])
        self.split = np.repeat(np.arange(len(numbers), dtype=np.int16), numbers)
        self.heights, self.widths = np.zeros((2, len(self)), np.int32)
        self.fits = np.full(len(self), np.nan, np.float32)
        self.partners: dict[int, int] = {}
        self.classes, self.findings = Entries(), Entries()
        self.codes: list[str] = []
        self._ids: _Ids | None = None

    def __len__(self) -> int:
        return int(self.begins[-1])

    @property
    def number_of_classes(self) -> int:
        """Number of classes of the data set."""
        return len(self._dataset.classes)

    def place(self, row: int) -> tuple[str, Sample]:
        """Split and sample of a row.

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(row)
        name = self.splits[self.split[row]]
        return name, self._dataset.splits[name][row - int(self.begins[self.split[row]])]

    def row_of(self, split: str, id: str) -> int | None:
        """The row of a pair; None if there is none."""
        if split not in self.splits:
            return None
        number = self.splits.index(split)
        wanted = self._names().of(id)
        found = wanted[(wanted >= self.begins[number]) & (wanted < self.begins[number + 1])]
        return int(found[0]) if len(found) else None

    def named(self, text: str) -> np.ndarray:
        """The rows whose ids contain a text, in any case, in increasing order."""
        return self._names().containing(text)

    def add(self, row: int, one: Examination, codes: Iterable[str]) -> None:
        """Add what an examination tells of a row.

        Args:
            row: The row; rows are added in their order.
            one: The examination.
            codes: Codes of findings about the pair.
        """
        self.heights[row], self.widths[row] = one.size
        if one.pixels is not None:
            present = np.flatnonzero(one.pixels[: len(self._dataset.classes)])
            self.classes.add(row, present, one.pixels[present])
        self.mark(row, codes)

    def mark(self, row: int, codes: Iterable[str]) -> None:
        """Add findings about a row."""
        numbers = sorted({self._number(code) for code in codes})
        self.findings.add(row, numbers, [0] * len(numbers))

    def with_findings(self, found: dict[str, Iterable[int]]) -> Entries:
        """The findings of all rows together with some that concern many of them.

        Args:
            found: Code -> the rows that have it.
        """
        rows, keys, _ = self.findings.read()
        pairs = [np.stack([rows, keys]).astype(np.int64)]
        for code, members in found.items():
            every = np.fromiter(members, np.int64)
            pairs.append(np.stack([every, np.full(len(every), self._number(code))]))
        joined = np.unique(np.concatenate(pairs, axis=1), axis=1)
        result = Entries()
        # One row at a time would take as long as the examination.
        result.add(joined[0], joined[1], np.zeros(joined.shape[1], np.int64))
        return result

    def _number(self, code: str) -> int:
        if code not in self.codes:
            self.codes.append(code)
        return self.codes.index(code)

    def _names(self) -> _Ids:
        if self._ids is None:
            self._ids = _Ids(itertools.chain.from_iterable(map(ids_of, self._dataset.splits.values())))
        return self._ids


class _Ids:
    """Ids in one text, so that all of them are searched at once. Ids are printable: none has a line break."""

    def __init__(self, ids: Iterable[str]) -> None:
        listed = [id.lower() for id in ids]
        self._text = "\n".join(["", *listed, ""])
        self._begins = np.cumsum([0, *(len(id) + 1 for id in listed)])

    def containing(self, text: str) -> np.ndarray:
        if "\n" in text:
            return np.zeros(0, np.int64)
        return np.unique(np.fromiter(self._found(text.lower()), np.int64))

    def of(self, id: str) -> np.ndarray:
        """Rows of an id. Ids that differ in capitals alone are told apart by whoever asks."""
        return np.fromiter(self._found(f"\n{id.lower()}\n"), np.int64)

    def _found(self, text: str) -> Iterator[int]:
        place = self._text.find(text)
        while place >= 0:
            yield int(np.searchsorted(self._begins, place, side="right")) - 1
            place = self._text.find(text, place + 1)


def codes_of(one: Examination, dataset: Dataset) -> list[str]:
    """Codes of the findings that an examination alone tells: errors, and warnings about single images and masks."""
    codes = [error.code for _, error in one.errors]
    codes += [code for code, applies in image_facts(one, dataset) if applies]
    if one.see_through:
        codes.append("W140")
    if one.pixels is not None and int(one.pixels[IGNORE]) == one.size[0] * one.size[1]:
        codes.append("W212")
    return codes
