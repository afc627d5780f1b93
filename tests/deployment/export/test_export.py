from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import pixelwise
from pixelwise.checkpoints.trained import load_trained
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import Exported, export
from pixelwise.deployment.export.sources import open_source
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models import normalize
from pixelwise.prediction.loading import load
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.runtimes import load_artefact, read_sidecar
from pixelwise.storage import sha256_file

SIZE = (48, 64)
SCENE = draw_scene(0, 1, (75, 110))[0]


def test_the_artefact_says_what_it_is(any_size: Exported, small_run: Path, small_recipe: Recipe) -> None:
    sidecar, file = read_sidecar(any_size.path.parent)
    trained = load_trained(small_run)

    assert file == any_size.path
    assert sidecar == any_size.sidecar
    assert sidecar.classes == trained.model.classes
    assert sidecar.palette == trained.palette
    assert sidecar.preprocessing == small_recipe.model.preprocessing
    assert sidecar.weights_sha256 == trained.weights_sha256
    assert sidecar.recipe_hash == small_recipe.hash()
    assert sidecar.score is not None
    assert (sidecar.score.miou, sidecar.score.protocol, sidecar.score.split) == (0.25, "native", "val")
    assert (sidecar.input.dtype, sidecar.input.layout, sidecar.input.size) == ("uint8", "NHWC", None)
    assert (sidecar.output.name, sidecar.output.dtype, sidecar.output.stride) == ("labels", "uint8", 1)
    assert sidecar.complexity.size == SIZE
    assert sidecar.complexity.macs > 0
    assert sidecar.files == {"model.onnx": sha256_file(file)}


def test_it_was_verified_before_it_was_kept(any_size: Exported, one_size: Exported) -> None:
    for exported in (any_size, one_size):
        found = exported.sidecar.verification
        assert found is not None
        assert found.images == 4
        assert found.equal_pixels >= 0.9999
    logits = one_size.sidecar.verification
    assert logits is not None
    assert logits.max_difference is not None
    assert logits.logit_range is not None
    assert 0 < logits.max_difference < 1e-4 * logits.logit_range


def test_nothing_but_the_artefact_is_left(any_size: Exported) -> None:
    assert {path.name for path in any_size.path.parent.iterdir()} == {"model.onnx", "model.toml"}


def test_the_graph_names_its_open_sizes_and_forgets_where_it_was_made(any_size: Exported) -> None:
    proto = onnx.load(any_size.path)

    (images,), (labels,) = proto.graph.input, proto.graph.output
    assert [dim.dim_param or dim.dim_value for dim in images.type.tensor_type.shape.dim] == [
        "batch", "height", "width", 3,
    ]  # fmt: skip
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert labels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert proto.opset_import[0].version == 20
    assert str(Path(pixelwise.__file__).parent).encode() not in any_size.path.read_bytes()


@pytest.mark.parametrize("size", [(75, 110), (110, 75), (48, 64), (33, 20)])
def test_one_of_any_size_gives_the_networks_classes_for_a_batch(
    any_size: Exported, small_run: Path, size: tuple[int, int]
) -> None:
    model = load_trained(small_run).model
    images = np.stack([draw_scene(0, index, size)[0] for index in range(2)])

    found = load_artefact(any_size.path).run(images)

    with torch.no_grad():
        expected = model(normalize(torch.from_numpy(images), model.preprocessing)).argmax(1).numpy()
    assert found.dtype == np.uint8
    assert (found == expected).mean() >= 0.9999


def test_predicting_with_it_is_predicting_with_the_run(any_size: Exported, small_run: Path) -> None:
    ours, theirs = load(small_run).predict(SCENE), pixelwise.load(any_size.path).predict(SCENE)

    assert theirs.classes == ours.classes
    assert theirs.palette == ours.palette
    assert (theirs.labels == ours.labels).mean() >= 0.9999


