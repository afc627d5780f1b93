"""Samples of loose files by columns: names in one block of memory, folders once, and a `Sample` when it is asked for.

A sample that is an object takes 600 bytes, most of them for its two paths; here it takes the characters of its names
and about twenty bytes.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

from pixelwise.datasets.samples import Sample

# Names of files may hold bytes that are no text, which Python keeps as lone surrogates.
_ENCODING = ("utf-8", "surrogatepass")
_NOWHERE = -1


class Texts(Sequence[str]):
    """Texts that are only appended to, each at the cost of its characters and eight bytes."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._characters = bytearray()
        self._ends = array("q", [0])
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Add a text to the end."""
        self._characters += text.encode(*_ENCODING)
        self._ends.append(len(self._characters))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, position: int) -> str:  # type: ignore[override]
        begin, end = self._ends[position], self._ends[position + 1]
        return self._characters[begin:end].decode(*_ENCODING)

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Texts):
            return NotImplemented
        return self._ends == other._ends and self._characters == other._characters

    __hash__ = None  # type: ignore[assignment]


class Files:
    """Paths of files that are only appended to: their names, and every folder once. None takes a place, too."""

    def __init__(self) -> None:
        self.names = Texts()
        self._folders: list[Path] = []
        self._numbers: dict[Path, int] = {}
        self._of = array("i")

    def append(self, path: Path | None) -> None:
        """Add a path, or a place without one, to the end."""
        if path is None:
            self.names.append("")
            self._of.append(_NOWHERE)
        else:
            self.append_in(path.parent, path.name)

    def append_in(self, folder: Path, name: str) -> None:
        """Add the file of a folder to the end."""
        number = self._numbers.get(folder)
        if number is None:
            number = self._numbers[folder] = len(self._folders)
            self._folders.append(folder)
        self.names.append(name)
        self._of.append(number)

    def __len__(self) -> int:
        return len(self._of)

    def __getitem__(self, position: int) -> Path | None:
        number = self._of[position]
        return None if number == _NOWHERE else self._folders[number] / self.names[position]

    def share_names(self, names: Texts) -> None:
        """Use these names instead of the own ones if they are the same."""
        if self.names == names:
            self.names = names


class ListedSamples(Sequence[Sample]):
    """Samples by columns. Each is made anew when it is asked for.

    Args:
        ids: Ids of the samples.
        files: The files of the images, those of the masks, and for multi-label data those of each class and those of
            the ignored pixels.
        rows: For the ids and for each column of files, the positions of the samples there; None for all in their order.
    """

    def __init__(self, ids: Texts, files: Sequence[Files], rows: Sequence[Sequence[int]] | None = None) -> None:
        self._ids, self._files = ids, tuple(files)
        self._rows = tuple(rows or (range(len(ids)),) * (1 + len(self._files)))

    def __len__(self) -> int:
        return len(self._rows[0])

    @overload
    def __getitem__(self, position: int) -> Sample: ...
    @overload
    def __getitem__(self, position: slice) -> ListedSamples: ...
    def __getitem__(self, position: int | slice) -> Sample | ListedSamples:
        if isinstance(position, slice):
            return ListedSamples(self._ids, self._files, [rows[position] for rows in self._rows])
        return self._sample(*(rows[position] for rows in self._rows))

    def __iter__(self) -> Iterator[Sample]:
        return itertools.starmap(self._sample, zip(*self._rows, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (ListedSamples, tuple)):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ListedSamples({list(self)})"

    def ids(self) -> Iterator[str]:
        """See `pixelwise.datasets.samples.Unmade`."""
        return map(self._ids.__getitem__, self._rows[0])

    def chosen(self, places: Sequence[int]) -> tuple[Sample, ...]:
        """See `pixelwise.datasets.samples.Unmade`."""
        rows = [array("q", map(rows.__getitem__, places)) for rows in self._rows]
        return as_tuple(ListedSamples(self._ids, self._files, rows))

    def _sample(self, row: int, *rows: int) -> Sample:
        image, mask, *classes = (files[place] for files, place in zip(self._files, rows, strict=True))
        if image is None:
            raise AssertionError  # every sample has an image
        if not classes:
            return Sample(self._ids[row], image, mask)
        return Sample(self._ids[row], image, mask, tuple(classes[:-1]), classes[-1])


def compact(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The samples by columns; as they are if their files are more than paths, or their numbers of masks differ."""
    rest = iter(samples)
    first = next(rest, None)
    if first is None:
        return ()
    plain, masks = type(Path()), len(first.class_masks)
    ids, files = Texts(), tuple(Files() for _ in range(2 + (masks + 1 if masks else 0)))
    for sample in itertools.chain((first,), rest):
        columns = (sample.image_path, sample.mask_path, *sample.class_masks)
        if masks or sample.ignore_mask is not None:
            columns = (*columns, sample.ignore_mask)
        if len(columns) != len(files) or any(type(path) is not plain for path in columns if path is not None):
            return (*as_tuple(ListedSamples(ids, files)), sample, *rest)
        ids.append(sample.id)
        for column, path in zip(files, columns, strict=True):
            column.append(path)
    for column in files[1:]:
        column.share_names(files[0].names)
    return as_tuple(ListedSamples(ids, files))


def as_tuple(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The same object: whoever uses the samples of a split treats a tuple as a sequence."""
    same: object = samples
    return same  # type: ignore[return-value]
