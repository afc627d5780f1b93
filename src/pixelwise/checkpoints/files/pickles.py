"""Reading of pickles without running anything: every name in them leads to a stand-in of `files.inert`."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any, BinaryIO

import numpy as np
import torch

from pixelwise.checkpoints.files.inert import (
    Array,
    ArrayType,
    Call,
    Inert,
    Named,
    Storage,
    StorageKind,
    Stored,
    array_of,
    inert_class,
    scalar_of,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First object of a file that torch.save wrote before PyTorch 1.6."""


class Unpickler(pickle.Unpickler):
    """Reads one pickle; classes, functions and storages of the file become stand-ins.

    Args:
        file: Positioned at the pickle.
        storages: Filled with the storages that the tensors of the pickle are stored in, by their key.
    """

    def __init__(self, file: BinaryIO, storages: dict[str, Storage]) -> None:
        super().__init__(file, encoding="latin1")  # the strings of files from Python 2
        self.storages = storages

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The stand-in for a name."""
        return stand_in(module_name, global_name)

    def persistent_load(self, pid: Any, /) -> Any:
        """The storage that a tensor refers to."""
        if isinstance(pid, tuple) and len(pid) > 1 and pid[0] == "module":
            return pid[1]
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError("it refers to something that is no storage")
        kind, key, numel = pid[1], str(pid[2]), pid[4]
        if not isinstance(kind, StorageKind) or not isinstance(numel, int) or numel < 0:
            return inert_class(getattr(kind, "name", "storage"))(pid)
        # A view into a storage, as old files have them, names the place where it begins.
        view = pid[5] if len(pid) > 5 else None
        whole = self.storages.setdefault(key, Storage(key, kind.dtype, numel))
        if isinstance(view, tuple) and len(view) == 3:
            return inert_class("torch storage view")(pid)
        return whole


def read_pickle(file: BinaryIO, storages: dict[str, Storage]) -> Any:
    """Read one pickle and leave the file behind it; storages and arrays still have to be settled."""
    return Unpickler(file, storages).load()


def read_old_file(file: BinaryIO) -> Any:
    """Content of a file that torch.save wrote before PyTorch 1.6, or of a plain pickle.

    Raises:
        EOFError: The file ends within the numbers of a tensor.
    """
    storages: dict[str, Storage] = {}
    first = read_pickle(file, storages)
    if first != LEGACY_MAGIC:
        return first
    read_pickle(file, storages)  # the version of the protocol
    system = read_pickle(file, storages)
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    content = read_pickle(file, storages)
    for key in read_pickle(file, storages):
        storage = storages.get(str(key))
        if storage is None:
            raise pickle.UnpicklingError(f"no tensor refers to its storage {key}")
        count = int.from_bytes(file.read(8), "little" if little else "big")
        if count != storage.numel:
            raise EOFError(f"storage {key} has {count} numbers, expected {storage.numel}")
        storage.data = in_own_order(read_exactly(file, storage.nbytes), storage.dtype, little=little)
    return content


def read_exactly(file: BinaryIO, count: int) -> bytearray:
    """Read `count` bytes.

    Raises:
        EOFError: The file ends before.
    """
    place = file.tell()
    remaining = file.seek(0, io.SEEK_END) - place
    file.seek(place)
    if remaining < count:
        raise EOFError(f"it ends {count - remaining} bytes too early")
    return bytearray(file.read(count))


def in_own_order(data: bytearray, dtype: torch.dtype, *, little: bool) -> bytearray:
    """The bytes of numbers in this machine's byte order."""
    if little == (sys.byteorder == "little") or dtype.itemsize == 1:
        return data
    width = dtype.itemsize // (2 if dtype.is_complex else 1)
    return bytearray(np.frombuffer(data, f"u{width}").byteswap().tobytes())


