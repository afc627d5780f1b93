from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import pixelwise.prediction.loading
from pixelwise.datasets.samples import Reading
from pixelwise.errors import CheckpointError
from pixelwise.pages.fixing.masks import Uneditable
from pixelwise.pages.networks.filling import Filler


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (2, 1)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def segmenter(*classes: str) -> SimpleNamespace:
    predict = lambda _: SimpleNamespace(labels=np.array([[0, 1]], np.uint8))  # noqa: E731
    model = SimpleNamespace(multilabel=False)
    return SimpleNamespace(classes=classes, model=model, reading=Reading(), predict=predict)


def test_classes_are_those_of_the_same_name(image: Path, monkeypatch: pytest.MonkeyPatch):
    loaded: list[Path] = []

    def load(run: Path) -> SimpleNamespace:
        loaded.append(run)
        return segmenter("car", "tree")

    monkeypatch.setattr(pixelwise.prediction.loading, "load", load)
    filler = Filler()
    for _ in range(2):
        found = filler.predict(Path("run"), image, ("sky", "car"), (2, 4))
        assert found.tolist() == 2 * [[1, 1, 255, 255]]
    assert loaded == [Path("run")]


def test_a_run_of_other_classes_fills_nothing(image: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pixelwise.prediction.loading, "load", lambda _: segmenter("boat"))
    with pytest.raises(Uneditable, match="no class of the same name"):
        Filler().predict(Path("run"), image, ("sky", "car"), (1, 2))


def test_a_run_that_cannot_be_loaded_says_why(image: Path, monkeypatch: pytest.MonkeyPatch):
    def load(_: Path) -> None:
        raise CheckpointError("K401", "there is none", "train")

    monkeypatch.setattr(pixelwise.prediction.loading, "load", load)
    with pytest.raises(Uneditable, match="there is none"):
        Filler().predict(Path("run"), image, ("sky",), (1, 2))
