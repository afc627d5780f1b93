"""Quantization-aware training from its float stage to its score, on drawn street scenes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from observers import Told

from pixelwise.api.evaluate import evaluate
from pixelwise.checkpoints.trained import load_trained
from pixelwise.deployment.export.export import export
from pixelwise.models.quantization.aware import QuantizationAwareModel
from pixelwise.prediction.loading import load
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training.runs import resume, train

pytest.importorskip("torchao", reason="pip install 'pixelwise[quantization]'")

SMALL = (
    "data.dataset=town", "data.town_images=[8,2,2]", "data.town_size=[64,96]", "model.encoder=mobilenetv2_100",
    "augment.fit=[64,96]", "augment.crop=[64,96]", "sampling.batch_size=4", "schedule.epochs=2",
    "loss.class_weights=none", "loss.class_weights_share=1", "initialize.encoder=none",
    'evaluation.protocols=["native"]',
    "evaluation.input_size=[64,96]", "selection.weights=last", "selection.every_epochs=0", "evaluation.split=test",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = apply_overrides(recipe("fpnlite-mobilenetv2-cityscapes-768x384-qat"), SMALL)
    (stage,) = small.stages
    shorter = msgspec.structs.replace(stage, overrides=(*stage.overrides, "schedule.epochs=2", "sampling.batch_size=4"))
    small = msgspec.structs.replace(small, stages=(shorter,))
    return train(small, output=tmp_path_factory.mktemp("qat") / "run", threads=1)


@pytest.mark.heavy
def test_a_published_row_trains_in_float_and_then_with_eight_bits(run: Path):
    assert (run / "stages" / "float" / "recipe.toml").exists()
    float_recipe = load_trained(run / "stages" / "float").recipe
    assert (float_recipe.quantization, float_recipe.optimizer.lr) == ("none", 4e-4)
    trained = load_trained(run)
    assert isinstance(trained.model, QuantizationAwareModel)
    assert trained.recipe.optimizer.lr == 1e-5


@pytest.mark.heavy
def test_it_scores_about_as_its_float_stage(run: Path):
    float_score, score = evaluate(run / "stages" / "float"), evaluate(run)
    assert score.pixel_accuracy == pytest.approx(float_score.pixel_accuracy, abs=0.1)


@pytest.mark.heavy
def test_its_export_is_an_int8_artefact_that_scores_the_same(run: Path, tmp_path: Path):
    onnx = pytest.importorskip("onnx", reason="pip install 'pixelwise[export]'")
    # A network of eight steps: how far a runtime that rounds at other places agrees with it says nothing.
    exported = export(run, tmp_path, "onnx", dynamic=True, split="test", least_equal=0.0)
    assert exported.sidecar.precision == "int8"
    operations = [node.op_type for node in onnx.load(exported.path).graph.node]
    assert operations.count("Conv") == 70
    assert operations.count("QuantizeLinear") >= 70
    # A quarter of the 2.7 million float weights, and the graph.
    assert exported.path.stat().st_size < 0.4 * 4 * exported.sidecar.complexity.parameters
    assert evaluate(exported.path).protocol == evaluate(run).protocol
    assert_computes_the_same(exported.path, run)


@pytest.mark.fuzz
def test_the_scheme_for_pcs_is_exported_alike(run: Path, tmp_path: Path):
    pytest.importorskip("onnxruntime", reason="pip install 'pixelwise[export]'")
    small = apply_overrides(recipe("fpnlite-mobilenetv2-cityscapes-768x384-qat"), [*SMALL, "quantization=x86-8bit"])
    begin = [f"initialize.run={run / 'stages' / 'float'}"]
    trained = train(small, output=tmp_path / "run", overrides=begin, threads=1)
    exported = export(trained, tmp_path / "onnx", "onnx", size=(64, 96), least_equal=0.0)
    assert_computes_the_same(exported.path, trained, (64, 96))


def assert_computes_the_same(artefact: Path, run: Path, size: tuple[int, int] = (70, 110)) -> None:
    """Run an ONNX graph operation by operation, without the fusions of a runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(artefact), options, providers=["CPUExecutionProvider"])
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        # Of a run that resizes images, the artefact gives the logits of its head.
        expected = load_trained(run).model.head_logits(images)[0]
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert float(expected.abs().max()) > 0.1
    # A value between two steps may be rounded either way, which in some pixels moves a logit by a few steps.
    difference = np.abs(found - expected.numpy())
    assert (difference > 1e-4).mean() < 0.2
    assert difference.mean() < 0.005 * float(expected.max() - expected.min())


@pytest.mark.heavy
def test_it_predicts_like_any_run(run: Path):
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    assert load(run).predict(image).labels.shape == (50, 70)


@pytest.mark.heavy
def test_it_goes_on_bit_for_bit_where_it_was_stopped(run: Path, tmp_path: Path):
    def half(status) -> None:
        if status.step == 2:
            raise KeyboardInterrupt

    small = apply_overrides(recipe("fpnlite-mobilenetv2-cityscapes-768x384-qat"), [*SMALL, "checkpoints.every_steps=2"])
    other = tmp_path / "run"
    begin = [f"initialize.run={run / 'stages' / 'float'}"]
    whole = train(small, output=tmp_path / "whole", overrides=begin, threads=1)
    assert not (whole / "stages").exists()
    with pytest.raises(KeyboardInterrupt):
        train(small, output=other, overrides=begin, threads=1, observer=Told(step=half))
    resume(other)
    first, second = (load_trained(folder).model.state_dict() for folder in (whole, other))
    assert all(first[name].equal(second[name]) for name in first)


@pytest.mark.heavy
def test_random_weights_to_begin_with_are_warned_about(tmp_path: Path):
    codes = []
    small = apply_overrides(
        recipe("fpnlite-mobilenetv2-cityscapes-768x384-qat"), [*SMALL, "stages=[]", "schedule.iterations=1"]
    )
    train(small, output=tmp_path / "run", threads=1, observer=Told(warn=lambda code, _: codes.append(code)))
    assert "W219" in codes
