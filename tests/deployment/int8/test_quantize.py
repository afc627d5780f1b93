"""Int8 artefacts of a ReLU network that was trained for a few seconds, and of one that int8 destroys."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import openvino
import pytest
import torch
from PIL import Image
from torch import nn

import pixelwise
from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.checkpoints.trained import load_trained
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import Exported, export
from pixelwise.deployment.int8.quantize import int8_artefact, quantize, sensitivity
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models import build_model, normalize
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.unet import UNetSpec
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE
from pixelwise.runtimes import read_sidecar
from pixelwise.storage import write_text
from pixelwise.testing.exporting import settled

SIZE = (48, 64)


@pytest.fixture(scope="module")
def fragile_run(tmp_path_factory: pytest.TempPathFactory, small_recipe: Recipe, small_town: Path) -> Path:
    """One channel before a layer is a thousand times as large as the others, and its weights a thousandth.

    In float that changes nothing; in int8 one scale for all channels leaves nothing of the others.
    """
    folder = tmp_path_factory.mktemp("runs") / "fragile"
    fragile = msgspec.structs.replace(
        small_recipe, model=UNetSpec(encoder="resnet10t", decoder_channels=(32, 16, 16, 16))
    )
    torch.manual_seed(1)
    model = settled(build_model(fragile))
    name, norm = fragile_pair(model)
    layer = dict(model.named_modules())[name]
    assert isinstance(layer, nn.Conv2d)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias):
            assert isinstance(tensor, torch.Tensor)
            tensor[0] = 1000
        layer.weight[:, 0] /= 1000
        # No class wins everywhere.
        images = [np.asarray(Image.open(path)) for path in sorted((small_town / "images" / "val").iterdir())]
        inputs = normalize(torch.from_numpy(np.stack(images)), model.preprocessing)
        classifier = [module for module in model.modules() if isinstance(module, nn.Conv2d)][-1]
        assert classifier.bias is not None
        logits = model.head_logits(inputs)[0]
        spread = logits.std((0, 2, 3))
        classifier.bias -= logits.mean((0, 2, 3))
        classifier.weight /= spread[:, None, None, None]
        classifier.bias /= spread
    save_checkpoint(
        folder / CHECKPOINTS, step=7, tensors={"model": model.state_dict()}, state={}, miou=0.25, metadata={}
    )
    write_text(folder / RECIPE, to_toml(fragile))
    return folder


@pytest.fixture(scope="module")
def own_town(tmp_path_factory: pytest.TempPathFactory, fragile_run: Path, small_town: Path) -> Path:
    """The town with what the fragile network predicts as labels: in float its mean IoU is 1."""
    folder = tmp_path_factory.mktemp("data") / "town"
    shutil.copytree(small_town, folder)
    run = pixelwise.load(fragile_run)
    for path in sorted((folder / "images" / "val").iterdir()):
        labels = run.predict(np.asarray(Image.open(path))).labels
        Image.fromarray(labels).save(folder / "masks" / "val" / path.name)
    return folder


def fragile_pair(model: nn.Module) -> tuple[str, nn.Module]:
    """The last but one convolution, and the normalisation whose output, through a ReLU, it alone reads."""
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    convolutions = [index for index, (_, module) in enumerate(layers) if isinstance(module, nn.Conv2d)]
    return layers[convolutions[-2]][0], layers[convolutions[-2] - 1][1]


@pytest.mark.heavy
@pytest.mark.parametrize("target", ["onnx", pytest.param("openvino", marks=pytest.mark.heavy)])
def test_int8_agrees_scores_alike_and_is_small(target: Any, small_run: Path, small_town: Path, tmp_path: Path) -> None:
    exported = int8_artefact(small_run, tmp_path / "int8", target=target, size=SIZE, data=small_town, split="val")
    floating = export(small_run, tmp_path / "float", target, size=SIZE)

    assert exported.sidecar.precision == "int8"
    assert exported.sidecar.calibration is not None
    assert exported.sidecar.calibration.images == 1
    assert exported.sidecar.calibration.source == "train of town, 1 images, protocol native"
    assert weight_bytes(exported) < 0.45 * weight_bytes(floating)
    found = exported.sidecar.verification
    assert found is not None
    assert found.equal_pixels >= 0.95
    assert found.miou_drop is not None
    assert pixelwise.evaluate(exported.path, data=small_town, split="val").miou == found.miou_artefact
    assert read_sidecar(exported.path)[0] == exported.sidecar

    assert largest_weight(exported) in (63, 64)


def largest_weight(exported: Exported) -> int:
    """Largest magnitude of the int8 weights of an artefact.

    Up to 64 two products with activations of 8 bits fit the 16 bits in which x86 processors without VNNI add them
    (2 * 64 * 255 < 32768), so that the artefact computes the same everywhere.
    """
    if exported.sidecar.runtime == "openvino":
        operations = openvino.Core().read_model(exported.path).get_ops()
        constants = [op for op in operations if op.get_type_name() == "Constant"]
        weights = [op.data for op in constants if op.get_element_type() == openvino.Type.i8]
    else:
        tensors = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(exported.path).graph.initializer]
        weights = [tensor for tensor in tensors if tensor.dtype == np.int8 and tensor.ndim > 1]
    assert weights
    return max(int(np.abs(values.astype(int)).max()) for values in weights)


def weight_bytes(exported: Exported) -> int:
    name = "model.bin" if exported.sidecar.runtime == "openvino" else "model.onnx"
    return exported.path.with_name(name).stat().st_size


@pytest.mark.heavy
def test_one_of_any_size_in_bytes_predicts_at_other_sizes(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    exported = int8_artefact(
        small_run, tmp_path / "out", uint8_input=True, argmax=True, dynamic=True, size=SIZE, data=small_town
    )

    scene = draw_scene(0, 3, (75, 110))[0]
    ours, theirs = pixelwise.load(small_run).predict(scene), pixelwise.load(exported.path).predict(scene)
    assert (ours.labels == theirs.labels).mean() > 0.9
    graph = onnx.load(exported.path).graph
    # Nothing is rounded before normalisation, and nothing after the classifier.
    consumers = [node.op_type for node in graph.node if "images" in node.input]
    assert "QuantizeLinear" not in consumers
    assert exported.sidecar.float_layers == ("classifier",)


def test_without_images_to_calibrate_on_it_is_one_sentence(tmp_path: Path, run_cli: Any) -> None:
    done = run_cli(["quantize", "town-demo", "--weights", "none", "--output", tmp_path / "out"])

    assert done.code == 2
    assert done.stderr.startswith("error[R246]: ")
    assert "'town-demo'" in done.stderr
    assert "--images" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.heavy
def test_the_images_of_a_folder_calibrate_too(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    exported = int8_artefact(small_run, tmp_path / "out", size=SIZE, images=small_town / "images" / "val")

    assert exported.sidecar.calibration is not None
    assert (exported.sidecar.calibration.images, exported.sidecar.calibration.source) == (2, "2 images of a folder")


@pytest.mark.parametrize(("target", "package"), [("onnx", "onnxruntime"), ("openvino", "nncf")])
def test_a_missing_package_names_the_extra(
    target: Any, package: str, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(package), *sys.meta_path])

    with pytest.raises(RecipeError, match=rf"\bpackage {package}\b") as caught:
        quantize(small_run, tmp_path / "out", target)

    assert caught.value.code == "R240"
    assert "pixelwise[export]" in caught.value.help


class Absent:
    """A meta path finder that reports a package as missing."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


