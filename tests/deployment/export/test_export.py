from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from observers import Told

import pixelwise
from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.checkpoints.trained import load_trained
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import Exported, export
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models import build_model, normalize
from pixelwise.models.quantization.aware import quantization_aware
from pixelwise.observer import Observer
from pixelwise.prediction.loading import load
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE
from pixelwise.runtimes import load_artefact, read_sidecar
from pixelwise.runtimes.targets import TARGETS, find_target
from pixelwise.storage import sha256_file, write_text

SIZE = (48, 64)
SCENE = draw_scene(0, 1, (75, 110))[0]


@pytest.mark.heavy
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


def test_one_of_one_size_sees_every_image_through_windows_of_that_size(one_size: Exported, small_run: Path) -> None:
    artefact, run = load(one_size.path), load(small_run)
    prediction = artefact.predict(SCENE, scores=True)

    assert artefact.seen_size((75, 110)) == (75, 110)
    assert prediction.labels.shape == (75, 110)
    assert prediction.scores is not None
    assert np.allclose(prediction.scores.sum(0), 1, atol=1e-5)
    # The run does the same if it is given these windows.
    assert (prediction.labels == load(small_run, window=SIZE).predict(SCENE).labels).mean() >= 0.9999
    assert [code for code, _ in artefact.remarks((75, 110))] == ["W471"]
    # An image of exactly that size is seen as a whole.
    small = draw_scene(0, 1, SIZE)[0]
    assert (artefact.predict(small).labels == run.predict(small).labels).mean() >= 0.9999
    assert artefact.remarks(SIZE) == []


def test_class_ids_have_no_scores(any_size: Exported) -> None:
    with pytest.raises(CheckpointError) as caught:
        load(any_size.path).predict(SCENE, scores=True)
    assert caught.value.code == "K466"
    assert "`argmax`" in caught.value.help


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


