from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.errors import DataError
from pixelwise.evaluation.mask_files import score_files
from pixelwise.metrics import CONVENTIONS, confusion_matrix, miou
from pixelwise.recipes.class_sets.tables import CITYSCAPES, IGNORE, ClassSet

TWO = ClassSet(names=("a", "b"), palette=((255, 0, 0), (0, 255, 0)), label_table={0: IGNORE, 1: 0, 2: 1})
RAW = [raw for raw, class_id in sorted(CITYSCAPES.label_table.items()) if class_id != IGNORE]


def write(folder: Path, name: str, values: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(folder / name)
    return folder / name


def test_void_predictions_are_misses_or_ignored_by_name(tmp_path):
    truth = write(tmp_path, "truth.png", np.array([[1, 1, 2, 2], [0, 1, 1, 2]]))
    found = write(tmp_path, "found.png", np.array([[1, 0, 2, 2], [1, 1, 0, 1]]))

    miss = score_files([found], [truth], TWO)
    ignored = score_files([found], [truth], TWO, void_prediction="ignore")

    # Class a: 4 labelled, 2 right, 2 void. Class b: 3 labelled, 2 right, 1 taken for a.
    assert miss.confusion_matrix.tolist() == [[2, 0, 2], [1, 2, 0]]
    assert miss.scores.iou == (2 / 5, 2 / 3)
    assert ignored.confusion_matrix.tolist() == [[2, 0], [1, 2]]
    assert ignored.scores.iou == (2 / 3, 2 / 3)


def test_a_prediction_of_255_is_void_and_never_counted_in_another_cell(tmp_path):
    truth = write(tmp_path, "truth.png", np.array([[26, 33]]))
    found = write(tmp_path, "found.png", np.array([[255, 255]]))

    matrix = score_files([found], [truth], CITYSCAPES).confusion_matrix

    assert matrix[:, :19].sum() == 0
    assert (matrix[13, 19], matrix[18, 19]) == (1, 1)


def test_images_add_up(tmp_path):
    ones = write(tmp_path, "ones.png", np.ones((2, 2)))
    twos = write(tmp_path, "twos.png", np.full((2, 2), 2))

    found = score_files([ones, ones], [ones, twos], TWO)

    assert (found.images, found.confusion_matrix.tolist()) == (2, [[4, 0, 0], [4, 0, 0]])


def test_values_without_meaning_and_other_sizes_are_errors_with_the_file(tmp_path):
    good = write(tmp_path, "good.png", np.ones((2, 2)))

    with pytest.raises(DataError, match=r"strange\.png: .*\b7\b") as caught:
        score_files([write(tmp_path, "strange.png", np.full((2, 2), 7))], [good], TWO)
    assert caught.value.code == "D202"
    with pytest.raises(DataError, match=r"small\.png: .*\b2x1 \(WxH\).*good\.png .*\b2x2") as caught:
        score_files([write(tmp_path, "small.png", np.ones((1, 2)))], [good], TWO)
    assert caught.value.code == "D201"
    with pytest.raises(ValueError, match=r"\b1 predictions .*\b2 "):
        score_files([good], [good, good], TWO)


@pytest.fixture
def official(monkeypatch, tmp_path):
    script = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    for name, value in (("quiet", True), ("JSONOutput", False), ("evalInstLevelScore", False)):
        monkeypatch.setattr(script.args, name, value)
    # Its C extension books a prediction of 255 in a wrong cell; it is not built by pip.
    monkeypatch.setattr(script, "CSUPPORT", False)
    return script


@pytest.mark.parametrize("seed", range(6))
def test_the_integers_and_averages_are_those_of_the_cityscapes_script(official, tmp_path, seed):
    random = np.random.default_rng(seed)
    # All 34 raw ids, and in half of the cases a few classes that no label, or nothing at all, has.
    possible = np.arange(34) if seed % 2 else random.choice(34, 15, replace=False)
    predictions, labels = [], []
    for number in range(3):
        truth = random.choice(possible, (24, 40))
        found = np.where(random.random(truth.shape) < 0.5, truth, random.choice(34 if seed < 4 else possible, (24, 40)))
        name = f"city_{number:06}_000019"
        labels.append(write(tmp_path / "truth", f"{name}_gtFine_labelIds.png", truth))
        predictions.append(write(tmp_path / "found", f"{name}.png", found))

    theirs = official.evaluateImgLists(
        [str(path) for path in predictions], [str(path) for path in labels], official.args
    )

    raw = sum(
        confusion_matrix(np.array(Image.open(true)), np.array(Image.open(guess)), 34).numpy()
        for true, guess in zip(labels, predictions, strict=True)
    )
    assert np.array_equal(raw, np.array(theirs["confMatrix"]))
    ours = score_files(predictions, labels, CITYSCAPES)
    expected = np.array(theirs["confMatrix"])[RAW]
    assert np.array_equal(ours.confusion_matrix[:, :19], expected[:, RAW])
    assert np.array_equal(ours.confusion_matrix[:, 19], expected.sum(1) - expected[:, RAW].sum(1))
    for name, iou in zip(CITYSCAPES.names, ours.scores.iou, strict=True):
        assert iou == theirs["classScores"][name] or (math.isnan(iou) and math.isnan(theirs["classScores"][name]))
    assert ours.scores.miou == pytest.approx(theirs["averageScoreClasses"], abs=1e-15)
    assert miou(ours.confusion_matrix, "cityscapes") == ours.scores.miou


def test_leaving_half_of_the_pixels_out_pays_only_where_void_is_ignored(official, tmp_path):
    random = np.random.default_rng(0)
    truth = random.choice(RAW, (64, 64))
    found = np.where(random.random(truth.shape) < 0.5, 0, np.where(random.random(truth.shape) < 0.9, truth, 7))
    paths = (
        [write(tmp_path / "found", "city_000000_000019.png", found)],
        [write(tmp_path / "truth", "city_000000_000019_gtFine_labelIds.png", truth)],
    )

    theirs = official.evaluateImgLists(*[[str(path) for path in group] for group in paths], official.args)

    miss = score_files(*paths, CITYSCAPES).scores.miou
    ignored = score_files(*paths, CITYSCAPES, void_prediction="ignore").scores.miou
    assert miss == pytest.approx(theirs["averageScoreClasses"], abs=1e-15)
    assert ignored > 1.8 * miss
    assert miou(score_files(*paths, CITYSCAPES).confusion_matrix, "pytorch-enet") == pytest.approx(ignored)
    assert set(CONVENTIONS) >= {"cityscapes", "pytorch-enet"}