@pytest.mark.heavy
def test_a_layer_made_sensitive_ranks_first(fragile_run: Path, own_town: Path) -> None:
    costs = sensitivity(fragile_run, data=own_town, split="val", size=SIZE)

    name, _ = fragile_pair(load_trained(fragile_run).model)
    assert costs[0].name == name
    assert max(costs, key=lambda cost: cost.unequal_pixels).name == name
    assert costs == sorted(costs, key=lambda cost: cost.rank, reverse=True)
    worst, others = (max(c.unequal_pixels for c in costs), sorted(c.unequal_pixels for c in costs)[:-1])
    assert worst > 3 * others[-1]


@pytest.mark.parametrize(
    "target", [pytest.param("onnx", marks=pytest.mark.heavy), pytest.param("openvino", marks=pytest.mark.fuzz)]
)
def test_layers_that_cost_are_kept_in_float(target: Any, fragile_run: Path, own_town: Path, tmp_path: Path) -> None:
    name, _ = fragile_pair(load_trained(fragile_run).model)
    images = own_town / "images" / "val"
    spoiled = int8_artefact(fragile_run, tmp_path / "all", target=target, size=SIZE, images=images, force=True)
    ranking = sensitivity(fragile_run, images=images, size=SIZE)
    assert ranking[0].name == name

    # A drop of nothing at all holds only once the layer that matters is in float.
    lost = spoiled.sidecar.verification
    assert lost is not None
    exported = int8_artefact(
        fragile_run, tmp_path / "some", target=target, size=SIZE, data=own_town, split="val", max_miou_drop=1.0,
        ranking=ranking,
    )  # fmt: skip

    assert name in exported.sidecar.float_layers
    found = exported.sidecar.verification
    assert found is not None
    assert found.miou_drop is not None
    assert found.miou_drop <= 0.01
    assert found.equal_pixels > lost.equal_pixels


