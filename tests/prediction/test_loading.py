import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from runtimes.descriptions import sidecar_of

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.prediction import loading
from pixelwise.prediction.loading import load, recorded_table
from pixelwise.recipes.schema.data import Data


def test_a_run_predicts(tiny_run: Path, tiny_data: Path):
    prediction = load(tiny_run).predict(tiny_data / "images" / "test" / "00.png")
    assert prediction.labels.shape == (48, 64)
    assert prediction.classes == ("ground", "box", "ball")
    assert set(np.unique(prediction.labels)) <= {0, 1, 2}


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path):
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path)
    assert caught.value.code == "K420"
    assert str(tmp_path) in caught.value.message


@pytest.mark.heavy
def test_a_run_predicts_as_its_first_protocol_evaluates(tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    recipe = (run / "recipe.toml").read_text("utf-8")
    plain = tomllib.loads(recipe)
    assert plain["evaluation"]["protocols"] == ["native"]
    (run / "recipe.toml").write_text(recipe.replace('"native"', '"ssseg-2048x512"'), "utf-8")

    segmenter = load(run)

    assert segmenter.protocol.resampling == "linear"
    assert segmenter.seen_size((1024, 2048)) == (512, 1024)
    assert load(tiny_run).seen_size((1024, 2048)) == (1024, 2048)


def test_windows_can_be_asked_for(tiny_run: Path, tiny_data: Path):
    segmenter = load(tiny_run, window=(32, 48))

    assert (segmenter.protocol.window, segmenter.protocol.window_stride) == ((32, 48), (24, 36))
    assert segmenter.predict(tiny_data / "images" / "test" / "00.png").labels.shape == (48, 64)


def test_an_artefact_of_one_size_has_no_windows(monkeypatch: pytest.MonkeyPatch):
    artefact = SimpleNamespace(fixed_size=(48, 64), sidecar=sidecar_of())
    monkeypatch.setattr(loading, "open_artefact", lambda path, kind, threads, trust: artefact)
    with pytest.raises(RecipeError) as caught:
        load("model.onnx", window=(32, 48))
    assert caught.value.code == "R251"


@pytest.mark.parametrize(
    ("data", "ids", "colors"),
    [
        (Data(), {}, {}),
        (Data(label_map={"0": 0, "80": 1}), {0: 0, 80: 1, 255: 255}, {}),
        (Data(mask_threshold=128), {0: 0, 1: 1, 255: 255}, {}),
        (Data(colors={"#FF0000": 0}), {}, {"#ff0000": 0}),
    ],
)
def test_the_values_of_the_training_masks_are_known(data: Data, ids: dict[int, int], colors: dict[str, int]):
    table = recorded_table(data)
    assert table is not None
    assert (table.ids, table.colors, table.threshold) == (ids, colors, data.mask_threshold)


def test_drawn_labels_and_planes_have_no_values():
    assert recorded_table(Data(labels={"road": 0})) is None
    assert recorded_table(Data(multilabel=True)) is None


def test_a_run_knows_them_too(tiny_run: Path):
    table = load(tiny_run).label_table
    assert table is not None
    assert set(table.ids.values()) >= {0, 1, 2}


@pytest.mark.heavy
def test_the_scale_of_training_is_that_of_most_of_its_images(tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    recipe = (run / "recipe.toml").read_text("utf-8")
    assert load(run).training_scale == 1  # images of 48x64 at their own size
    (run / "recipe.toml").write_text(recipe.replace('"native"', '"within-32x24"'), "utf-8")
    assert load(run).training_scale == 0.5

    (run / "data.json").unlink()
    assert load(run).training_scale is None
