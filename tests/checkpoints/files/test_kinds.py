from __future__ import annotations

import io

import pytest

from pixelwise.checkpoints.files.kinds import Damaged, Kind, Other, kind_of


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04rest", Kind.ZIP),
        (b"\x80\x02}q\x00.", Kind.PICKLE),
        (b"(dp0\nS'a'\np1\nI1\ns.", Kind.PICKLE),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{}", Kind.SAFETENSORS),
        (b"\x93NUMPY\x01\x00", Kind.NPY),
        (b"\x1f\x8b\x08", Kind.COMPRESSED),
        (b"BZh9", Kind.COMPRESSED),
        (b"\xfd7zXZ\x00", Kind.COMPRESSED),
        (bytes(257).replace(b"\x00", b"x") + b"ustar\x00", Kind.TAR),
    ],
)
def test_files_that_are_read_are_recognised(content: bytes, kind: Kind) -> None:
    assert kind_of(io.BytesIO(content)) == kind


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (bytes(9000), "zeros"),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00{}", "header has 255 bytes, 2 are there"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"  <html><body>", "web page"),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "x"><html>', "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
    ],
)
def test_what_a_failed_transfer_leaves_is_recognised(content: bytes, reason: str) -> None:
    found = kind_of(io.BytesIO(content))

    assert isinstance(found, Damaged)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x08\x07\x12\x07pytorch\x1a\x05:\x01\n", "ONNX"),
        (b"\x08\x01\x12\x90\x01\n\x10", "SavedModel"),
        (b"xxxxTFL3", "Lite"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b'<?xml version="1.0"?><net name="model" version="11">', "OpenVINO"),
        (b'{"weight_map": {}}', "JSON"),
        (b"epoch,loss\n1,2\n", "'epoch,loss'"),
        (b"GGUF\x03", "GGUF"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b"\x01\x02\x03\x04", "first bytes: 01 02 03 04"),
    ],
)
def test_other_kinds_are_named(content: bytes, what: str) -> None:
    found = kind_of(io.BytesIO(content))

    assert isinstance(found, Other)
    assert what in found.what