def test_one_of_one_size_sees_every_image_at_that_size(one_size: Exported, small_run: Path) -> None:
    artefact = load(one_size.path)
    prediction = artefact.predict(SCENE, scores=True)

    assert artefact.seen_size((75, 110)) == SIZE
    assert prediction.labels.shape == (75, 110)
    assert prediction.scores is not None
    assert np.allclose(prediction.scores.sum(0), 1, atol=1e-5)
    # The run sees it at that size only if it is brought there by hand.
    run = load(small_run)
    same = Segmenter(run.model, palette=run.palette)
    same.model.fixed_size = SIZE
    assert (prediction.labels == same.predict(SCENE).labels).mean() >= 0.9999


def test_an_image_of_another_size_is_refused_by_one_of_one_size(one_size: Exported) -> None:
    with pytest.raises(CheckpointError, match=r"takes images of 64x48 only \(width x height\), not 65x48") as caught:
        load_artefact(one_size.path).head_logits(torch.zeros(1, 3, 48, 65))
    assert caught.value.code == "K464"


def test_a_batch_goes_through_one_of_batch_one_image_by_image(one_size: Exported) -> None:
    artefact = load_artefact(one_size.path)
    images = torch.randn(3, 3, *SIZE)

    together, alone = artefact.head_logits(images)[0], artefact.head_logits(images[2:])[0]

    assert together.shape[0] == 3
    assert torch.equal(together[2:], alone)


def test_class_ids_have_no_scores(any_size: Exported) -> None:
    with pytest.raises(CheckpointError, match="gives class ids, no scores") as caught:
        load(any_size.path).predict(SCENE, scores=True)
    assert caught.value.code == "K466"


def test_evaluating_it_gives_the_score_of_the_run(
    any_size: Exported, small_run: Path, small_town: Path, tmp_path: Path
) -> None:
    folder, run = tmp_path / "artefact", tmp_path / "run"
    shutil.copytree(any_size.path.parent, folder)
    shutil.copytree(small_run, run)

    theirs = pixelwise.evaluate(folder / "model.onnx", data=small_town, split="val")

    assert theirs.miou == pytest.approx(pixelwise.evaluate(run, data=small_town, split="val").miou, abs=1e-4)
    assert theirs.weights_sha256 == any_size.sidecar.files["model.onnx"]
    assert (folder / "evaluations" / "val-native" / "result.json").is_file()


