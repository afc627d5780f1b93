"""Weights files of any kind, against torch, numpy and safetensors, which wrote them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pixelwise.checkpoints.files.reading import read_weights
from pixelwise.checkpoints.files.wrappers import find_weights
from pixelwise.errors import CheckpointError

STATE = {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4), "count": torch.tensor(7)}
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
          torch.int8, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn]  # fmt: skip


def saved(content: Any, *, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def equal(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors have the same type, shape and bits."""
    bits = [tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1) for tensor in (found, expected)]
    same = found.dtype == expected.dtype and found.shape == expected.shape
    return same and torch.equal(*(torch.empty_like(one).copy_(one).view(torch.uint8) for one in bits))


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Tensors of any type, contiguous or not, some sharing their numbers with others."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    whole = (torch.rand([size + 2 for size in shape]) * 100).to(dtype)
    view = whole[tuple(slice(draw(st.integers(0, 2)), size + 2, draw(st.integers(1, 2))) for size in shape)]
    return view.permute(draw(st.permutations(range(view.ndim)))) if view.ndim else view


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text("abc._", min_size=1, max_size=8), tensors(), max_size=5), st.booleans())
def test_files_of_torch_save_are_read_as_torch_reads_them(
    tmp_path: Path, state: dict[str, Tensor], zipped: bool
) -> None:
    path = tmp_path / "weights"
    # The old format has no name for 8-bit floating point.
    zipped = zipped or any(tensor.dtype == torch.float8_e4m3fn for tensor in state.values())
    path.write_bytes(saved({"state": state, "shared": list(state.values())}, zipped=zipped))
    expected = torch.load(path, weights_only=True)

    content = read_weights(path).content

    assert list(content["state"]) == list(expected["state"])
    for found, theirs in zip(content["state"].values(), expected["state"].values(), strict=True):
        assert equal(found, theirs)
    assert len(content["shared"]) == len(expected["shared"])


def archive_of(data: bytes, name: str = "inner/weights.pth") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", "weights")
        archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("weights.pth")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{key: value.numpy() for key, value in STATE.items()})
    return buffer.getvalue()


