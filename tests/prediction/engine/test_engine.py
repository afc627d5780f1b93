from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from PIL import Image
from torch import Tensor, nn

from pixelwise.errors import DataError
from pixelwise.models import SegmentationModel
from pixelwise.models.building import build_model
from pixelwise.observer import Observer
from pixelwise.prediction.engine import engine as module
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.families.real_time.enet import ENetSpec


def predicted(segmenter: Segmenter, items: list[np.ndarray | str]) -> list[object]:
    """What the engine makes of images and other items."""
    return list(
        Engine(segmenter).predictions(
            items,  # type: ignore[arg-type]
            lambda item: item if isinstance(item, np.ndarray) else None,
            lambda _, prediction: prediction.labels,  # type: ignore[return-value]
        )
    )


def labels_of(number: int, size: tuple[int, int]) -> np.ndarray:
    return np.full(size, number % len(CLASSES), np.uint8)


@pytest.mark.parametrize("threads", [1, 3])
def test_items_keep_their_order_whatever_their_sizes(monkeypatch: pytest.MonkeyPatch, threads: int):
    monkeypatch.setattr(module, "default_threads", lambda: threads)
    sizes = [(8, 8), (8, 9), (8, 8), (300, 300), (8, 8)]
    wanted = [labels_of(number, sizes[number % len(sizes)]) for number in range(40)]
    items: list[np.ndarray | str] = [image_of(labels) for labels in wanted]
    items[7] = "an error"

    found = predicted(Segmenter(GreyModel(), palette=PALETTE), items)

    assert found[7] == "an error"
    for place in set(range(40)) - {7}:
        assert np.array_equal(found[place], wanted[place])  # type: ignore[arg-type]


class Watched(SegmentationModel):
    """Notes how many images are in each forward pass, and in how many threads PyTorch computes it."""

    seen: ClassVar[list[tuple[int, int]]] = []  # shared by its copies

    def __init__(self) -> None:
        super().__init__(ENetSpec(), CLASSES)
        self.conv = nn.Conv2d(3, 4, 1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        self.seen.append((len(images), torch.get_num_threads()))
        return (self.conv(images),)


def test_small_images_share_forward_passes_and_each_has_one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "default_threads", lambda: 2)
    before = torch.get_num_threads()
    segmenter = Segmenter(Watched())
    Watched.seen.clear()

    predicted(segmenter, [image_of(labels_of(0, (64, 64)))] * 20)

    # Three of these are of the example of the network made for prediction. 16 images have 65536 pixels.
    assert sorted(Watched.seen[3:]) == [(4, 1), (16, 1)]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("count", "used"), [(1, True), (module.FEW - 1, True), (module.FEW, False)])
def test_for_a_few_images_no_network_is_copied(count: int, used: bool):
    segmenter = Segmenter(GreyModel())

    list(Engine(segmenter, count).predictions([image_of(labels_of(0, (8, 8)))] * count, lambda item: item, labels_only))

    # A copy would be asked instead.
    assert (segmenter.model.sizes[-1] == (count, 3, 8, 8)) is used  # type: ignore[attr-defined]


def labels_only(item: np.ndarray, found: Prediction) -> np.ndarray:
    return found.labels


def test_errors_of_the_network_end_the_work_after_the_images_before_them(monkeypatch: pytest.MonkeyPatch):
    class Failing(GreyModel):
        def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
            if images.shape[-1] == 9:
                raise RuntimeError("out of memory")
            return super().head_logits(images)

    before = threading.active_count()
    images = [image_of(labels_of(1, (300, 300)))] * 3 + [image_of(labels_of(1, (8, 9)))]
    work = Engine(Segmenter(Failing())).predictions(images, lambda item: item, lambda _, found: found.labels)

    assert [next(work).shape for _ in range(3)] == [(300, 300)] * 3
    with pytest.raises(RuntimeError, match="out of memory"):
        next(work)
    assert threading.active_count() == before