def stand_in(module: str, name: str) -> Any:
    """What a name in a file leads to: one of the few safe functions and types, or a class of inert objects."""
    module = _PYTHON_2.get(module, module)
    known = _KNOWN.get((module, name))
    if known is None and name == "scalar" and module.endswith("core.multiarray"):
        known = _KNOWN["numpy", "scalar"]
    if known is not None:
        return known
    if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
        return dtype
    if module in ("torch", "torch.cuda", "torch.storage") and name in _STORAGES:
        return StorageKind(_STORAGES[name])
    return inert_class(f"{module}.{name}")


_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Module in pickles of the protocols 0 to 2 -> its name today."""

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
    return storage if isinstance(storage, Inert) else Stored(storage, offset, size, stride)


def _typed_tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
    dtype = next((part for part in rest if isinstance(part, torch.dtype)), None)
    return storage if isinstance(storage, Inert) else Stored(storage, offset, size, stride, dtype)


def _first(value: Any, *_: Any) -> Any:
    return value


def _of_type(function: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    return (
        function(*arguments)
        if isinstance(function, Call) and isinstance(arguments, tuple)
        else inert_class(_name(kind))(arguments)
    )


def _new_object(kind: Any, *arguments: Any) -> Any:
    """An object of a class by `copyreg`; the last argument may be the content of a dict that it extends."""
    if not (isinstance(kind, type) and issubclass(kind, (Inert, Named))):
        return inert_class(_name(kind))(*arguments)
    made = kind()
    if arguments and isinstance(arguments[-1], dict):
        for key, value in arguments[-1].items():
            made[key] = value
    return made


def _bytes_of(text: Any, *_: Any) -> Any:
    return text.encode("latin-1") if isinstance(text, str) else b""


def _tensors_of(data: Any) -> Any:
    """The storage that a plain pickle holds as the bytes of a file of its own."""
    return read_old_file(io.BytesIO(data)) if isinstance(data, bytes) else inert_class("torch.storage")(data)


def _name(kind: Any) -> str:
    return str(getattr(kind, "name", "") or getattr(kind, "__name__", type(kind).__name__))


_KNOWN: dict[tuple[str, str], Any] = {
    **{("builtins", kind.__name__): kind for kind in (dict, list, tuple, set, frozenset, complex)},
    ("collections", "OrderedDict"): Named,
    ("collections", "defaultdict"): Named,
    ("collections", "Counter"): Named,
    ("_codecs", "encode"): Call(_bytes_of),
    ("builtins", "bytearray"): Call(lambda raw=b"", *_: bytearray(raw) if isinstance(raw, bytes) else bytearray()),
    ("copyreg", "_reconstructor"): Call(_new_object),
    ("copyreg", "__newobj__"): Call(_new_object),
    ("torch", "Size"): Call(lambda sizes=(), *_: tuple(sizes) if isinstance(sizes, (tuple, list)) else ()),
    ("torch._utils", "_rebuild_tensor"): Call(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Call(_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): Call(_typed_tensor),
    ("torch._utils", "_rebuild_parameter"): Call(_first),
    ("torch._utils", "_rebuild_parameter_with_state"): Call(_first),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): Call(_first),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): Call(_first),
    ("torch._tensor", "_rebuild_from_type"): Call(_of_type),
    ("torch._tensor", "_rebuild_from_type_v2"): Call(_of_type),
    ("torch.tensor", "_rebuild_from_type"): Call(_of_type),
    ("torch.jit._pickle", "restore_type_tag"): Call(_first),
    ("torch.jit._pickle", "build_intlist"): Call(_first),
    ("torch.jit._pickle", "build_doublelist"): Call(_first),
    ("torch.jit._pickle", "build_boollist"): Call(_first),
    ("torch.jit._pickle", "build_tensorlist"): Call(_first),
    ("torch.storage", "_load_from_bytes"): Call(_tensors_of),
    ("numpy", "scalar"): Call(scalar_of),
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): ArrayType,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Call(lambda *_: Array()) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): Call(array_of) for core in ("core", "_core")},
}
