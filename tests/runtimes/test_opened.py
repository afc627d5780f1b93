"""Artefacts and the runtimes that open their files; the graphs here are made by hand."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from runtimes.descriptions import small_sidecar

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.runtimes import opened as module
from pixelwise.runtimes.opened import Artefact, open_engine
from pixelwise.runtimes.targets import find_target


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
    [
        ("onnx", "onnxruntime", "export"),
        ("openvino", "openvino", "export"),
        ("executorch", "executorch", "edge"),
        ("litert", "ai_edge_litert", "litert"),
        ("coreml", "coremltools", "coreml"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runtime: str, package: str, extra: str
) -> None:
    without(monkeypatch, package)

    with pytest.raises(RecipeError, match=rf"\b{package}\b") as caught:
        open_engine(runtime, tmp_path / "model")
    assert caught.value.code == "R240"
    assert f"pip install 'pixelwise[{extra}]'" in caught.value.help


@pytest.mark.parametrize(
    ("runtime", "name"), [("onnx", "model.onnx"), ("openvino", "model.xml"), ("torch-export", "model.pt2")]
)
def test_a_file_that_the_runtime_refuses_is_one_sentence(tmp_path: Path, runtime: str, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"no graph at all")

    with pytest.raises(CheckpointError, match=rf"{name}: {runtime} .*: ") as caught:
        open_engine(runtime, file)
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

    for runtime in ("onnx", "openvino"):
        monkeypatch.setattr(f"pixelwise.runtimes.formats.{runtime}.core_limit", lambda: limit)
    monkeypatch.setattr(onnxruntime, "InferenceSession", watch_session)
    monkeypatch.setattr(openvino.Core, "compile_model", watch_compiling)

    images = np.arange(8, dtype=np.float32)[None]
    for runtime in ("onnx", "openvino"):
        assert np.array_equal(open_engine(runtime, doubled, asked)(images), 2 * images)
    assert told == [threads, threads]


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_threads_that_share_an_engine_get_their_own_results(doubled: Path, runtime: str) -> None:
    pytest.importorskip("onnxruntime" if runtime == "onnx" else runtime)
    open_for_threads = find_target(runtime).open_for_threads
    assert open_for_threads is not None
    engine = open_for_threads(doubled, 3)
    inputs = [np.full((1, 8), number, np.float32) for number in range(60)]

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(engine, inputs))

    assert [values.tolist() for values in found] == [(2 * values).tolist() for values in inputs]


def test_an_artefact_is_opened_again_for_threads_if_its_runtime_can_be_shared(
    monkeypatch: pytest.MonkeyPatch, doubled: Path
) -> None:
    pytest.importorskip("onnxruntime")
    model = Artefact(small_sidecar(), lambda images: images, Path("model.onnx"))
    with pytest.raises(CheckpointError, match=r"model\.onnx: onnx cannot open it") as caught:
        model.for_threads(2)
    assert caught.value.code == "K463"

    model._path = doubled
    shared = model.for_threads(2)
    assert shared is not None
    assert shared.run(np.ones((1, 8), np.float32)).tolist() == [[2.0] * 8]
    assert model.for_threads(2) is shared

    alone = msgspec.structs.replace(find_target("onnx"), open_for_threads=None)
    monkeypatch.setattr(module, "find_target", lambda _: alone)
    assert model.for_threads(2) is None


def test_what_a_runtime_raises_is_one_sentence() -> None:
    def engine(images: np.ndarray) -> np.ndarray:
        raise MemoryError("no room\nfor tensors")

    with pytest.raises(CheckpointError) as caught:
        Artefact(small_sidecar(), engine, Path("model.onnx")).run(np.zeros((1, 3, 2, 3), np.float32))
    assert caught.value.code == "K463"
    assert caught.value.message.endswith("no room")