@pytest.mark.heavy
def test_with_labels_both_are_scored(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    exported = export(
        small_run, tmp_path / "out", "torch-export", size=SIZE, output_stride="head", data=small_town, split="val"
    )

    found = exported.sidecar.verification
    assert found is not None
    assert found.source == "val of town, 2 images, protocol native"
    assert found.miou_pytorch is not None
    assert found.miou_pytorch > 0
    assert found.miou_artefact == pytest.approx(found.miou_pytorch, abs=1e-4)


@pytest.mark.heavy
@pytest.mark.parametrize("size", [None, (32, 32)])
def test_the_yardstick_is_the_run_under_its_own_protocol_whatever_the_artefact_sees(
    small_run: Path, small_town: Path, tmp_path: Path, size: tuple[int, int] | None
) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    exported = export(run, tmp_path / "out", "torch-export", size=size, data=small_town, split="val")
    found = exported.sidecar.verification
    assert found is not None
    expected = pixelwise.evaluate(run, data=small_town, split="val", boundary=False).miou
    assert found.miou_pytorch == pytest.approx(expected, abs=1e-9)
    again = pixelwise.evaluate(exported.path, data=small_town, split="val", boundary=False, trust=True).miou
    assert found.miou_artefact == pytest.approx(again, abs=1e-9)
    if size is None:
        assert found.miou_artefact == pytest.approx(expected, abs=1e-4)


@pytest.mark.heavy
def test_images_of_a_folder_are_enough_to_verify(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    exported = export(
        small_run, tmp_path / "out", "torch-export", dynamic=True, size=SIZE, images=small_town / "images" / "val"
    )

    found = exported.sidecar.verification
    assert found is not None
    assert (found.images, found.source, found.miou_pytorch) == (2, "2 images of a folder", None)


def test_a_folder_with_an_artefact_is_not_overwritten(any_size: Exported, small_run: Path) -> None:
    with pytest.raises(RecipeError, match=re.escape(any_size.path.parent.name)) as caught:
        export(small_run, any_size.path.parent, size=SIZE)
    assert caught.value.code == "R243"
    assert "`output`" in caught.value.help


def test_executorch_takes_one_size_only(tmp_path: Path, small_run: Path) -> None:
    with pytest.raises(RecipeError, match=r"\bexecutorch\b") as caught:
        export(small_run, tmp_path / "out", "executorch", dynamic=True)
    assert caught.value.code == "R244"
    assert "`dynamic`" in caught.value.help
    assert "`size`" in caught.value.help


@pytest.mark.fuzz
def test_a_target_that_cannot_hold_a_scheme_refuses_what_was_trained_with_it(
    tmp_path: Path, small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchao", reason="pip install 'pixelwise[quantization]'")
    run = tmp_path / "8bit"
    recipe = msgspec.structs.replace(small_recipe, quantization="x86-8bit")
    model = quantization_aware(build_model(recipe), "x86-8bit")
    save_checkpoint(run / CHECKPOINTS, step=1, tensors={"model": model.state_dict()}, state={}, miou=0.5, metadata={})
    write_text(run / RECIPE, to_toml(recipe))
    limited = msgspec.structs.replace(find_target("torch-export"), name="limited", schemes=("xnnpack-8bit",))
    monkeypatch.setitem(TARGETS, "limited", limited)
    with pytest.raises(RecipeError) as caught:
        export(run, tmp_path / "out", "limited", size=SIZE)
    assert caught.value.code == "R244"
    assert "x86-8bit" in caught.value.message
    assert "xnnpack-8bit" in caught.value.help


@pytest.mark.skipif(importlib.util.find_spec("executorch") is not None, reason="executorch is installed")
def test_exporting_to_executorch_without_it_names_the_extra(tmp_path: Path, small_run: Path) -> None:
    with pytest.raises(RecipeError, match=r"R240.*\bpackage executorch\b") as caught:
        export(small_run, tmp_path / "out", "executorch")
    assert "pip install 'pixelwise[edge]'" in caught.value.help
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("executorch") is None, reason="executorch is not installed")
def test_an_executorch_artefact_agrees(tmp_path: Path, small_run: Path) -> None:
    exported = export(small_run, tmp_path / "out", "executorch", size=SIZE)

    assert exported.sidecar.verification is not None
    assert exported.sidecar.verification.passed


@pytest.fixture
def noisy(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a target whose runtime gives every second pixel another class."""

    def open_engine(file: Path, threads: int | None) -> Any:
        engine = find_target("torch-export").open(file, threads)

        def run(images: np.ndarray) -> np.ndarray:
            logits = engine(images)
            logits[..., ::2] *= -1
            return logits

        return run

    monkeypatch.setitem(
        TARGETS, "noisy", msgspec.structs.replace(find_target("torch-export"), name="noisy", open=open_engine)
    )
    return "noisy"


@pytest.mark.heavy
def test_an_artefact_that_differs_is_not_kept_unless_forced(tmp_path: Path, small_run: Path, noisy: str) -> None:
    with pytest.raises(CheckpointError, match=r"PyTorch.* \d+\.\d{3} % .* 99\.990 %") as caught:
        export(small_run, tmp_path / "strict", noisy, size=SIZE)
    assert caught.value.code == "K465"
    assert list((tmp_path / "strict").iterdir()) == []

    kept = export(small_run, tmp_path / "forced", noisy, size=SIZE, force=True)
    found = kept.sidecar.verification
    assert found is not None
    assert not found.passed
    assert found.equal_pixels <= 0.5

    lenient = export(small_run, tmp_path / "lenient", noisy, size=SIZE, least_equal=0.0)
    assert lenient.sidecar.verification is not None
    assert lenient.sidecar.verification.passed


class Watching(Observer):
    """Records the phases that it receives."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, name: str) -> None:
        self.phases.append(name)


@pytest.mark.heavy
def test_options_and_keywords_mean_the_same_and_the_observer_is_told(small_run: Path, tmp_path: Path) -> None:
    observer = Watching()
    options = ExportOptions(target="torch-export", size=SIZE, argmax=True)
    first = export(small_run, tmp_path / "first", options=options, observer=observer)
    second = export(small_run, tmp_path / "second", "torch-export", size=SIZE, argmax=True)
    assert msgspec.structs.replace(first.sidecar, files={}) == msgspec.structs.replace(second.sidecar, files={})
    assert observer.phases == [
        "opening the network",
        "writing torch-export",
        "capturing the network as one graph",
        "describing the artefact",
        "verifying torch-export",
    ]
    with pytest.raises(TypeError, match="'argmax'"):
        export(small_run, tmp_path / "third", argmx=True)


def test_an_unknown_target_gets_the_nearest_ones(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        export(small_run, tmp_path / "out", "open-vino")
    assert caught.value.code == "R250"
    assert "'openvino'" in caught.value.message


@pytest.mark.heavy
def test_openvino_keeps_two_files_and_both_hashes(tmp_path: Path, small_run: Path) -> None:
    exported = export(small_run, tmp_path / "out", "openvino", size=SIZE, argmax=True)

    assert set(exported.sidecar.files) == {"model.xml", "model.bin"}
    labels = load(exported.path).predict(SCENE).labels
    assert labels.shape == (75, 110)
    (tmp_path / "out" / "model.bin").unlink()
    with pytest.raises(CheckpointError, match=r"K462.*: model\.bin"):
        load(exported.path)


def test_weights_of_another_architecture_are_one_sentence(tmp_path: Path, small_run: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(small_run, copy)
    (copy / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")), "utf-8")

    with pytest.raises(CheckpointError) as caught:
        export(copy, tmp_path / "out", size=SIZE)
    assert caught.value.code == "K422"
    assert "\n" not in caught.value.message


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


@pytest.mark.heavy
def test_the_command_line_says_how_far_it_agrees(tmp_path: Path, small_run: Path, run_cli: Any) -> None:
    done = run_cli(["export", small_run, "--target", "torch-export", "--output", tmp_path / "out", "--size", "64x48"])

    assert done.code == 0, done.stderr
    assert re.search(r"float32 \(N, C, H, W\).* 64x48", done.stdout)
    assert "100.0000 %" in done.stdout


@pytest.mark.parametrize(
    ("stride", "words"), [("0", "error[R242]: --output-stride is 0"), ("64", "error[R242]"), ("half", "'half'")]
)
def test_an_impossible_output_stride_is_refused(
    tmp_path: Path, small_run: Path, run_cli: Any, stride: str, words: str
) -> None:
    done = run_cli(["export", small_run, "--output", tmp_path / "out", "--output-stride", stride, "--size", "64x48"])

    assert done.code == 2
    assert words in done.stderr


@pytest.mark.heavy
def test_the_head_of_the_network_is_asked_for_by_its_word(tmp_path: Path, small_run: Path, run_cli: Any) -> None:
    done = run_cli(
        ["export", small_run, "--target", "torch-export", "--output", tmp_path / "out", "--output-stride", "head",
         "--size", "64x48", "--json"]
    )  # fmt: skip
    assert done.code == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content["output"]["stride"], content["input"]["size"]) == (32, [48, 64])
    assert "recipe" not in content


def test_a_run_folder_does_not_become_an_artefact(small_run: Path) -> None:
    with pytest.raises(RecipeError, match=re.escape(small_run.name)) as caught:
        export(small_run, small_run, size=SIZE)
    assert caught.value.code == "R243"
    assert not (small_run / "model.onnx").exists()


@pytest.mark.parametrize("labelled", [{"split": "val"}, {"data": "town"}])
def test_images_without_labels_exclude_labelled_ones(labelled: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        export("no run", tmp_path / "out", images="photos", **labelled)
    assert caught.value.code == "R251"


@pytest.mark.heavy
def test_the_images_of_a_split_are_counted_while_they_are_scored(
    small_run: Path, small_town: Path, tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int | None]] = []
    observer = Told(progress=lambda *progress: seen.append(progress))
    export(small_run, tmp_path / "out", "torch-export", size=SIZE, data=small_town, split="val", observer=observer)
    # PyTorch is scored first, then the artefact.
    assert seen == [(f"scoring {name}", done, 2) for name in ("PyTorch", "torch-export") for done in (1, 2)]
