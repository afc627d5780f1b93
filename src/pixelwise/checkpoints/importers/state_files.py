"""Safe reading of weights files: no code from a file is ever run."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pixelwise.errors import CheckpointError
from pixelwise.storage import printable
from pixelwise.storage.documents import DocumentError, reading


def load_state_file(path: Path | str) -> dict[str, Any]:
    """Read a weights file without ever running code from it.

    `.safetensors` files are read as such, all others as files of `torch.save` with `weights_only=True`.

    Returns:
        The content of the file, on the CPU; a training script's file may hold more than weights.

    Raises:
        CheckpointError: K405, the file does not exist, is damaged, tries to load a Python object
            that could run code (the message names it), or holds something other than a dict.
    """
    path = Path(path)
    if not path.is_file():
        raise _unreadable(path, "there is no such file", "check the path")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not isinstance(content, dict):
        raise _unreadable(
            path,
            f"it holds a {type(content).__name__}; expected a dict of named tensors",
            "save model.state_dict() from the system that wrote it",
        )
    return content


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with reading(path):
            return safetensors.torch.load_file(path)
    except DocumentError as error:
        raise _unreadable(path, f"it is not a safetensors file: {error.reason}", "copy or download it again") from error


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_scalars()):
            warnings.simplefilter("ignore")  # real problems are raised as errors
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted is None:
            raise _unreadable(path, "it is not a file of torch.save", "copy or download it again") from error
        raise _unreadable(
            path,
            f"it tries to load the Python object '{wanted[1]}', which can run code; only tensors, numbers, "
            "strings and containers are read",
            "save model.state_dict() from the system that wrote it, preferably as .safetensors",
        ) from error
    except Exception as error:  # a damaged pickle can make the unpickler raise nearly anything
        if not zipfile.is_zipfile(path) and not isinstance(error, RuntimeError):
            raise _unreadable(path, "it is not a file of torch.save", "copy or download it again") from error
        reason = str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
        raise _unreadable(path, f"it is damaged: {reason}", "copy or download it again") from error


def _numpy_scalars() -> list[Any]:
    """Globals needed to unpickle numpy scalars, which training scripts save as scores beside the weights.

    They build a number from bytes and do nothing else. The scalar's constructor moved between numpy
    versions, so files may name either module.
    """
    scalar = np.float64(0).__reduce__()[0]
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)),
    ]


def _unreadable(path: Path, reason: str, help: str) -> CheckpointError:
    return CheckpointError("K405", f"{printable(path)}: {reason}", help)