CONTAINERS: dict[str, Callable[[], bytes]] = {
    "torch.save": lambda: saved(STATE),
    "torch.save, old": lambda: saved(STATE, zipped=False),
    "safetensors": lambda: safetensors.torch.save(STATE),
    "pickle": lambda: pickle.dumps(STATE),
    "pickle of the protocol 0": lambda: pickle.dumps(STATE, 0),
    "pickle of arrays": lambda: pickle.dumps({key: value.numpy() for key, value in STATE.items()}),
    "numpy": npz,
    "gzip": lambda: gzip.compress(saved(STATE)),
    "bzip2": lambda: bz2.compress(safetensors.torch.save(STATE)),
    "xz": lambda: lzma.compress(saved(STATE, zipped=False)),
    "zip around it": lambda: archive_of(saved(STATE)),
    "zip around safetensors": lambda: archive_of(safetensors.torch.save(STATE)),
    "tar": lambda: tar_of(saved(STATE)),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights", "weights.zip.txt"])
def test_the_content_decides_and_not_the_name(tmp_path: Path, container: str, name: str) -> None:
    (tmp_path / name).write_bytes(CONTAINERS[container]())

    found = find_weights(read_weights(tmp_path / name).content).tensors

    assert set(found) == set(STATE)
    assert all(torch.equal(found[key], value) for key, value in STATE.items())


class Network(nn.Module):
    """A network with a shared part, a buffer that is not saved, and a part that is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
        self.register_buffer("fixed", torch.randn(3))
        self.register_buffer("temporary", torch.randn(3), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        for block in self.blocks:
            images = block(images)
        return self.first(images) + self.fixed[0]


@pytest.mark.parametrize("kind", ["pickled", "pickled, old", "TorchScript", "traced", "in a dict"])
def test_the_weights_of_a_pickled_or_scripted_network_are_its_state_dict(tmp_path: Path, kind: str) -> None:
    network = Network().eval()
    expected = network.state_dict()
    path = tmp_path / "network.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "TorchScript":
            torch.jit.script(network).save(str(path))
            expected["temporary"] = network.get_buffer("temporary")  # TorchScript keeps it
        elif kind == "traced":
            torch.jit.trace(network.first, torch.zeros(1, 3, 8, 8)).save(str(path))
            expected = network.first.state_dict()
        else:
            content = {"epoch": 3, "model": network} if kind == "in a dict" else network
            path.write_bytes(saved(content, zipped="old" not in kind))

    read = read_weights(path)
    found = find_weights(read.content).tensors

    assert set(found) == set(expected)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert "without running it" in " ".join(read.notes)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def changed(data: bytes) -> bytes:
    place = data.find(STATE["conv.weight"].numpy().tobytes())
    assert place > 0
    return data[: place + 9] + bytes([data[place + 9] ^ 1]) + data[place + 10 :]


DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "it is empty"),
    "zeros": (lambda: bytes(5000), "nothing but zeros"),
    "a cut zip": (lambda: cut(saved(STATE)), "damaged: its end is missing"),
    "a cut old file": (lambda: cut(saved(STATE, zipped=False)), "damaged: "),
    "a cut pickle": (lambda: cut(pickle.dumps({"a": np.zeros(99)})), "damaged: "),
    "a cut safetensors file": (lambda: cut(safetensors.torch.save(STATE)), "damaged safetensors file"),
    "a cut header": (lambda: safetensors.torch.save(STATE)[:60], "cut off: its header has"),
    "a cut gzip": (lambda: cut(gzip.compress(saved(STATE))), "damaged: "),
    "a changed number": (lambda: changed(saved(STATE)), "CRC|checksum"),
    "a web page": (lambda: b"\xef\xbb\xbf\n<!DOCTYPE HTML><html><title>Sign in</title></html>", "it is a web page"),
    "a pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_no_whole_file_is_said(tmp_path: Path, case: str) -> None:
    write, message = DAMAGED[case]
    (tmp_path / "a.pt").write_bytes(write())

    with pytest.raises(CheckpointError, match=rf"a\.pt: .*({message})") as caught:
        read_weights(tmp_path / "a.pt")

    assert caught.value.code == "K405"


def exported() -> bytes:
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    values = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    return onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:])).SerializeToString()


def zip_with(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


OTHER_KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "ONNX": (exported, "ONNX"),
    "Keras": (lambda: zip_with("config.json", "metadata.json", "model.weights.h5"), "Keras"),
    "TensorFlow Lite": (lambda: b"\x1c\x00\x00\x00TFL3" + bytes(99), "TensorFlow Lite"),
    "a TensorFlow index": (lambda: bytes([0, 1]) * 99 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "TensorFlow checkpoint"),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG"),
    "a text": (lambda: b"not found", "'not found'"),
    "JSON": (lambda: b'{"a": 1}', "JSON"),
    "a zip of texts": (lambda: zip_with("a.txt", "b.txt"), r"no weights file in it \(a\.txt, b\.txt\)"),
    "an exported program": (lambda: zip_with("serialized_exported_program.json"), r"torch\.export"),
    "anything": (lambda: bytes(range(1, 200)), "first bytes: 01 02"),
}


@pytest.mark.parametrize("case", OTHER_KINDS)
def test_a_whole_file_of_another_kind_is_named_and_not_asked_for_again(tmp_path: Path, case: str) -> None:
    write, message = OTHER_KINDS[case]
    (tmp_path / "a.pt").write_bytes(write())

    with pytest.raises(CheckpointError, match=rf"a\.pt is .*{message}") as caught:
        read_weights(tmp_path / "a.pt")

    assert caught.value.code == "K485"
    assert "again" not in caught.value.help


def test_an_archive_with_several_weights_files_is_not_chosen_from(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.pth", saved(STATE))
        archive.writestr("b.pth", saved(STATE))
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())

    with pytest.raises(CheckpointError, match=r"a\.zip holds 2 weights files: a\.pth, b\.pth") as caught:
        read_weights(tmp_path / "a.zip")
    assert caught.value.code == "K484"


def test_files_without_checksums_are_read_and_the_report_says_so(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        (tmp_path / "a.pt").write_bytes(saved(STATE))
    finally:
        torch.serialization.set_crc32_options(before)

    read = read_weights(tmp_path / "a.pt")

    assert all(torch.equal(read.content[key], value) for key, value in STATE.items())
    assert read.notes == ("the file was written without checksums, so damage in it would not be noticed",)
