import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pixelwise.errors import RecipeError
from pixelwise.prediction.prediction import LONGEST_SIDE, Prediction, choose_palette
from pixelwise.recipes.class_sets.palettes import colorblind_palette

CLASSES = ("sky", "road", "car")
PALETTE = ((0, 0, 255), (255, 0, 0), (0, 255, 0))
LABELS = np.array([[0, 0, 0, 1], [0, 2, 2, 1], [255, 2, 0, 1]], np.uint8)
PLANES = np.array([[[1, 1], [1, 0]], [[0, 1], [0, 0]], [[0, 0], [0, 0]]], np.uint8)


def prediction(labels: np.ndarray = LABELS, *, multilabel: bool = False, source: str = "") -> Prediction:
    return Prediction(
        image=np.full((*labels.shape[-2:], 3), 100, np.uint8),
        labels=labels,
        scores=None,
        classes=CLASSES,
        palette=PALETTE,
        multilabel=multilabel,
        source=source,
    )


def test_areas_are_pixels_of_every_class():
    assert prediction().areas() == {"sky": 5, "road": 3, "car": 3}
    assert prediction(np.zeros((2, 3), np.uint8)).areas() == {"sky": 6, "road": 0, "car": 0}
    assert prediction(PLANES, multilabel=True).areas() == {"sky": 3, "road": 1, "car": 0}


def test_polygons_are_those_of_every_class_and_add_up_to_its_area():
    found = prediction().polygons()
    assert {name: [one.area for one in polygons] for name, polygons in found.items()} == {
        "sky": [4, 1],
        "road": [3],
        "car": [3],
    }
    assert sorted(found["road"][0].outline.tolist()) == [[3, 0], [3, 3], [4, 0], [4, 3]]
    both = prediction(PLANES, multilabel=True).polygons()
    assert {name: len(polygons) for name, polygons in both.items()} == {"sky": 1, "road": 1, "car": 0}


def test_a_mask_is_saved_as_class_ids_with_the_colours_of_the_classes(tmp_path: Path):
    assert prediction().save(tmp_path / "new" / "mask.png") == (tmp_path / "new" / "mask.png",)
    saved = Image.open(tmp_path / "new" / "mask.png")
    assert np.array_equal(np.asarray(saved), LABELS)
    assert np.asarray(saved.convert("RGB"))[0, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".webp"])
def test_an_overlay_is_saved_as_a_picture(ending: str, tmp_path: Path):
    prediction().save(str(tmp_path / f"o{ending}"), alpha=1)
    saved = np.asarray(Image.open(tmp_path / f"o{ending}").convert("RGB"))
    assert saved.shape == (3, 4, 3)
    assert saved[0, 0, 2] > saved[0, 0, 0] + 50


def test_a_folder_gets_both_under_the_name_of_the_image(tmp_path: Path):
    prediction(source="photos/a b.tif").save(tmp_path / "out")
    prediction().save(tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a b.jpg", "a b.png", "prediction.jpg", "prediction.png"]


def test_a_multilabel_prediction_has_a_mask_per_class(tmp_path: Path):
    files = prediction(PLANES, multilabel=True).save(tmp_path / "m.png")
    assert [file.name for file in files] == ["m-sky.png", "m-road.png", "m-car.png"]
    assert np.asarray(Image.open(files[0])).tolist() == [[255, 255], [255, 0]]


def test_another_extension_is_refused(tmp_path: Path):
    with pytest.raises(RecipeError) as caught:
        prediction().save(tmp_path / "mask.gif")
    assert caught.value.code == "R217"
    assert list(tmp_path.iterdir()) == []


def test_one_line_with_the_largest_shares():
    assert repr(prediction(source="photos/a.jpg")) == "<Prediction a.jpg 4x3; sky 41.7 %, road 25.0 %, car 25.0 %>"
    assert repr(prediction(source="https://x.org/b.png?size=1")).startswith("<Prediction b.png?size=1 4x3; sky")
    assert repr(prediction(PLANES, multilabel=True)) == "<Prediction 2x2; sky 75.0 %, road 25.0 %>"


def test_a_notebook_shows_the_overlay_and_a_legend_of_what_is_there(tmp_path: Path):
    found = prediction(np.zeros((2, 2 * LONGEST_SIDE), np.uint8), source="<a>.png")
    page = found._repr_html_()
    assert "&lt;a&gt;.png" in page
    assert "sky 100.0 %" in page
    assert "road" not in page
    (tmp_path / "p.png").write_bytes(found._repr_png_())
    assert Image.open(tmp_path / "p.png").size == (LONGEST_SIDE, 1)


def test_show_opens_the_viewer_and_in_a_notebook_the_cell(monkeypatch: pytest.MonkeyPatch):
    shown: list = []
    monkeypatch.setattr(Image.Image, "show", lambda self, title: shown.append((self.size, title)))
    prediction(source="a.jpg").show()
    assert shown == [((4, 3), "a.jpg")]
    notebook = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: notebook))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=lambda one: shown.append(one.size)))
    prediction().show()
    assert shown[1:] == [(4, 3)]


def test_palettes():
    assert choose_palette(PALETTE, "official") == PALETTE
    assert choose_palette(PALETTE, "cvd") == tuple(colorblind_palette(3))
    with pytest.raises(ValueError, match="'grey'"):
        choose_palette(PALETTE, "grey")  # type: ignore[arg-type]
