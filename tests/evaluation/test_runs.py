import json
import math
import shutil
from pathlib import Path

import pytest

from pixelwise.api.evaluate import evaluate
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import DataError, RecipeError
from pixelwise.models import build_model


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be written into."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


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


def test_split_and_protocol_can_be_chosen(run: Path):
    result = evaluate(run, split="val", protocol="camvid-480x360")
    assert (result.split, result.protocol) == ("val", "camvid-480x360")
    assert sum(map(sum, result.confusion_matrix)) == 3 * 345 * 480  # void rows grew with the labels
    assert (run / "evaluations" / "val-camvid-480x360" / "result.json").is_file()


def test_the_score_of_the_best_step_is_measured_again(run: Path):
    trained = load_trained(run)
    assert evaluate(run, split="val").miou == pytest.approx(trained.checkpoint.manifest.miou, abs=1e-12)


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


def test_unknown_protocols_and_splits_say_which_exist(run: Path):
    with pytest.raises(RecipeError, match="did you mean 'native'"):
        evaluate(run, protocol="nativ")
    with pytest.raises(DataError, match=r"train \(8\), val \(3\)|val \(3\)"):
        evaluate(run, split="valid")


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
        assert result.command.endswith(f"--split val --protocol {result.protocol}")
    assert results[0].miou == evaluate(run, split="val").miou
    # A window that covers the image is the whole image.
    assert results[2].confusion_matrix == results[0].confusion_matrix


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
