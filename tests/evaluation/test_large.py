"""Scores of images in parts against those of the same images decoded whole."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
import tifffile
import torch
from evaluation.color_model import CLASSES, GreyModel
from evaluation.test_evaluate_multilabel import ChannelModel
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError, StoppedError
from pixelwise.evaluation.evaluate import evaluate_protocols
from pixelwise.evaluation.large import Rules, score_in_parts
from pixelwise.evaluation.shards.states import counted, take_in
from pixelwise.evaluation.tally import Measurement, Tally, task_of
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.metrics import METRICS
from pixelwise.observer import Observer
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.schema.recipe import Data

SIZES = {"a": (70, 90), "b": (30, 20), "c": (64, 81)}
NATIVE = PROTOCOLS["native"]
SLIDING = Protocol(name="sliding", summary="", window=(32, 32), window_stride=(20, 24))
FITTED = Protocol(name="fitted", summary="", fit=(48, 64))


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    random = np.random.default_rng(3)
    for folder in ("images", "masks"):
        (tmp_path / folder / "val").mkdir(parents=True)
    for name, size in SIZES.items():
        truth = np.kron(random.integers(0, 4, (9, 9)), np.ones((10, 10), int))[: size[0], : size[1]].astype(np.uint8)
        seen = np.where(random.random(size) < 0.2, random.integers(0, 4, size), truth).astype(np.uint8)
        truth[random.random(size) < 0.1] = 255
        image = np.repeat(seen[..., None] * np.uint8(60), 3, axis=2)
        tifffile.imwrite(tmp_path / f"images/val/{name}.tif", image, photometric="rgb", tile=(16, 16), metadata=None)
        tifffile.imwrite(tmp_path / f"masks/val/{name}.tif", truth, tile=(32, 16), metadata=None)
    names = ", ".join(f'"{name}"' for name in CLASSES)
    (tmp_path / "dataset.toml").write_text(f"classes = [{names}]\n", "utf-8")
    return tmp_path


class Notes(Observer):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Scored(NamedTuple):
    measured: list[Measurement]
    told: Notes
    seen: list[tuple[str, tuple[int, ...]]]


def scored(root: Path, max_pixels: int, protocols=(NATIVE, SLIDING, FITTED), **options) -> Scored:
    dataset, told, seen = opened(root, max_pixels), Notes(), []
    measured = evaluate_protocols(
        GreyModel(),
        dataset,
        "val",
        protocols,
        observer=told,
        see=lambda pair, prediction: seen.append((pair.sample.id, tuple(prediction.shape))),
        **options,
    )
    return Scored(measured, told, seen)


def opened(root: Path, max_pixels: int) -> Dataset:
    return open_dataset(Data(max_pixels=max_pixels), root)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_counts_and_scores_are_those_of_images_decoded_whole(scenes: Path, batch_size: int):
    """Two of the three images are larger than 2000 pixels; the other one lies between them."""
    whole, parts = scored(scenes, 10_000), scored(scenes, 2000, batch_size=batch_size)
    for one, other in zip(whole.measured, parts.measured, strict=True):
        assert np.array_equal(one.counts, other.counts)
        assert one.per_image == other.per_image
        assert one.class_extents == other.class_extents
        assert one.values == other.values
    assert whole.seen == parts.seen


@pytest.mark.parametrize("protocol", [NATIVE, SLIDING, FITTED])
def test_counts_of_several_classes_are_those_of_images_decoded_whole(tmp_path: Path, protocol: Protocol):
    """One TIFF image, with a PNG mask per class and one of ignored pixels."""
    random = np.random.default_rng(5)
    found = np.kron(random.integers(0, 4, (7, 9)), np.ones((10, 10), int))
    tiffs = {"images/val": np.stack([found & 1, found >> 1, found * 0], axis=2).astype(np.uint8) * 255}
    masks = {f"masks/{name}/val": random.random(found.shape) < 0.4 for name in ("crack", "rust", "ignore")}
    for folder in (*tiffs, *masks):
        (tmp_path / folder).mkdir(parents=True)
    for folder, pixels in tiffs.items():
        tifffile.imwrite(tmp_path / folder / "a.tif", pixels, photometric="rgb", tile=(16, 16), metadata=None)
    for folder, present in masks.items():
        Image.fromarray(present).save(tmp_path / folder / "a.png")
    (whole,), (parts,) = (
        evaluate_protocols(ChannelModel(), opened(tmp_path, limit), "val", (protocol,)) for limit in (10_000, 2000)
    )
    assert whole.counts.sum() == 2 * np.count_nonzero(~masks["masks/ignore/val"])
    assert np.array_equal(whole.counts, parts.counts)
    assert whole.per_image == parts.per_image


def test_metrics_that_need_more_than_counts_are_not_measured(scenes: Path):
    with Thumbnails() as thumbnails:
        found = scored(scenes, 2000, (NATIVE,), metrics=("boundary_iou",), thumbnails=thumbnails)
        assert [name for name, _ in thumbnails.taken()] == ["000000.webp", "000001.webp", "000002.webp"]
    (one,) = found.measured
    assert "boundary_iou" not in one.values
    assert [note for note in found.told.notes if "boundary_iou" in note]
    assert [detail.id for detail in one.details] == ["a", "b", "c"]
    assert one.details[0].confusion
    assert not one.details[0].regions


@pytest.mark.parametrize("change", [{"flip": True}, {"scales": (0.5, 1.0)}, {"score_size": (10, 10)}])
def test_what_only_a_whole_image_can_be_asked_is_refused(scenes: Path, change: dict):
    with pytest.raises(DataError, match=r"a\.tif") as caught:
        scored(scenes, 2000, (msgspec.structs.replace(NATIVE, **change),))
    assert caught.value.code == "D120"


def test_a_request_to_stop_is_noticed_between_parts(scenes: Path):
    calls = []

    def stop() -> None:
        calls.append(1)
        raise StoppedError("I074", "stopped")

    dataset = opened(scenes, 2000)
    with pytest.raises(StoppedError), torch.no_grad():
        score_in_parts(GreyModel(), dataset.samples("val")[0], dataset, Rules(SLIDING), stop)
    assert calls == [1]


def test_metrics_that_one_part_of_a_split_cannot_measure_are_not_those_of_the_split():
    def tally() -> Tally:
        task = task_of(CLASSES, NATIVE)
        return Tally(task, "val", NATIVE, metrics=[METRICS.find("boundary_iou")], cells=True)

    parts, merged, folded = tally(), tally(), tally()
    assert parts.add_counts("a", np.eye(4, dtype=np.int64), index=0) == ["boundary_iou"]
    merged.merge(parts)
    take_in(folded, counted(parts))
    take_in(folded, counted(tally()))
    for one in (parts, merged, folded):
        found = one.measurement()
        assert found.counts.trace() == 4
        assert "boundary_iou" not in found.values
        assert found.values["iou"].value == 1
