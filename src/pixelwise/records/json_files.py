"""Reading the JSON files of a run folder into structs: unknown fields of other versions are ignored, damage is not."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.storage import documents, printable
from pixelwise.storage.documents import DocumentError

Kind = TypeVar("Kind", bound=msgspec.Struct)


def read_json(path: Path, kind: type[Kind]) -> Kind:
    """The content of a file, or the defaults of `kind` if the file does not exist.

    Args:
        path: File to read.
        kind: Struct in which every field has a default; fields of the file that it lacks are ignored.

    Raises:
        CheckpointError: K423, the file cannot be read or does not contain such a struct.
    """
    try:
        return documents.read_json(path, kind)
    except DocumentError as error:
        if error.missing:
            return kind()
        raise CheckpointError(
            "K423",
            f"{printable(path)} is damaged: {error.reason}",
            "restore the file from a backup, or train again",
        ) from error