def test_closing_ends_the_threads():
    before = set(threading.enumerate())
    images = [image_of(labels_of(1, (300, 300)))] * 30
    work = Engine(Segmenter(GreyModel())).predictions(images, lambda item: item, lambda _, found: found.labels)
    next(work)

    assert set(threading.enumerate()) > before

    work.close()

    assert set(threading.enumerate()) <= before


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve small images of two sizes; the sixth is damaged."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(image_of(labels_of(number, (8, 8 + number % 2)))).save(folder / f"{number:02}.png")
    (folder / "05.png").write_bytes(b"no image")
    return folder


def test_a_bad_image_in_a_batch_is_its_own_problem_alone(photos: Path, tmp_path: Path):
    segmenter = Segmenter(GreyModel(), palette=PALETTE)
    summary = predict_paths(segmenter, [photos], tmp_path / "out", overlay=False)

    assert (summary.ok, summary.failed) == (11, 1)
    assert [Path(problem.file).name for problem in summary.problems] == ["05.png"]
    for number in set(range(12)) - {5}:
        mask = np.asarray(Image.open(tmp_path / "out" / "masks" / f"{number:02}.png"))
        assert np.array_equal(mask, labels_of(number, (8, 8 + number % 2)))


def test_what_a_strict_prediction_did_before_a_bad_image_is_kept(photos: Path, tmp_path: Path):
    segmenter = Segmenter(GreyModel(), palette=PALETTE)
    with pytest.raises(DataError):
        predict_paths(segmenter, [photos], tmp_path / "out", overlay=False, strict=True)
    (photos / "05.png").unlink()

    summary = predict_paths(segmenter, [photos], tmp_path / "out", overlay=False, strict=True)

    assert (summary.ok, summary.kept) == (11, 5)


def test_what_was_done_before_an_interrupt_is_kept(photos: Path, tmp_path: Path):
    class Interrupting(Observer):
        def progress(self, done: int, total: int | None = None) -> None:
            if done == 8:
                raise KeyboardInterrupt

    segmenter = Segmenter(GreyModel(), palette=PALETTE)
    with pytest.raises(KeyboardInterrupt):
        predict_paths(segmenter, [photos], tmp_path / "out", overlay=False, observer=Interrupting())

    summary = predict_paths(segmenter, [photos], tmp_path / "out", overlay=False)

    # Eight were noted, and one of them is damaged.
    assert (summary.ok, summary.kept, summary.failed) == (11, 7, 1)


def test_large_images_between_small_ones_are_predicted_alone(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "TOGETHER_PIXELS", 8 * 8)
    together = []
    predictions = Engine.predictions

    def counted(self: Engine, items, *rest):  # type: ignore[no-untyped-def]
        for item in predictions(self, items, *rest):
            together.append(item.source.name.name)
            yield item

    monkeypatch.setattr(Engine, "predictions", counted)

    summary = predict_paths(Segmenter(GreyModel(), palette=PALETTE), [photos], tmp_path / "out", overlay=False)

    assert summary.ok == 11
    assert together == ["00", "02", "04", "05", "06", "08", "10"]
    mask = np.asarray(Image.open(tmp_path / "out" / "masks" / "07.png"))
    assert np.array_equal(mask, labels_of(7, (8, 9)))


@pytest.mark.heavy
def test_batches_and_threads_change_no_class_id_of_a_network(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "default_threads", lambda: 2)
    torch.manual_seed(0)
    segmenter = Segmenter(build_model("town-demo", 4))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (48, 48 + 16 * (number % 2), 3), dtype=np.uint8) for number in range(10)]

    alone = [segmenter.predict(image).labels for image in images]
    found = predicted(segmenter, list(images))
    listed = [one.labels for one in segmenter.predict(list(images))]

    different = [
        np.count_nonzero(a != b) + np.count_nonzero(a != c) for a, b, c in zip(alone, found, listed, strict=True)
    ]
    # Rounding may decide a pixel in 100,000; here there are 26,880 in all.
    assert sum(different) <= 1
    assert len(np.unique(np.concatenate([labels.ravel() for labels in alone]))) > 1
