from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pixelwise.errors import RecipeError
from pixelwise.runtimes.formats import coreml
from pixelwise.runtimes.formats.coreml import TARGET, check, open_engine

INSTALLED = importlib.util.find_spec("coremltools") is not None


def test_it_takes_one_size_in_floats() -> None:
    assert not TARGET.any_size
    assert not TARGET.byte_arrays
    assert TARGET.folder


def test_it_runs_on_macos_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert TARGET.refusal() == ""
    monkeypatch.setattr(sys, "platform", "linux")
    assert "macOS" in TARGET.refusal()


def test_without_the_package_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(RecipeError) as caught:
        open_engine(tmp_path / "model.mlpackage", None)
    assert caught.value.code == "R240"
    assert "pixelwise[coreml]" in caught.value.help


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with a graph of one constant, whose value is in a file of weights."""
    if not INSTALLED:
        pytest.skip("coremltools is not installed")
    folder = tmp_path / "model.mlpackage"
    inner = folder / "Data" / "com.apple.CoreML"
    (inner / "weights").mkdir(parents=True)
    (inner / "weights" / "weight.bin").write_bytes(b"\0" * 64)
    (inner / "model.mlmodel").write_bytes(specification("@model_path/weights/weight.bin"))
    items = {
        "a": {"path": "com.apple.CoreML/model.mlmodel"},
        "b": {"path": "com.apple.CoreML/weights"},
    }
    (folder / "Manifest.json").write_text(json.dumps({"itemInfoEntries": items, "rootModelIdentifier": "a"}), "utf-8")
    return folder


def specification(weights: str) -> bytes:
    from coremltools.proto import Model_pb2  # type: ignore[import-not-found]

    model: Any = Model_pb2.Model()
    block = model.mlProgram.functions["main"].block_specializations["CoreML6"]
    operation = block.operations.add(type="const")
    operation.attributes["val"].blobFileValue.fileName = weights
    return model.SerializeToString()


def test_a_package_whose_files_are_its_own_passes(package: Path) -> None:
    assert check(package, ()) == ""


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "@model_path/../../../secret",
        "@model_path//etc/passwd",
        "@model_path/weights/absent.bin",
        "",
        "a",
    ],
)
def test_weights_elsewhere_are_refused(package: Path, name: str) -> None:
    (package / "Data" / "com.apple.CoreML" / "model.mlmodel").write_bytes(specification(name))
    assert "its weights are in" in check(package, ())


@pytest.mark.parametrize("path", ["../model.mlmodel", "/model.mlmodel", "com.apple.CoreML/../../x"])
def test_a_manifest_that_leads_out_is_refused(package: Path, path: str) -> None:
    text = {"itemInfoEntries": {"a": {"path": path}}, "rootModelIdentifier": "a"}
    (package / "Manifest.json").write_text(json.dumps(text), "utf-8")
    assert "leads out of it" in check(package, ())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"itemInfoEntries": [], "rootModelIdentifier": "a"}', "\x00"])
def test_a_damaged_manifest_is_refused(package: Path, text: str) -> None:
    (package / "Manifest.json").write_text(text, "utf-8")
    assert "Manifest.json is not that" in check(package, ())


def test_a_graph_of_another_kind_is_refused(package: Path) -> None:
    from coremltools.proto import Model_pb2  # type: ignore[import-not-found]

    graph = package / "Data" / "com.apple.CoreML" / "model.mlmodel"
    model: Any = Model_pb2.Model()
    model.customModel.className = "Anything"
    graph.write_bytes(model.SerializeToString())
    assert "not a program" in check(package, ())
    graph.write_bytes(b"no graph at all")
    assert "not a Core ML model" in check(package, ())


def test_bars_are_drawn_again_after_a_conversion(capsys: pytest.CaptureFixture[str]) -> None:
    from tqdm import tqdm

    with coreml._without_bars():
        assert list(tqdm(range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    assert list(tqdm(range(3))) == [0, 1, 2]
    assert "3/3" in capsys.readouterr().err
