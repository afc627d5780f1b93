"""Scoring networks whose pixels may belong to several classes: by hand, and the same through windows and mirrors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.evaluation.assembling import Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_model, evaluate_protocols
from pixelwise.evaluation.gallery import save_samples
from pixelwise.evaluation.tally import Measurement
from pixelwise.models import SegmentationModel
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.recipe import Data
from pixelwise.records.details import load_samples
from pixelwise.records.result import Result, from_json, to_json
from pixelwise.reports.run.pictures import load_pictures
from pixelwise.reports.run.tables import binary_rows, class_rows, confusion_cells
from pixelwise.reports.run.terminal import totals

CLASSES = ("crack", "rust")
WHOLE = Protocol(name="whole", summary="")


class ChannelModel(SegmentationModel):
    """Finds a crack where red is bright and rust where green is."""

    multilabel = True

    def __init__(self) -> None:
        super().__init__(ENetSpec(), CLASSES)
        self.slope = nn.Parameter(torch.tensor(4.0))

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (self.preprocessing.mean, self.preprocessing.std))
        return (self.slope * (images * std + mean - 0.5)[:, :2],)


def write(root: Path, found: list[np.ndarray], true: list[np.ndarray]) -> Path:
    """Images in which the model finds the bits of `found`, and masks of the bits of `true` (bit 2: ignored)."""
    for number, (prediction, truth) in enumerate(zip(found, true, strict=True)):
        image = np.stack([prediction & 1, prediction >> 1 & 1, prediction * 0], -1).astype(np.uint8) * 255
        masks = {name: truth >> k & 1 for k, name in enumerate((*CLASSES, "ignore"))}
        for folder, pixels in {"images/val": image, **{f"masks/{n}/val": m for n, m in masks.items()}}.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(root / folder / f"{number}.png")
    return root


def scored(root: Path, **options: object) -> Measurement:
    return evaluate_model(ChannelModel(), open_dataset(Data(), root), "val", WHOLE, **options)  # type: ignore[arg-type]


def result_of(measured: Measurement) -> Result:
    provenance = Provenance(
        recipe="r",
        recipe_hash="h",
        weights_sha256="w",
        weights="model",
        step=1,
        data_fingerprint="f",
        command="",
    )
    return make_result(measured, provenance)


@pytest.fixture
def two_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Found and true bits: (0, 0), (3, 1), (1, 3), (2, 2), and one that is ignored; then one that is right."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write(
        tmp_path / "data",
        [np.array([[0, 3, 1, 2, 3]]), np.array([[3, 3, 0, 0, 0]])],
        [np.array([[0, 1, 3, 2, 4]]), np.array([[3, 3, 0, 0, 0]])],
    )


def test_counts_and_scores_by_hand(two_images: Path):
    measured = scored(two_images)
    # Crack: found at 2 + 2, never wrong. Rust: found at 1 + 2, invented once, missed once. Nine pixels count.
    assert measured.counts.tolist() == [[4, 0, 0, 5], [3, 1, 1, 4]]
    assert measured.task.multilabel
    assert measured.values["iou"].per_class == (1.0, 0.6)
    assert measured.miou == pytest.approx(0.8)
    assert measured.pixel_accuracy == pytest.approx(16 / 18)
    assert [(score.id, score.labelled_pixels) for score in measured.per_image] == [("0", 4), ("1", 5)]
    assert measured.per_image[0].miou == pytest.approx((1 + 1 / 3) / 2)
    assert [(e.images, e.worst_image) for e in measured.class_extents] == [(2, "0"), (2, "0")]


def test_a_result_survives_its_file_and_tables_show_no_confusion(two_images: Path):
    result = result_of(scored(two_images, metrics=("boundary_iou",)))
    assert from_json(to_json(result)) == result
    assert (result.multilabel, result.labelled_pixels) == (True, 9)
    assert confusion_cells(result) == []
    assert [(row.name, row.share) for row in class_rows(result)] == [("crack", "44.4"), ("rust", "44.4")]
    rows = [tuple(row) for row in binary_rows(result)]
    assert rows == [("crack", "100.00", "4", "0", "0", "5"), ("rust", "75.00", "3", "1", "1", "4")]
    assert "multi-label" in totals(result)


def test_windows_flips_and_sizes_score_like_the_whole_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bits = [np.random.default_rng(seed).integers(0, 4, (12, 20)) for seed in range(2)]
    dataset = open_dataset(Data(), write(tmp_path / "data", bits, [b ^ (b == 3) for b in bits]))
    protocols = [
        WHOLE,
        Protocol(name="windows", summary="", window=(8, 8), window_stride=(5, 5)),
        Protocol(name="shares", summary="", window=(8, 8), window_stride=(5, 5), blend="probabilities"),
        Protocol(name="mirrored", summary="", flip=True),
        Protocol(name="input", summary="", argmax_at="input"),
    ]
    found = evaluate_protocols(ChannelModel(), dataset, "val", protocols)
    counts = [measured.counts.tolist() for measured in found]
    assert counts == [counts[0]] * len(protocols)


def test_the_pictures_of_an_evaluation_show_combinations(two_images: Path, tmp_path: Path):
    dataset = open_dataset(Data(), two_images)
    saved = save_samples(ChannelModel(), dataset, scored(two_images), tmp_path / "samples").samples
    assert load_samples(tmp_path / "samples") == saved
    first = saved.samples[0]
    assert set(first.combinations) == {0, 1, 2, 3}
    with Image.open(tmp_path / "samples" / first.truth) as picture:
        values = np.asarray(picture)
    assert values[0, 4] == 255
    assert [first.combinations[value] for value in values[0, :4]] == [0, 1, 3, 2]
    pictures, legend = load_pictures(tmp_path / "samples", saved)
    assert len(pictures) == 2
    assert [entry.name for entry in legend] == ["crack", "rust"]


def test_a_prediction_has_a_plane_per_class_and_probabilities_that_explain_it(tmp_path: Path):
    bits = np.random.default_rng(0).integers(0, 4, (9, 11))
    image = np.stack([bits & 1, bits >> 1, bits * 0], -1).astype(np.uint8) * 255
    prediction = Segmenter(ChannelModel(), palette=((200, 0, 0), (0, 100, 0))).predict(image, scores=True)
    assert prediction.labels.dtype == np.uint8
    assert np.array_equal(prediction.labels, np.stack([bits & 1, bits >> 1]))
    assert prediction.scores is not None
    np.testing.assert_allclose(
        prediction.scores, np.where(prediction.labels, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))), rtol=1e-5
    )
    overlay = prediction.overlay(alpha=1.0)
    assert overlay[bits == 3].tolist() == [[100, 50, 0]] * int((bits == 3).sum())
    assert np.array_equal(overlay[bits == 0], image[bits == 0])


def test_predicted_masks_are_training_data_again(two_images: Path, tmp_path: Path):
    segmenter = Segmenter(ChannelModel(), palette=((200, 0, 0), (0, 100, 0)))
    output = tmp_path / "out"
    summary = predict_paths(segmenter, [two_images / "images" / "val"], output)
    assert (summary.ok, summary.failed) == (2, 0)
    (output / "images").mkdir()
    for path in (two_images / "images" / "val").iterdir():
        (output / "images" / path.name).write_bytes(path.read_bytes())
    again = open_dataset(Data(), output)
    assert (again.multilabel, again.classes, again.problems) == (True, CLASSES, ())
    measured = evaluate_model(ChannelModel(), again, "val", WHOLE)
    assert measured.miou == 1.0


def test_a_benchmarks_format_is_refused(two_images: Path, tmp_path: Path):
    with pytest.raises(RecipeError, match="multi-label") as caught:
        predict_paths(Segmenter(ChannelModel()), [two_images], tmp_path / "out", mask_format="voc")
    assert caught.value.code == "R222"


def test_a_network_of_single_labels_cannot_be_scored_on_several(two_images: Path):
    model = ChannelModel()
    model.multilabel = False
    with pytest.raises(CheckpointError, match="multi-label") as caught:
        evaluate_model(model, open_dataset(Data(), two_images), "val", WHOLE)
    assert caught.value.code == "K406"


def test_the_calibration_error_of_single_decisions_is_refused(two_images: Path):
    with pytest.raises(RecipeError, match="multi-label") as caught:
        scored(two_images, metrics=("calibration_error",))
    assert caught.value.code == "R203"
