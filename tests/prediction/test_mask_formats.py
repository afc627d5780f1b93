from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixelwise.datasets.labels import table_of
from pixelwise.errors import RecipeError
from pixelwise.prediction.mask_formats import FORMATS, mask_code, mask_values
from pixelwise.recipes.class_sets.tables import ADE20K, CITYSCAPES, VOC

SETS = {"cityscapes": CITYSCAPES, "voc": VOC, "ade20k": ADE20K}


def written(name: str, labels: np.ndarray) -> Image.Image:
    known = SETS[name]
    return Image.open(io.BytesIO(mask_code(name, known.names, known.palette).png(labels)))


def row(*values: int) -> np.ndarray:
    return np.array([values], np.uint8)


def test_cityscapes_masks_hold_label_ids():
    # road, sidewalk, bicycle, and "unlabeled" where nothing is predicted
    picture = written("cityscapes", row(0, 1, 18, 255))

    assert (picture.mode, np.asarray(picture).tolist()) == ("L", [[7, 8, 33, 0]])


def test_voc_masks_have_its_palette():
    picture = written("voc", row(0, 1, 20, 255))

    assert (picture.mode, np.asarray(picture).tolist()) == ("P", [[0, 1, 20, 255]])
    colors = np.asarray(picture.convert("RGB"))[0].tolist()
    assert colors == [[0, 0, 0], [128, 0, 0], [0, 64, 128], [224, 224, 192]]


def test_ade20k_masks_begin_at_one():
    picture = written("ade20k", row(0, 149, 255))

    assert (picture.mode, np.asarray(picture).tolist()) == ("L", [[1, 150, 0]])


@pytest.mark.heavy
@given(name=st.sampled_from(sorted(SETS)), seed=st.integers(0, 1000), void=st.booleans())
def test_reading_a_mask_back_as_its_data_set_does_gives_the_class_ids(name, seed, void):
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(SETS[name].names), (5, 7)).astype(np.uint8)
    if void:
        labels[random.random(labels.shape) < 0.3] = 255

    back, unknown = table_of(SETS[name].label_table).map_ids(np.asarray(written(name, labels)))

    assert np.array_equal(back, labels)
    assert unknown == {}


def test_own_class_ids_are_written_as_they_are_with_the_models_palette():
    picture = Image.open(io.BytesIO(mask_code("ids", ("a", "b"), ((9, 8, 7), (1, 2, 3))).png(row(0, 1))))

    assert np.asarray(picture).tolist() == [[0, 1]]
    assert np.asarray(picture.convert("RGB"))[0].tolist() == [[9, 8, 7], [1, 2, 3]]


def test_a_model_of_other_classes_cannot_write_them():
    with pytest.raises(RecipeError, match=r"'voc' .*\b21 classes .*\b2 \(a, b, ...\)") as caught:
        mask_code("voc", ("a", "b"), ((0, 0, 0), (1, 1, 1)))
    assert caught.value.code == "R222"
    assert "`mask_format`" in caught.value.help
    with pytest.raises(RecipeError, match="'coco'") as caught:
        mask_code("coco", VOC.names, VOC.palette)
    assert caught.value.code == "R222"
    assert ", ".join(FORMATS) in caught.value.help


def test_the_same_classes_in_another_order_cannot_write_them():
    with pytest.raises(RecipeError, match=r"'cityscapes' .*\b19 classes") as caught:
        mask_code("cityscapes", CITYSCAPES.names[::-1], CITYSCAPES.palette)
    assert caught.value.code == "R222"


@pytest.mark.parametrize("name", FORMATS)
def test_the_values_of_a_format_are_what_is_written(name):
    classes = SETS[name].names if name in SETS else ("a", "b", "c", "d")

    values, ignored = mask_values(name, classes, table_of({0: 0, 80: 1, 160: 2, 7: 3}))

    assert len(set(values)) == len(classes)
    assert ignored not in values
    if name in SETS:
        assert np.asarray(written(name, row(0, 255))).tolist() == [[values[0], ignored]]


def test_the_cityscapes_script_finds_and_understands_the_files(tmp_path: Path, monkeypatch):
    script = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    labels = np.random.default_rng(0).integers(0, 19, (8, 8)).astype(np.uint8)
    truth = tmp_path / "gtFine" / "aachen_000000_000019_gtFine_labelIds.png"
    truth.parent.mkdir()
    written("cityscapes", labels).save(truth)
    found = tmp_path / "results" / "masks" / "aachen_000000_000019_leftImg8bit.png"
    found.parent.mkdir(parents=True)
    written("cityscapes", labels).save(found)
    for name in ("predictionPath", "predictionWalk"):
        monkeypatch.setattr(script.args, name, None)
    monkeypatch.setattr(script.args, "quiet", True)
    monkeypatch.setattr(script.args, "JSONOutput", False)
    monkeypatch.setattr(script.args, "evalInstLevelScore", False)
    monkeypatch.setenv("CITYSCAPES_RESULTS", str(tmp_path / "results"))

    matched = script.getPrediction(script.args, str(truth))

    assert matched == str(found)
    assert script.evaluateImgLists([matched], [str(truth)], script.args)["averageScoreClasses"] == 1.0