@pytest.mark.heavy
def test_a_drop_that_is_never_reached_is_an_error(fragile_run: Path, own_town: Path, tmp_path: Path) -> None:
    ranking = sensitivity(fragile_run, data=own_town, split="val", size=SIZE)[-1:]  # the one that costs nothing

    with pytest.raises(CheckpointError, match=r"int8 .* \d+\.\d\d points .*val of town.* at most 0\n") as caught:
        int8_artefact(
            fragile_run, tmp_path / "out", size=SIZE, data=own_town, split="val", max_miou_drop=0.0, ranking=ranking
        )

    assert caught.value.code == "K465"
    assert list((tmp_path / "out").iterdir()) == []


def test_numbers_that_mean_nothing_are_refused(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    for wrong in ({"calibration_images": 0}, {"max_miou_drop": -1.0}, {"max_miou_drop": 101.0}, {"least_equal": 1.5}):
        with pytest.raises(RecipeError) as caught:
            quantize(small_run, tmp_path / "out", **wrong)
        assert caught.value.code == "R260"


def test_without_an_output_and_a_list_of_layers_there_is_nothing_to_do(small_run: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        quantize(small_run)
    assert caught.value.code == "R247"


def test_a_target_without_a_quantizer_names_those_that_have_one(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        quantize(small_run, tmp_path / "out", "torch-export")
    assert caught.value.code == "R244"
    assert "onnx, openvino" in caught.value.help


def test_a_budget_of_miou_is_not_held_against_images_without_labels(
    small_run: Path, small_town: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"`max_miou_drop`.*`images`") as caught:
        quantize(small_run, tmp_path / "out", images=small_town / "images" / "val", max_miou_drop=0.5)
    assert caught.value.code == "R247"
    with pytest.raises(RecipeError, match=r"`max_miou_drop`.*`images`") as caught:
        quantize(small_run, tmp_path / "out", images=small_town / "images" / "val", split="val", max_miou_drop=0.5)
    assert caught.value.code == "R247"
    assert not (tmp_path / "out").exists()


@pytest.mark.heavy
def test_the_command_line_lists_layers_and_writes_json(
    small_run: Path, small_town: Path, tmp_path: Path, run_cli: Any
) -> None:
    images = small_town / "images" / "val"
    listed = run_cli(["quantize", small_run, "--sensitivity", "--images", images])
    assert listed.code == 0, listed.stderr
    assert "pixels changed" in listed.stdout

    done = run_cli(
        ["quantize", small_run, "--sensitivity", "--output", tmp_path / "out", "--images", images, "--size", "64x48",
         "--json"]
    )  # fmt: skip
    assert done.code == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["precision"] == "int8"
    assert content["calibration"]["images"] == 2
    assert {"name", "unequal_pixels", "miou_drop"} == set(content["sensitivity"][0])
    assert run_cli(["quantize", small_run]).code == 2


@pytest.mark.parametrize(
    "target", [pytest.param("onnx", marks=pytest.mark.heavy), pytest.param("openvino", marks=pytest.mark.fuzz)]
)
def test_a_trained_relu_network_loses_less_than_a_point(target: Any, tmp_path: Path) -> None:
    changes = [
        'model={family="fpnlite",encoder="mobilenetv2_100",channels=64}',
        "data.town_images=[64,16,4]",
        "data.town_size=[96,128]",
        "augment.crop=[96,128]",
        "schedule.iterations=120",
    ]
    run = pixelwise.train(apply_overrides(recipe("town-demo"), changes), output=tmp_path / "run")

    exported = int8_artefact(run, tmp_path / "out", target=target, split="val", calibration_images=64)

    found = exported.sidecar.verification
    assert found is not None
    assert found.miou_drop is not None
    assert found.miou_drop < 0.01
