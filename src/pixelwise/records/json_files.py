"""JSON files of a run folder as structs: tolerant of fields that other versions wrote, not of damage."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.storage import printable

Kind = TypeVar("Kind", bound=msgspec.Struct)


def read_json(path: Path, kind: type[Kind]) -> Kind:
    """The content of a file, or the defaults of `kind` where there is no such file.

    Args:
        path: The file.
        kind: A struct whose fields all have a default; unknown fields of the file are left out.

    Raises:
        CheckpointError: K423, the file cannot be read or is not such a struct.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return kind()
    except (OSError, msgspec.DecodeError) as error:
        raise CheckpointError(
            "K423",
            f"{printable(path)} is damaged: {error}",
            "restore the file from a backup, or train again",
        ) from error
