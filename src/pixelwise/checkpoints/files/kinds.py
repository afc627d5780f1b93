"""What a weights file is, by its first bytes; its name decides nothing."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import BinaryIO, NamedTuple

HEAD = 8192
"""Number of bytes that are looked at."""


class Kind(StrEnum):
    """Kinds of files that weights are read from."""

    SAFETENSORS = "safetensors"
    ZIP = "zip"
    PICKLE = "pickle"
    NPY = "npy"
    COMPRESSED = "compressed"
    TAR = "tar"


class Other(NamedTuple):
    """A whole file that is no readable weights file.

    Attributes:
        what: Kind of file, continuing "it is ...".
        help: What to do.
    """

    what: str
    help: str


class Damaged(NamedTuple):
    """A file that is not what it was: cut off, or a part of a transfer that failed.

    Attributes:
        reason: What is wrong, continuing "PATH: ".
        help: What to do.
    """

    reason: str
    help: str


STATE_DICT = "save the network's state_dict from the system that wrote it, as .safetensors or with torch.save"
AGAIN = "copy or download it again"

_MAGIC: tuple[tuple[int, bytes, Other], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", Other(
        "an HDF5 file, as Keras and older TensorFlow programs write them",
        "Keras names and lays out its tensors in its own way; convert them to the names of a PyTorch network first")),
    (4, b"TFL3", Other("a TensorFlow Lite model, whose weights are prepared for inference", STATE_DICT)),
    (4, b"ET1", Other("an ExecuTorch program, whose weights are prepared for inference", STATE_DICT)),
    (0, b"GGUF", Other("a GGUF file, which holds a language model", STATE_DICT)),
    (0, b"\x28\xb5\x2f\xfd", Other("a file compressed with Zstandard", "unpack it first: zstd -d FILE")),
    (0, b"7z\xbc\xaf\x27\x1c", Other("a 7-Zip archive", "unpack it and give the weights file in it")),
    (0, b"Rar!\x1a\x07", Other("a RAR archive", "unpack it and give the weights file in it")),
    (0, b"\x89PNG\r\n", Other("a PNG image", "give the weights file instead")),
    (0, b"\xff\xd8\xff", Other("a JPEG image", "give the weights file instead")),
    (0, b"%PDF", Other("a PDF document", "give the weights file instead")),
    (0, b"\x7fELF", Other("a program or library", STATE_DICT)),
    (0, b"ftrt", Other("a TensorRT engine", STATE_DICT)),
    (0, b"ptrt", Other("a TensorRT engine", STATE_DICT)),
)  # fmt: skip
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")


def kind_of(file: BinaryIO) -> Kind | Other | Damaged:
    """Recognise a file by its content.

    Args:
        file: A seekable file; its position changes.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(HEAD)
    if not size:
        return Damaged("it is empty", AGAIN)
    if not head.strip(b"\x00"):
        return Damaged("it begins with nothing but zeros, as files of interrupted downloads do", AGAIN)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Kind.ZIP
    if head.startswith(_COMPRESSED):
        return Kind.COMPRESSED
    for place, magic, other in _MAGIC:
        if head[place : place + len(magic)] == magic:
            return other
    if head.startswith(b"\x93NUMPY"):
        return Kind.NPY
    if head[257:262] == b"ustar":
        return Kind.TAR
    if head[0] == 0x80 and len(head) > 1 and head[1] in range(2, 6):
        return Kind.PICKLE
    return _structured(file, head, size) or _text(head) or _unknown(head)


def _structured(file: BinaryIO, head: bytes, size: int) -> Kind | Other | Damaged | None:
    """Formats without a magic number at their beginning."""
    length = int.from_bytes(head[:8], "little")
    if len(head) > 9 and head[8:9] == b"{" and 2 <= length < 2**32:
        if 8 + length > size:
            return Damaged(f"it is cut off: its header has {length} bytes, {size - 8} are there", AGAIN)
        return Kind.SAFETENSORS
    if re.match(rb"\x08[\x01-\x0f](\x12|\x1a|\x22|\x2a|\x32|\x3a|\x42)", head) and (b"\n" in head or b":" in head):
        if head.startswith(b"\x08\x01\x12"):
            return Other("a TensorFlow SavedModel", STATE_DICT)
        return Other(
            "an ONNX model: a graph for inference, whose weights no longer have the names of the network's layers",
            f"{STATE_DICT}; an artefact of `pixelwise export` is given with its folder",
        )
    if size >= 48:
        file.seek(-8, 2)
        if file.read(8) == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":  # footer of the tables in TensorFlow's checkpoints
            return Other("the index of a TensorFlow checkpoint", STATE_DICT)
    if head[:1] in b"(}]" and _ends_a_pickle(file):
        return Kind.PICKLE  # of the protocols 0 and 1
    return None


def _ends_a_pickle(file: BinaryIO) -> bool:
    file.seek(-1, 2)
    return file.read(1) == b"."


def _text(head: bytes) -> Other | Damaged | None:
    """What a text says about itself; None for binary content."""
    if b"\x00" in head:
        return None
    try:
        text = head.decode("utf-8-sig", "ignore").lstrip()
    except UnicodeDecodeError:
        return None
    lower = text[:600].lower()
    if not text.isprintable() and not all(char.isprintable() or char.isspace() for char in text):
        return None
    if lower.startswith("version https://git-lfs"):
        return Damaged(
            "it is a Git LFS pointer, which only names the real file",
            "fetch the content in its repository: git lfs pull",
        )
    if lower.startswith(("<!doctype html", "<html")) or "<html" in lower:
        return Damaged(
            "it is a web page, so the address led to a page about the file, or to a login",
            "download the file itself, in the browser or with the address of its download button",
        )
    if lower.startswith("<?xml") and "<net" in lower:
        return Other("the description of an OpenVINO model", STATE_DICT)
    if lower.startswith("<"):
        return Damaged("it is an answer in XML, such as a server gives instead of a file", "check the address")
    if lower.startswith(("{", "[")):
        return Other(
            "a JSON text, as descriptions and indexes of weights are",
            "give the weights file, or the folder that holds it",
        )
    return Other(f"a text that begins with {text[:40].splitlines()[0]!r}", "give the weights file instead")


def _unknown(head: bytes) -> Other:
    return Other(
        f"of no kind that is known to hold weights (first bytes: {head[:8].hex(' ')})",
        f"read are safetensors, files of torch.save, TorchScript and .npz; otherwise {STATE_DICT}",
    )
