import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from runs_to_show import shown_run

import pixelwise
from pixelwise.pages.catalog import Catalog, Refused
from pixelwise.pages.evaluated import open_entry
from pixelwise.pages.predicting import Predictor
from pixelwise.recipes.overrides import to_toml


def refusal(run: Path, monkeypatch: pytest.MonkeyPatch, **environment: object) -> str:
    """Why an image of a run is not predicted whose checkpoint holds the weights of its result."""
    recipe = pixelwise.recipe("enet-camvid")
    (run / "recipe.toml").write_text(to_toml(recipe))
    trained = SimpleNamespace(weights_sha256="w", recipe=recipe)
    monkeypatch.setattr("pixelwise.pages.predicting.load_trained", lambda _: trained)
    monkeypatch.setattr("pixelwise.pages.predicting.read_environment", lambda _: SimpleNamespace(**environment))
    catalog = Catalog([run])
    opened = open_entry(catalog.entries()[0])
    with pytest.raises(Refused) as refused:
        Predictor(catalog).predict(opened.entry, opened.result, "one")
    return str(refused.value)


def test_images_outside_the_folders_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run, data = shown_run(tmp_path / "a"), tmp_path / "photos"
    data.mkdir()
    said = refusal(run, monkeypatch, data_folder=data)
    assert said == f"Its picture is not kept. `pixelwise ui RUNS {data}` predicts it when you look at it."
    assert "the folder of its data" in refusal(run, monkeypatch, data_folder=None)


def test_other_weights_are_not_those_of_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = shown_run(tmp_path / "a")
    (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))  # whose data is generated
    monkeypatch.setattr("pixelwise.pages.predicting.load_trained", lambda _: SimpleNamespace(weights_sha256="other"))
    catalog = Catalog([run])
    opened = open_entry(catalog.entries()[0])
    with pytest.raises(Refused, match="other weights now"):
        Predictor(catalog).predict(opened.entry, opened.result, "one")


@pytest.mark.heavy
def test_an_image_is_predicted_as_it_was_scored(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    pixelwise.evaluate(run, split="test")
    catalog = Catalog([run, tiny_data])
    opened = open_entry(catalog.entries()[0])
    result, predictor = opened.result, Predictor(catalog)
    counted = np.zeros((3, 3), np.int64)
    for score in opened.evaluated.per_image:
        shown = predictor.predict(opened.entry, result, score.id)
        known = shown.truth != 255
        np.add.at(counted, (shown.truth[known], shown.prediction[known]), 1)
    assert counted.tolist() == [list(row) for row in result.confusion_matrix]
    with pytest.raises(Refused, match="no longer has"):
        predictor.predict(opened.entry, result, "unknown")
