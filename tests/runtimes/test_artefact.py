"""Artefacts as networks, and their files as engines; the graphs here are made by hand."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.prediction.network import main_logits
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import to_plain
from pixelwise.runtimes import artefact as module
from pixelwise.runtimes.artefact import ArtefactModel, open_engine
from pixelwise.runtimes.sidecar import Complexity, Input, Licence, Output, Sidecar
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
    [("onnx", "onnxruntime", "export"), ("openvino", "openvino", "export"), ("executorch", "executorch", "edge")],
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
    model = artefact(lambda images: images)
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


def artefact(engine: Any, **changes: Any) -> ArtefactModel:
    """One around a function; it takes normalised images of 2x3 one by one unless `changes` say otherwise."""
    facts: dict[str, Any] = {
        "input": Input(name="images", dtype="float32", layout="NCHW", size=(2, 3), batch=1),
        "output": Output(name="logits", dtype="float32", stride=1, align_corners=False),
        **changes,
    }
    sidecar = Sidecar(
        runtime="onnx",
        recipe_name="town-demo",
        recipe_hash="0" * 64,
        classes=("road", "sky"),
        palette=((1, 2, 3), (4, 5, 6)),
        preprocessing=Preprocessing(mean=(0.5, 0.25, 0.0), std=(0.5, 0.5, 1.0)),
        protocol="native",
        complexity=Complexity(parameters=1, macs=1, size=(2, 3)),
        licence=Licence(weights="none", code="MIT"),
        weights_sha256="",
        files={},
        versions={},
        recipe=to_plain(recipe("town-demo")),
        **facts,
    )
    model = ArtefactModel(sidecar, engine, Path("model.onnx"))
    model.preprocessing = sidecar.preprocessing
    return model.eval()


def test_a_batch_goes_through_one_of_batch_one_image_by_image() -> None:
    seen = []

    def engine(images: np.ndarray) -> np.ndarray:
        seen.append(images.shape)
        return images[:, :2] + 1

    images = torch.arange(36, dtype=torch.float32).reshape(2, 3, 2, 3)
    (logits,) = artefact(engine).head_logits(images)
    assert seen == [(1, 3, 2, 3), (1, 3, 2, 3)]
    assert torch.equal(logits, images[:, :2] + 1)


def test_class_ids_become_one_for_the_class_and_zero_for_the_others() -> None:
    model = artefact(
        lambda images: np.array([[[0, 1, 1], [1, 0, 0]]], np.uint8),
        output=Output(name="labels", dtype="uint8", stride=1, align_corners=False),
    )
    (scores,) = model.head_logits(torch.zeros(1, 3, 2, 3))
    assert torch.equal(scores[0, 1], torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    assert torch.equal(scores[0, 0], 1 - scores[0, 1])
    assert not model.gives_scores


def test_bytes_go_in_as_they_were_before_they_were_normalised() -> None:
    seen = []

    def engine(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.zeros((1, 2, *images.shape[1:3]), np.float32)

    model = artefact(engine, input=Input(name="images", dtype="uint8", layout="NHWC"))
    raw = np.random.default_rng(0).integers(0, 256, (1, 2, 3, 3), np.uint8)
    mean, std = np.array([0.5, 0.25, 0.0]), np.array([0.5, 0.5, 1.0])
    normalised = ((raw / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    model.head_logits(torch.from_numpy(normalised))
    assert np.array_equal(seen[0], raw)
    main_logits(model, [raw[0]])
    assert np.array_equal(seen[1], raw)
    # What is padded is normalised first, since the padding has the mean colour.
    main_logits(model, [raw[0]], pad_to=(2, 5))
    assert seen[2].shape == (1, 2, 5, 3)
    assert seen[2][0, 0, 4].tolist() == [128, 64, 0]


@pytest.mark.parametrize("name", ["logits", "labels"])
def test_an_output_that_is_not_as_described_is_refused(name: str) -> None:
    good = np.zeros((1, 2, 2, 3), np.float32) if name == "logits" else np.ones((1, 2, 3), np.uint8)
    wrong = [good[..., :2], good[..., :1, :], good[0]]
    wrong += [np.zeros((1, 3, 2, 3), np.float32)] if name == "logits" else [good + 1, good.astype(np.int64) - 2]
    dtype = "float32" if name == "logits" else "uint8"
    described: Any = Output(name=name, dtype=dtype, stride=1, align_corners=False)  # type: ignore[arg-type]
    artefact(lambda images: good, output=described).head_logits(torch.zeros(1, 3, 2, 3))
    for output in wrong:
        with pytest.raises(CheckpointError) as caught:
            artefact(lambda images, output=output: output, output=described).head_logits(torch.zeros(1, 3, 2, 3))
        assert caught.value.code == "K463"


def test_a_smaller_image_is_padded_with_the_mean_colour_to_the_one_size() -> None:
    seen = []

    def engine(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return images[:, :2]

    images = torch.rand(1, 3, 2, 2)
    (logits,) = artefact(engine).head_logits(images)
    assert seen[0].shape == (1, 3, 2, 3)
    assert not seen[0][..., 2].any()
    assert torch.equal(logits, images[:, :2])


def test_a_larger_image_is_refused_by_one_of_one_size() -> None:
    with pytest.raises(CheckpointError) as caught:
        artefact(lambda images: images).head_logits(torch.zeros(1, 3, 4, 5))
    assert caught.value.code == "K464"
    assert "3x2" in caught.value.message
    assert "5x4" in caught.value.help


def test_what_a_runtime_raises_is_one_sentence() -> None:
    def engine(images: np.ndarray) -> np.ndarray:
        raise MemoryError("no room\nfor tensors")

    with pytest.raises(CheckpointError) as caught:
        artefact(engine).run(np.zeros((1, 3, 2, 3), np.float32))
    assert caught.value.code == "K463"
    assert caught.value.message.endswith("no room")
