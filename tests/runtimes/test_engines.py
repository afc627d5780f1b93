from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.runtimes.engines import EXTRAS, open_engine, require


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let a package be missing, as in an installation without the extra."""
    import_module = importlib.import_module

    def refuse(name: str, *rest: object) -> object:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)
        return import_module(name, *rest)

    monkeypatch.setattr(importlib, "import_module", refuse)


@pytest.mark.parametrize(
    ("runtime", "package", "extra"),
    [("onnx", "onnxruntime", "export"), ("openvino", "openvino", "export"), ("executorch", "executorch", "edge")],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runtime: str, package: str, extra: str
) -> None:
    without(monkeypatch, package)

    with pytest.raises(RecipeError, match=f"needs the package {package}, which is not installed") as caught:
        open_engine(runtime, tmp_path / "model")  # type: ignore[arg-type]
    assert caught.value.code == "R240"
    assert caught.value.help == f"install it: pip install 'pixelwise[{extra}]'"


def test_a_package_whose_own_needs_are_missing_names_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "half_there.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(EXTRAS, "half_there", "edge")

    words = "package half_there, which needs not_installed_anywhere, which is not installed"
    with pytest.raises(RecipeError, match=words) as caught:
        require("half_there", "running")
    assert (caught.value.code, caught.value.help) == ("R240", "install it: pip install 'pixelwise[edge]'")


def test_a_package_that_is_there_is_imported() -> None:
    assert require("onnxruntime", "running").__name__ == "onnxruntime"


@pytest.mark.parametrize(
    ("runtime", "name"), [("onnx", "model.onnx"), ("openvino", "model.xml"), ("torch-export", "model.pt2")]
)
def test_a_file_that_the_runtime_refuses_is_one_sentence(tmp_path: Path, runtime: str, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"no graph at all")

    with pytest.raises(CheckpointError, match=f"{runtime} refuses it: ") as caught:
        open_engine(runtime, file)  # type: ignore[arg-type]
    assert caught.value.code == "K463"
    assert "\n" not in caught.value.message


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """An ONNX file that adds its input to itself."""
    onnx = pytest.importorskip("onnx")
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 8]) for name in ("images", "logits")]
    node = onnx.helper.make_node("Add", ["images", "images"], ["logits"])
    graph = onnx.helper.make_graph([node], "doubled", value[:1], value[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "doubled.onnx")
    return tmp_path / "doubled.onnx"


@pytest.mark.parametrize(("asked", "limit", "threads"), [(None, 1, 1), (None, 3, 3), (2, 1, 2), (None, None, None)])
def test_a_runtime_takes_no_more_threads_than_the_process_has_cores(
    monkeypatch: pytest.MonkeyPatch, doubled: Path, asked: int | None, limit: int | None, threads: int | None
) -> None:
    onnxruntime, openvino = pytest.importorskip("onnxruntime"), pytest.importorskip("openvino")
    told: list[object] = []
    session, compile_model = onnxruntime.InferenceSession, openvino.Core.compile_model

    def watch_session(file: str, options: Any, **rest: Any) -> Any:
        told.append(options.intra_op_num_threads or None)  # 0: as it likes
        return session(file, options, **rest)

    def watch_compiling(core: Any, file: str, device: str, settings: dict[str, Any]) -> Any:
        told.append(settings.get("INFERENCE_NUM_THREADS"))
        return compile_model(core, file, device, settings)

    monkeypatch.setattr("pixelwise.runtimes.engines.core_limit", lambda: limit)
    monkeypatch.setattr(onnxruntime, "InferenceSession", watch_session)
    monkeypatch.setattr(openvino.Core, "compile_model", watch_compiling)

    images = np.arange(8, dtype=np.float32)[None]
    for runtime in ("onnx", "openvino"):
        assert np.array_equal(open_engine(runtime, doubled, asked)(images), 2 * images)  # type: ignore[arg-type]
    assert told == [threads, threads]
