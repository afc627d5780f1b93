import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from runs_to_show import shown_run

import pixelwise
from pixelwise.pages.catalog import Catalog, Refused
from pixelwise.pages.evaluated import open_entry
from pixelwise.pages.networks.predicting import Predictor
from pixelwise.recipes.overrides import to_toml


def test_other_weights_are_not_those_of_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = shown_run(tmp_path / "a")
    (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))  # whose data is generated
    (run / "checkpoints" / "step-00000001").mkdir(parents=True)
    trained = SimpleNamespace(weights_sha256="other")
    monkeypatch.setattr("pixelwise.pages.networks.predicting.load_trained", lambda _: trained)
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
