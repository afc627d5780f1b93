from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from runtimes.descriptions import sidecar_of

from pixelwise.datasets.samples import Reading
from pixelwise.errors import CheckpointError
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.runtimes.inference import Inference, Scoring, fitted_to, plain_protocol
from pixelwise.runtimes.reading import read_sidecar
from pixelwise.runtimes.sidecar import from_metadata, plain_sidecar, to_metadata, write_sidecar


@pytest.mark.parametrize("name", [*PROTOCOLS])
def test_every_protocol_survives_toml_and_json(name: str) -> None:
    plain = plain_protocol(PROTOCOLS[name])
    for read in (tomllib.loads(tomli_w.dumps(plain)), msgspec.json.decode(msgspec.json.encode(plain))):
        assert Scoring(split="val", protocol=read).first_protocol() == PROTOCOLS[name]


def protocol(**fields: Any) -> Protocol:
    return Protocol(name="x", summary="", **fields)


@pytest.mark.parametrize(
    ("given", "window", "stride"),
    [
        ({}, (48, 64), (36, 48)),
        ({"pad_to": (90, 90), "argmax_at": "input"}, (48, 64), (36, 48)),
        ({"window": (96, 32), "window_stride": (1, 1)}, (48, 64), (36, 48)),
        ({"window": (48, 64), "window_stride": (40, 64)}, (48, 64), (40, 64)),
        ({"window": (32, 32), "window_stride": (16, 16)}, (32, 32), (16, 16)),
        ({"fit": (40, None)}, (48, 64), (36, 48)),
    ],
)
def test_windows_of_the_one_size_replace_all_that_do_not_fit_into_it(given: Any, window: Any, stride: Any) -> None:
    fitted = fitted_to(protocol(**given), (48, 64))
    assert (fitted.window, fitted.window_stride, fitted.pad_to) == (window, stride, None)
    assert fitted.fit == given.get("fit")
    assert fitted_to(protocol(**given), None) == protocol(**given)


@given(st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_windows_of_any_size_overlap_without_gaps(size: tuple[int, int]) -> None:
    fitted = fitted_to(protocol(), size)
    assert fitted.window_stride is not None
    assert all(1 <= step <= side for step, side in zip(fitted.window_stride, size, strict=True))


WRONG = [
    ("inference", {"resize": "exact", "size": [9, 9]}),  # not the input's size
    ("inference", {"resize": "area"}),
    ("inference", {"resize": "none", "size": [48, 64]}),
    ("inference", {"resize": "fit"}),
    ("inference", {"longer_side": 9}),
    ("inference", {"window": [0, 64]}),
    ("inference", {"window": [48, -64]}),
    ("inference", {"window": [48]}),
    ("inference", {"window": [1 << 40, 64]}),
    ("inference", {"window": [60_000, 60_000]}),
    ("inference", {"whole_pixels": 1 << 40}),
    ("input", {"name": "x", "dtype": "uint8", "layout": "NHWC", "size": [60_000, 60_000]}),
    ("inference", {"window": [8, 8], "window_stride": [9, 8]}),
    ("inference", {"window_stride": [9, 8]}),
    ("inference", {"pad_to": [8, 8], "window": [8, 8]}),
    ("inference", {"pad_value": 0.5}),
    ("inference", {"channels": []}),
    ("inference", {"channels": [-1, 0, 1]}),
    ("inference", {"channels": [0, 1]}),  # three means
    ("inference", {"input_range": [5.0, 5.0]}),
    ("inference", {"input_range": [0.0, float("inf")]}),
    ("inference", {"input_range": [float("nan"), 1.0]}),
    ("inference", {"max_pixels": 0}),
    ("inference", {"whole_pixels": 0}),
    ("inference", {"exif": "maybe"}),
    ("inference", {"multilabel": True}),  # class ids
    ("input", {"name": "x", "dtype": "uint8", "layout": "NCHW"}),
    ("input", {"name": "x", "dtype": "uint8", "layout": "NHWC", "size": [0, 64]}),
    ("input", {"name": "x", "dtype": "uint8", "layout": "NHWC", "batch": 0}),
    ("output", {"name": "labels", "dtype": "uint8", "stride": 0, "align_corners": False}),
    ("output", {"name": "labels", "dtype": "float32", "stride": 1, "align_corners": False}),
    ("preprocessing", {"mean": [0.5, 0.5, 0.5], "std": [0.0, 1.0, 1.0]}),
    ("preprocessing", {"mean": [0.5, float("nan"), 0.5], "std": [1.0, 1.0, 1.0]}),
    ("preprocessing", {"mean": [0.5], "std": [1.0, 1.0]}),
    ("classes", []),
    ("classes", ["one"]),
    ("palette", [[0, 0, 0], [0, 0, 256]]),
    ("palette", [[0, 0, 0], [0, -1, 0]]),
    ("files", {"model.onnx": "abc"}),
    ("files", {"model.onnx": "A" * 64}),
    ("scoring", {"split": "val", "protocol": {"name": "x"}}),
    ("scoring", {"split": "val", "protocol": {"name": "x", "summary": "", "window": [-1, 4]}}),
    ("scoring", {"split": "val", "batch_size": 0, "protocol": {"name": "x", "summary": ""}}),
]


@pytest.mark.parametrize(("section", "content"), WRONG)
def test_a_description_with_an_impossible_value_is_refused(tmp_path: Path, section: str, content: Any) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a real graph")
    (tmp_path / "model.toml").write_text(tomli_w.dumps(plain_sidecar(sidecar_of()) | {section: content}), "utf-8")
    with pytest.raises(CheckpointError) as caught:
        read_sidecar(tmp_path)
    assert caught.value.code == "K462"
    assert "\n" not in caught.value.message


def test_the_description_states_every_rule_for_reading_an_image() -> None:
    # `mask_resize` is about labels, which a prediction does not read.
    assert set(Reading.__struct_fields__) - {"mask_resize"} <= set(Inference.__struct_fields__)


def test_what_is_valid_is_read(tmp_path: Path) -> None:
    # The oracle of the table above: the same description without a wrong value.
    (tmp_path / "model.onnx").write_bytes(b"not a real graph")
    write_sidecar(sidecar_of(), tmp_path / "model.toml")
    assert read_sidecar(tmp_path)[0] == sidecar_of()


def test_metadata_holds_every_field_that_is_known_before_the_file_is_written() -> None:
    properties = to_metadata(sidecar_of())
    assert all(key.startswith("pixelwise.") for key in properties)
    assert from_metadata(properties | {"other": "no JSON"}) == {
        key: value
        for key, value in plain_sidecar(sidecar_of()).items()
        if key not in ("files", "verification", "unverified")
    }
    with pytest.raises(msgspec.DecodeError):
        from_metadata({"pixelwise.classes": "["})


@pytest.mark.parametrize("fields", [{}, {"fit": (8, None)}, {"fit": (8, 20)}, {"pad_to": (8, 8), "argmax_at": "input"}])
def test_the_rules_of_a_protocol_come_back(fields: Any) -> None:
    expected = protocol(**fields)
    shorter, longer = expected.fit or (None, None)
    found = Inference(
        resize="none" if shorter is None else "fit", shorter_side=shorter, longer_side=longer, pad_to=expected.pad_to
    ).protocol()
    assert (found.fit, found.pad_to, found.argmax_at) == (expected.fit, expected.pad_to, expected.argmax_at)
