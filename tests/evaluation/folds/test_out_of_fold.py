from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.run_data import open_run_data
from pixelwise.evaluation.folds.out_of_fold import say
from pixelwise.evaluation.runs import score_by_name
from pixelwise.observer import Observer
from pixelwise.prediction.loading import load
from pixelwise.records.run_folder import read_recipe

NAMES = {"test/00": "test/00", "test/01": "test/01", "test/02": "test/02"}


def picture(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def test_masks_and_probabilities_are_those_of_the_network(fold: Path, tmp_path: Path):
    said = say(fold, tmp_path / "out", NAMES)
    assert said.sure == tuple(NAMES)
    segmenter, dataset = load(fold, device="cpu"), open_run_data(fold, read_recipe(fold))
    confusion, sums = np.zeros((3, 3), np.int64), np.zeros(3)
    for sample in dataset.samples("held-out"):
        image, labels = read_pair(sample, dataset)
        prediction = segmenter.predict(image, scores=True)
        logits = np.asarray(prediction.scores, np.float64)
        shares = np.exp(logits - logits.max(0))
        shares = shares / shares.sum(0) if logits.min() < 0 or logits.max() > 1 else logits
        name = f"{sample.id}.png"
        np.testing.assert_array_equal(picture(tmp_path / "out/masks" / name), prediction.labels)
        sure = picture(tmp_path / "out/confidence" / name) / 255
        np.testing.assert_allclose(sure, shares.max(0), atol=0.003)
        inside = labels != 255
        own = np.take_along_axis(shares, np.where(inside, labels, 0)[None].astype(np.int64), 0)[0]
        of_label = picture(tmp_path / "out/label" / name) / 255
        np.testing.assert_allclose(of_label[inside], own[inside], atol=0.003)
        assert not of_label[~inside].any()
        np.add.at(confusion, (labels[inside], prediction.labels[inside]), 1)
        np.add.at(sums, labels[inside], of_label[inside])
    assert np.array_equal(said.confusion, confusion)
    np.testing.assert_allclose(said.self_confidence, sums)
    (result,) = score_by_name(fold, split="held-out")
    assert np.array_equal(result.confusion_matrix, confusion)


def test_images_are_predicted_again_only_if_files_are_missing(fold: Path, tmp_path: Path):
    class Counting(Observer):
        images = 0

        def progress(self, done: int, total: int | None) -> None:
            self.images += 1

    numbers = []
    for removed in ("", "masks/test/01.png", "fold-0.json"):
        if removed:
            (tmp_path / "out" / removed).unlink()
        for _ in range(2):
            counting = Counting()
            say(fold, tmp_path / "out", NAMES, counting)
            numbers.append(counting.images)
    assert numbers == [3, 0, 3, 0, 3, 0]


def test_a_damaged_receipt_is_written_anew(fold: Path, tmp_path: Path):
    first = say(fold, tmp_path / "out", NAMES)
    (tmp_path / "out" / "fold-0.json").write_text("{", "utf-8")
    assert say(fold, tmp_path / "out", NAMES) == first
