"""Finds files that seem to divide a data set but lie or look otherwise than the lists that are read."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pixelwise.datasets.layouts.listing import is_hidden
from pixelwise.datasets.layouts.lists.files import LIST_WORDS
from pixelwise.datasets.layouts.lists.lines import list_text
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.errors import DataError

_ENDINGS = (".txt", ".lst", ".list", ".csv", ".tsv", ".json", ".yaml", ".yml")
_SPLIT_WORDS = {*SPLIT_NAMES, "trainval", "split", "splits", "fold", "folds", "kfold", "partition", "partitions"}
_DEPTH = 2
_MOST_FILES = 200
_LARGEST = 2**24
# A list names at least this share of the images, and a file of another name at least this share with their splits.
_FEW, _MANY = 0.1, 0.5
_TOKEN = re.compile(r"[^\s,;:=\"'\[\]{}()]+")


def unread_lists(root: Path, keys: Iterable[str]) -> list[Path]:
    """The files that name images of the data set and whose name or content is about splits.

    Args:
        root: Folder of the data set.
        keys: Names of the images with their folders, without extension.
    """
    names = {key.rpartition("/")[2] for key in keys}
    found = []
    for path in _texts(root):
        text = ""
        with contextlib.suppress(DataError, OSError):  # what is no text is no list
            text = list_text(path) if path.stat().st_size <= _LARGEST else ""
        tokens = set(_TOKEN.findall(text))
        named = len(names & {_stem(token) for token in tokens})
        share = _FEW if _is_named_after_a_split(path.stem) else _MANY if _tells_splits(tokens) else None
        if share is not None and named >= max(2, share * len(names)):
            found.append(path)
    return found


def _texts(root: Path) -> Iterator[Path]:
    """Files of text not far below the root, of which those that are not named after a split may be very many."""
    left = _MOST_FILES
    for place, folders, files in os.walk(root):
        depth = len(Path(place).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if depth < _DEPTH and not is_hidden(name))
        for name in sorted(files):
            if name.lower().endswith(_ENDINGS) and not is_hidden(name):
                is_named = _is_named_after_a_split(Path(name).stem)
                if is_named or left > 0:
                    yield Path(place, name)
                left -= not is_named


def _is_named_after_a_split(stem: str) -> bool:
    words = set(re.findall(r"[a-z]+", stem.lower()))
    return bool(words & _SPLIT_WORDS) and words <= {*_SPLIT_WORDS, *LIST_WORDS}


def _tells_splits(tokens: Iterable[str]) -> bool:
    splits = {SPLIT_NAMES[token.lower()] for token in tokens if token.lower() in SPLIT_NAMES}
    return "train" in splits and len(splits) > 1


def _stem(token: str) -> str:
    name = token.replace("\\", "/").rpartition("/")[2]
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in SUFFIXES else name