def test_with_labels_both_are_scored(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    exported = export(
        small_run, tmp_path / "out", "torch-export", size=SIZE, output_stride=None, data=small_town, split="val"
    )

    found = exported.sidecar.verification
    assert found is not None
    assert found.source == "val of town, 2 images, protocol native"
    assert found.miou_pytorch is not None
    assert found.miou_pytorch > 0
    assert found.miou_artefact == pytest.approx(found.miou_pytorch, abs=1e-4)


def test_images_of_a_folder_are_enough_to_verify(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    exported = export(
        small_run, tmp_path / "out", "torch-export", dynamic=True, size=SIZE, images=small_town / "images" / "val"
    )

    found = exported.sidecar.verification
    assert found is not None
    assert (found.images, found.source, found.miou_pytorch) == (2, "2 images of a folder", None)


def test_an_artefact_that_differs_is_not_kept_unless_forced(tmp_path: Path, small_run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"the artefact differs from PyTorch: .* of the pixels") as caught:
        export(small_run, tmp_path / "strict", size=SIZE, target="torch-export", least_equal=1.01)
    assert caught.value.code == "K465"
    assert list((tmp_path / "strict").iterdir()) == []

    kept = export(small_run, tmp_path / "forced", size=SIZE, target="torch-export", least_equal=1.01, force=True)
    assert kept.sidecar.verification is not None
    assert not kept.sidecar.verification.passed


def test_a_folder_with_an_artefact_is_not_overwritten(any_size: Exported, small_run: Path) -> None:
    with pytest.raises(RecipeError, match="already holds an artefact") as caught:
        export(small_run, any_size.path.parent, size=SIZE)
    assert caught.value.code == "R243"


def test_executorch_takes_one_size_only(tmp_path: Path, small_run: Path) -> None:
    with pytest.raises(RecipeError, match="one size of images") as caught:
        export(small_run, tmp_path / "out", "executorch", dynamic=True)
    assert caught.value.code == "R244"


@pytest.mark.skipif(importlib.util.find_spec("executorch") is not None, reason="executorch is installed")
def test_exporting_to_executorch_without_it_names_the_extra(tmp_path: Path, small_run: Path) -> None:
    with pytest.raises(RecipeError, match="exporting to executorch needs the package executorch") as caught:
        export(small_run, tmp_path / "out", "executorch")
    assert caught.value.help == "install it: pip install 'pixelwise[edge]'"
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("executorch") is None, reason="executorch is not installed")
def test_an_executorch_artefact_agrees(tmp_path: Path, small_run: Path) -> None:
    exported = export(small_run, tmp_path / "out", "executorch", size=SIZE)

    assert exported.sidecar.verification is not None
    assert exported.sidecar.verification.passed


def test_openvino_keeps_two_files_and_both_hashes(tmp_path: Path, small_run: Path) -> None:
    exported = export(small_run, tmp_path / "out", "openvino", size=SIZE, argmax=True)

    assert set(exported.sidecar.files) == {"model.xml", "model.bin"}
    labels = load(exported.path).predict(SCENE).labels
    assert labels.shape == (75, 110)
    (tmp_path / "out" / "model.bin").unlink()
    with pytest.raises(CheckpointError, match=r"model\.bin is missing"):
        load(exported.path)


def test_a_torch_program_of_any_size_runs_at_others_than_its_example(tmp_path: Path, small_run: Path) -> None:
    exported = export(small_run, tmp_path / "out", "torch-export", dynamic=True, size=SIZE)

    model = load_trained(small_run).model
    for size in ((48, 64), (65, 98), (33, 64)):
        images = torch.randn(3, 3, *size)
        with torch.no_grad():
            assert torch.allclose(load_artefact(exported.path).head_logits(images)[0], model(images), atol=1e-3)


def test_a_recipe_is_exported_with_random_weights_only_on_request() -> None:
    with pytest.raises(RecipeError, match="is a recipe, which has no weights") as caught:
        open_source("town-demo")
    assert caught.value.code == "R241"
    assert "--weights none" in caught.value.help

    with pytest.raises(RecipeError, match=r"there is no folder town-demoo; no recipe is named 'town-demoo'") as caught:
        open_source("town-demoo")
    assert caught.value.code == "R241"

    source = open_source("town-demo", "none")
    assert source.weights_sha256 == ""
    assert source.licence.weights == "none"
    assert source.score is None


def test_random_weights_are_the_same_every_time() -> None:
    first, second = (open_source("town-demo", "none").model.state_dict() for _ in range(2))

    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_has_weights_that_none_cannot_mean(small_run: Path) -> None:
    with pytest.raises(RecipeError, match="is a run, which has weights"):
        open_source(str(small_run), "none")


def test_weights_of_another_architecture_are_one_sentence(tmp_path: Path, small_run: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(small_run, copy)
    (copy / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")), "utf-8")

    with pytest.raises(CheckpointError, match="holds the weights of another network") as caught:
        export(copy, tmp_path / "out", size=SIZE)
    assert caught.value.code == "K422"


def test_a_corrupted_artefact_is_one_sentence_on_the_command_line(
    tmp_path: Path, any_size: Exported, run_cli: Any
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(any_size.path.parent, folder)
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)

    done = run_cli(["predict", folder / "model.onnx", tmp_path])

    assert done.code == 4
    assert done.stderr.startswith("error[K462]: ")
    assert len(done.stderr.strip().splitlines()) == 2


def test_the_command_line_says_how_far_it_agrees(tmp_path: Path, small_run: Path, run_cli: Any) -> None:
    done = run_cli(["export", small_run, "--target", "torch-export", "--output", tmp_path / "out", "--size", "64x48"])

    assert done.code == 0, done.stderr
    assert "float32 (N, C, H, W), normalised, 64x48" in done.stdout
    assert "100.0000 % of the pixels have the same class" in done.stdout


@pytest.mark.parametrize("stride", ["0", "64", "half"])
def test_an_impossible_output_stride_is_refused(tmp_path: Path, small_run: Path, run_cli: Any, stride: str) -> None:
    done = run_cli(["export", small_run, "--output", tmp_path / "out", "--output-stride", stride, "--size", "64x48"])

    assert done.code == 2
    assert done.stderr.startswith("error[R242]: ")
