"""What earlier versions wrote keeps working: runs, artefacts, recipe files, hashes and public names.

`written_by_0.1.0/` was made by that version with these commands, in a folder that held `photos/` and `recipe.toml`:

    pixelwise check photos --write photos.toml
    pixelwise train recipe.toml --data photos --output run --weights none --threads 1
    pixelwise evaluate run --split test --group '^(.)'
    pixelwise export run --output exported --argmax --uint8-input --dynamic
    pixelwise predict run photos/images/test --output predicted

The run was then cut back to its best checkpoint, step 16 of 48, as if it had been interrupted there.
"""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

import pixelwise
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.result import from_json

HERE = Path(__file__).resolve().parent
WRITTEN = HERE / "written_by_0.1.0"
NAMES = msgspec.json.decode((WRITTEN / "names.json").read_bytes())
IMAGES = ("00", "01", "02")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A copy that a test may write into."""
    return Path(shutil.copytree(WRITTEN, tmp_path / "written"))


def test_public_names_are_still_there():
    assert set(NAMES["public_names"]) <= set(pixelwise.__all__)


GENERIC = {name for name in NAMES["hashes"] if name.startswith("generic-")} | {"unet-resnet18"}
"""Recipes for own images, which have changed on purpose: their warm-up was 100 steps, however short the run, and
they evaluated with the statistics that batch normalisation averaged during the training."""


@pytest.mark.parametrize("name", NAMES["hashes"])
def test_recipes_keep_their_hash(name: str):
    overrides = ["schedule.warmup_iterations=100", "selection.statistics_images=0"] if name in GENERIC else []
    assert apply_overrides(pixelwise.recipe(name), overrides).hash() == NAMES["hashes"][name]


def test_a_run_is_scored_as_it_was(written: Path):
    before = msgspec.json.decode((WRITTEN / "run" / "evaluations" / "test-native" / "result.json").read_bytes())
    result = pixelwise.evaluate(written / "run", data=written / "photos", split="test")
    matrix = np.array(result.confusion_matrix)
    # Another processor may round a few of the 8,832 pixels to another class.
    assert np.abs(matrix - before["confusion_matrix"]).sum() <= 40
    assert result.recipe_hash == before["recipe_hash"]
    assert result.weights_sha256 == before["weights_sha256"]
    assert result.data_fingerprint == before["data_fingerprint"]
    assert result.training is not None
    assert result.training.steps == 16


@pytest.mark.parametrize("model", ["run", "exported", "exported/model.onnx"])
def test_a_model_predicts_as_it_did(model: str):
    segmenter = pixelwise.load(WRITTEN / model)
    for name in IMAGES:
        prediction = segmenter.predict(WRITTEN / "photos" / "images" / "test" / f"{name}.png")
        labels = np.array(Image.open(WRITTEN / "predicted" / f"{name}.png"))
        assert (prediction.labels == labels).mean() > 0.995


def test_a_report_is_written_from_the_files_of_a_run(written: Path, run_cli):
    shown = run_cli(["report", written / "run"])
    assert shown.code == 0, shown.stderr
    page = (written / "run" / "report.html").read_text("utf-8")
    before = msgspec.json.decode((WRITTEN / "run" / "evaluations" / "test-native" / "result.json").read_bytes())
    assert f"{100 * before['miou']:.2f}" in page


@pytest.mark.heavy
def test_an_interrupted_run_goes_on_where_it_stopped(written: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(written)  # the run names its data as `photos`
    run = pixelwise.resume(Path("run"))
    records = [msgspec.json.decode(line) for line in (run / "log.jsonl").read_bytes().splitlines()]
    steps = [record["step"] for record in records if record["kind"] == "step"]
    assert steps == list(range(1, 49))
    assert records[-1]["kind"] == "finished"
    assert records[-1]["resumes"] == 1


def test_recipe_files_still_load():
    before = pixelwise.recipe(str(WRITTEN / "recipe.toml"))
    assert before.model.encoder == "lcnet_035"
    assert before.schedule.iterations == 48
    own = pixelwise.recipe(str(WRITTEN / "photos.toml"))
    assert own.data.classes == ("ground", "box", "ball")


@pytest.mark.parametrize(
    "path", sorted((HERE.parent.parent / "benchmarks" / "results").glob("*.json")), ids=lambda path: path.stem
)
def test_committed_results_can_be_read(path: Path):
    result = from_json(path.read_bytes())
    iou = [entry.iou for entry in result.per_class]
    assert result.miou == pytest.approx(sum(iou) / len(iou))


def test_a_run_has_a_live_page(written: Path):
    page = pixelwise.watch(written / "run", once=True).read_text("utf-8")
    assert "Stopped at step" in page
    assert '"loss":[' in page
    assert "Augmented image" not in page  # that version kept no pictures
