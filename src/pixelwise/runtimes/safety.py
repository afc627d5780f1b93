"""Checks of files from elsewhere, before a runtime opens them: what they read and run beyond their own bytes.

Hashes prove only that a file arrived as its maker sent it, not that the maker means well.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pixelwise.machine.files import is_link
from pixelwise.storage import printable
from pixelwise.storage.names import is_plain_name

_LARGEST_CONFIG = 1 << 26
"""Bytes that one configuration of an archive may have."""
_PAYLOADS = ("data/weights/", "data/constants/")
"""Folders of a `.pt2` archive with the raw bytes of tensors."""
_PICKLED_KEYS = ("use_pickle", "usePickle")


def external_data_problem(proto: Any, file: Path, listed: Collection[str]) -> str:
    """What is wrong with the tensors that an ONNX graph keeps outside its file; empty if nothing is.

    Such a tensor names a file, which the runtime maps into memory. The content of any file that the process can read
    would thus come out in predictions, so only files of the artefact's own folder are accepted: plain names that
    `model.toml` lists (so their hashes were verified), no links of either kind, and ranges within the file.

    Args:
        proto: The `ModelProto`, read without its external data.
        file: The file that it was read from.
        listed: Names of all files of the artefact.
    """
    for tensor in _tensors(proto):
        if not (tensor.external_data or tensor.data_location):
            continue
        entries = [(entry.key, entry.value) for entry in tensor.external_data]
        facts = dict(entries)
        where = f"tensor '{printable(Path(tensor.name))}' is kept in '{printable(Path(facts.get('location', '')))}'"
        if len(facts) != len(entries):
            return f"{where}, and describes its place twice"
        if reason := _placement_problem(facts, file.parent, listed):
            return f"{where}, {reason}"
    return ""


def _placement_problem(facts: dict[str, str], folder: Path, listed: Collection[str]) -> str:
    name = facts.get("location", "")
    if not is_plain_name(name):
        return "which is not a plain file name in the artefact's folder"
    if name not in listed:
        return "which the artefact's model.toml does not list"
    file = folder / name
    if is_link(file):
        return "which is a link to another file"
    if not file.is_file():
        return "which is not there"
    try:
        offset, length = (int(facts.get(key, "0") or 0) for key in ("offset", "length"))
    except ValueError:
        return "at an offset that is not a number"
    if min(offset, length) < 0 or offset + length > file.stat().st_size:
        return "at an offset or with a length beyond the file's end"
    return ""


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor below a message, wherever it is: weights, attributes, nested graphs, functions, sparse tensors."""
    waiting = [message]
    while waiting:
        found = waiting.pop()
        if found.DESCRIPTOR.name == "TensorProto":
            yield found
            continue
        for field, value in found.ListFields():
            if field.message_type is not None:
                waiting += value if isinstance(value, Collection) else [value]


def pt2_problem(file: Path) -> str:
    """What a `.pt2` archive holds beyond graphs in JSON and raw bytes of tensors; empty if it holds nothing more.

    PyTorch unpickles a member whose configuration says so, which runs what the pickle names, and loads compiled
    libraries. None of it occurs in a network that was exported by Pixelwise.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                return "it holds a member twice"
            for name in names:
                if reason := _member_problem(archive, name):
                    return f"its member '{printable(Path(name))}' {reason}"
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        return f"it is not a readable archive: {error}"
    return ""


def _member_problem(archive: zipfile.ZipFile, name: str) -> str:
    inner = name.partition("/")[2]
    if inner in ("", "version", "byteorder", "archive_format", "archive_version") or inner.startswith(".data/"):
        return ""
    if inner.startswith("extra/"):
        return ""  # read as text, never run
    if inner.startswith("data/sample_inputs/"):
        return (
            "" if _only_tensors(archive.read(name)) else "is unpickled and holds more than tensors, which can run code"
        )
    if inner.endswith(".json") and inner.startswith(("models/", *_PAYLOADS)):
        if archive.getinfo(name).file_size > _LARGEST_CONFIG:
            return "is larger than any configuration"
        try:
            content = json.loads(archive.read(name))
        except (UnicodeDecodeError, ValueError, RecursionError):
            return "is not JSON"
        return "asks for unpickling, which can run code" if _pickled(content) else ""
    payload = next((inner.removeprefix(folder) for folder in _PAYLOADS if inner.startswith(folder)), None)
    if payload is None:
        return "is neither a graph nor a tensor"
    return "" if payload.startswith(("weight_", "tensor_")) else "is an object that is unpickled, which can run code"


def _only_tensors(content: bytes) -> bool:
    """Whether a saved example input loads without running anything; if not, PyTorch would load it in the other way."""
    import torch

    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception:  # whatever an odd pickle makes the reader raise
        return False
    return True


def _pickled(content: Any) -> bool:
    """Whether a configuration marks anything as pickled, or names an object other than a tensor."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if any(value.get(key) for key in _PICKLED_KEYS):
                return True
            if str(value.get("path_name", "")).startswith(("custom_obj_", "opaque_obj_")):
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False
