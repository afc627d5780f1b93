import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.api.evaluate import evaluate
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.evaluation.runs import _training_cost
from pixelwise.models import build_model
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.details import load_details, load_thumbnails
from pixelwise.records.result import load_per_image
from pixelwise.records.run_folder import read_recipe
from pixelwise.records.suspects import load_suspects
from pixelwise.training.runs import train


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be written into."""
    # Other tests may have evaluated it.
    return Path(shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluations")))


@pytest.mark.heavy
def test_a_result_says_what_was_measured_and_on_what(run: Path):
    result = evaluate(run)
    assert (result.split, result.protocol, result.recipe, result.images) == ("test", "native", "tiny", 3)
    assert result.weights_sha256 == load_trained(run).weights_sha256
    assert sum(map(sum, result.confusion_matrix)) == 3 * 46 * 64  # two rows of every image are void
    assert result.training is not None
    assert result.training.steps == 16
    assert result.training.seconds > 0
    stored = json.loads((run / "evaluations" / "test-native" / "result.json").read_text())
    assert stored["miou"] == result.miou
    assert stored["data_fingerprint"] == result.data_fingerprint
    assert (run / "evaluations" / "test-native" / "samples" / "samples.json").is_file()


@pytest.mark.heavy
def test_split_and_protocol_can_be_chosen(run: Path):
    result = evaluate(run, split="val", protocol="camvid-480x360")
    assert (result.split, result.protocol) == ("val", "camvid-480x360")
    assert sum(map(sum, result.confusion_matrix)) == 3 * 345 * 480  # void rows grew with the labels
    assert (run / "evaluations" / "val-camvid-480x360" / "result.json").is_file()


def test_the_score_of_the_best_step_is_measured_again(run: Path):
    trained = load_trained(run)
    assert evaluate(run, split="val").miou == pytest.approx(trained.checkpoint.manifest.miou, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "planned"),
    [([], 16), (["schedule.iterations=40"], 40), (["schedule.iterations=none", "schedule.epochs=10"], 40)],
)
def test_a_result_says_how_long_the_whole_training_is(run: Path, changes: list[str], planned: int):
    cost = _training_cost(run, apply_overrides(read_recipe(run), changes))
    assert cost is not None
    assert (cost.steps, cost.planned_steps) == (16, planned)


@pytest.mark.heavy
def test_a_training_that_its_patience_ended_is_whole(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    changes = ["selection.patience=1", "selection.min_delta=100", "schedule.iterations=40"]
    run = train(str(tiny_recipe), overrides=changes, data=tiny_data, output=tmp_path / "run", threads=1)
    cost = evaluate(run).training
    assert cost is not None
    assert cost.steps < 40
    assert cost.planned_steps == cost.steps


def test_pairs_that_training_left_out_are_not_scored(run: Path):
    facts = json.loads((run / "data.json").read_text())
    facts["unusable"] = {"test": ["01"]}
    (run / "data.json").write_text(json.dumps(facts))
    assert evaluate(run).images == 2


def test_a_model_in_memory_is_scored_without_writing(tiny_data: Path):
    model = build_model("enet-camvid-2021", num_classes=3)
    before = sorted(tiny_data.rglob("*"))
    result = evaluate(model, tiny_data, split="val")
    assert (result.images, result.recipe, len(result.weights_sha256)) == (3, "", 64)
    assert sorted(tiny_data.rglob("*")) == before


def test_a_model_in_memory_needs_data():
    with pytest.raises(DataError) as caught:
        evaluate(build_model("enet-camvid", num_classes=3))
    assert caught.value.code == "D222"
    assert "`data`" in caught.value.help


@pytest.mark.heavy
def test_unknown_protocols_and_splits_say_which_exist(run: Path):
    with pytest.raises(RecipeError, match="did you mean 'native'"):
        evaluate(run, protocol="nativ")
    with pytest.raises(DataError, match=r"train \(8\), val \(3\)|val \(3\)"):
        evaluate(run, split="valid")


@pytest.mark.heavy
def test_several_protocols_are_scored_in_one_pass_and_kept_apart(run: Path):
    seen = []
    results = evaluate(
        run,
        split="val",
        protocol=["native", "camvid-480x360", "slide-1024x1024"],
        progress=lambda done, total: seen.append((done, total)),
    )

    assert [result.protocol for result in results] == ["native", "camvid-480x360", "slide-1024x1024"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for result in results:
        folder = run / "evaluations" / f"val-{result.protocol}"
        assert json.loads((folder / "result.json").read_text())["miou"] == result.miou
        assert (folder / "samples" / "samples.json").is_file()
        assert [one.id for one in load_details(folder)] == [one.id for one in load_per_image(folder)]
        assert len(load_thumbnails(folder)) == 3
        assert load_suspects(folder) is not None
        assert result.command.endswith(f"--split val --protocol {result.protocol}")
    assert results[0].miou == evaluate(run, split="val").miou
    # A window that covers the image is the whole image.
    assert results[2].confusion_matrix == results[0].confusion_matrix


@pytest.mark.heavy
def test_boundary_iou_is_measured_unless_switched_off_and_calibration_where_asked_for(run: Path):
    usual = evaluate(run, split="val")
    other = evaluate(run, split="val", boundary=False, calibration=True)

    assert usual.boundary_miou > 0
    assert math.isnan(usual.calibration_error)
    assert math.isnan(other.boundary_miou)
    assert 0 <= other.calibration_error <= 1
    assert other.command.endswith("--protocol native --no-boundary --calibration")


def test_a_list_of_no_protocols_is_refused(run: Path):
    with pytest.raises(ValueError, match="protocols"):
        evaluate(run, protocol=[])


@pytest.mark.heavy
def test_the_folder_of_a_result_has_a_name_for_every_system(run: Path, tiny_data: Path, tmp_path: Path):
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    (data / "images").rename(data / "photos")  # so that the list alone says what is what
    names = zip(("train", "val", "fold:1"), ("00", "01", "02"), strict=True)
    rows = [f"photos/val/{name}.png,masks/val/{name}.png,{split}" for split, name in names]
    (data / "dataset.csv").write_text("\n".join(["image,mask,split", *rows, ""]))
    assert evaluate(run, data=data, split="fold:1").split == "fold:1"
    (folder,) = (run / "evaluations").iterdir()
    assert folder.name.startswith("fold_1-native-data-")
    assert (folder / "result.json").is_file()


def relabelled(data: Path, folder: Path, names: str, order: list[int] | None = None) -> Path:
    """A copy of the tiny data with other names, and its ids in the places of `order`."""
    shutil.copytree(data, folder)
    (folder / "dataset.toml").write_text(f"classes = [{names}]\n", "utf-8")
    if order is not None:
        table = np.arange(256, dtype=np.uint8)
        table[order] = np.arange(len(order))
        for mask in (folder / "masks").rglob("*.png"):
            Image.fromarray(table[np.asarray(Image.open(mask))]).save(mask)
    return folder


@pytest.mark.heavy
def test_data_in_another_order_scores_the_same_and_says_so(run: Path, tiny_data: Path, tmp_path: Path):
    names = list(load_trained(run).recipe.data.classes or ())
    swapped = ", ".join(f'"{names[index].upper()}"' for index in (2, 0, 1))
    other = relabelled(tiny_data, tmp_path / "swapped", swapped, [2, 0, 1])
    heard: list[str] = []

    result = evaluate(run, other, warn=lambda code, message: heard.append(code))

    own = evaluate(run)
    assert result.confusion_matrix == own.confusion_matrix
    assert [entry.name for entry in result.per_class] == names
    assert (heard, result.own_data, own.own_data) == (["W410"], False, True)
    assert "another order" in result.notes[0]
    assert result.data == str(other)
    assert f"--data {other}" in result.command
    folders = sorted(folder.name for folder in (run / "evaluations").iterdir())
    assert folders == ["test-native", f"test-native-swapped-{result.data_fingerprint[:8]}"]
    page = (run / "report.html").read_text("utf-8")
    assert str(other) in page


@pytest.mark.heavy
def test_other_names_are_refused_and_the_help_works(run: Path, tiny_data: Path, tmp_path: Path):
    other = relabelled(tiny_data, tmp_path / "other", '"a", "b", "c"')
    with pytest.raises(CheckpointError) as caught:
        evaluate(run, other)
    assert caught.value.code == "K406"
    own = evaluate(run, split="val")
    names = list(load_trained(run).recipe.data.classes or ())
    by_names = evaluate(run, other, split="val", overrides=[f"data.classes={json.dumps(names)}"])
    by_values = evaluate(run, other, split="val", overrides=["data.label_map={0 = 0, 1 = 1, 2 = 2}"])
    assert by_names.confusion_matrix == by_values.confusion_matrix == own.confusion_matrix
    assert "data.classes=" in by_names.command
    assert json.loads((run / "evaluations" / "val-native" / "result.json").read_text())["own_data"] is True
    assert len(list((run / "evaluations").iterdir())) == 3


def test_a_moved_copy_is_the_runs_own_data(run: Path, tiny_data: Path, tmp_path: Path):
    moved = Path(shutil.copytree(tiny_data, tmp_path / "moved"))
    result = evaluate(run, moved)
    assert (result.own_data, result.notes) == (True, ())
    assert (run / "evaluations" / "test-native" / "result.json").is_file()


@pytest.mark.heavy
def test_data_without_splits_is_scored_whole(run: Path, tiny_data: Path, tmp_path: Path):
    flat = tmp_path / "flat"
    for part in ("images", "masks"):
        (flat / part).mkdir(parents=True)
        for file in (tiny_data / part).rglob("*.png"):
            shutil.copy(file, flat / part / f"{file.parent.name}{file.name}")
    shutil.copy(tiny_data / "dataset.toml", flat)
    result = evaluate(run, flat)
    together = evaluate(run, split="all")
    assert (result.split, result.images, together.images) == ("all", 14, 14)
    assert result.confusion_matrix == together.confusion_matrix
    assert "14 images" in result.notes[0]
    heard: list[str] = []
    part = evaluate(run, flat, split="val", warn=lambda code, message: heard.append(code))
    assert 0 < part.images < 14
    assert heard == ["W413", "W416"]  # the images of the training are among them
    assert evaluate(load_trained(run).model, flat).images == 14


@pytest.mark.heavy
def test_masks_of_another_size_are_scored_at_their_own(run: Path, tiny_data: Path, tmp_path: Path):
    small = Path(shutil.copytree(tiny_data, tmp_path / "small"))
    labelled = 0
    for mask in (small / "masks").rglob("*.png"):
        half = np.asarray(Image.open(mask))[1::2, ::2]
        Image.fromarray(half).save(mask)
        labelled += int((half != 255).sum()) * (mask.parent.name == "test")
    with pytest.raises(DataError, match="mask_resize"):
        evaluate(run, small)
    result = evaluate(run, small, overrides=["data.mask_resize=nearest"])
    assert sum(map(sum, result.confusion_matrix)) == result.labelled_pixels == labelled
    assert "data.mask_resize=nearest" in result.command
