"""Blocks against the image that is predicted whole by `pixelwise.prediction.windows`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pixelwise.datasets.reading.regions.images import Region
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.prediction.large import blocks as module
from pixelwise.prediction.large.blocks import Blocks, Joining, aligned_spans, tapers
from pixelwise.prediction.windows import View, best_classes
from pixelwise.recipes.protocols import Protocol

CLASSES = 4


def slide(window, stride=None, **fields) -> Protocol:
    return Protocol(name="x", summary="", window=window, window_stride=stride, **fields)


class Convolution:
    """Random logits that depend on the surroundings and on the borders of what is seen, at an output stride."""

    def __init__(self, stride: int = 1) -> None:
        random = torch.Generator().manual_seed(1)
        self.weights = torch.randn(CLASSES, 3, 5, 5, generator=random)
        self.stride = stride
        self.seen = 0

    def __call__(self, images) -> Tensor:
        self.seen += len(images)
        values = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255 - 0.5
        return F.conv2d(values, self.weights, padding=2, stride=self.stride)


def pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def reader(image: np.ndarray, missing: np.ndarray | None = None):
    def read(where: Rectangle) -> Region:
        rows, columns = slice(where.top, where.bottom), slice(where.left, where.right)
        return Region(image[rows, columns], None if missing is None else missing[rows, columns])

    return read


def assembled(found: Blocks, size, dtype: Any = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    labels, image = np.full(size, 77, dtype), np.zeros((*size, 3), np.uint8)
    covered = np.zeros(size, int)
    for block in found:
        rows, columns = slice(block.where.top, block.where.bottom), slice(block.where.left, block.where.right)
        labels[rows, columns], image[rows, columns] = block.labels, block.pixels
        covered[rows, columns] += 1
        assert block.labels.dtype == dtype
    assert (covered == 1).all()
    return labels, image


def expected(image, look, protocol, *, align_corners=False, multilabel=False) -> np.ndarray:
    view = View(look, image, protocol, align_corners=align_corners, multilabel=multilabel)
    return best_classes([view], view.size, CLASSES, multilabel=multilabel)[0].numpy()


@pytest.mark.parametrize("blend", ["logits", "probabilities", "central"])
@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("carried", [0, 1 << 20])
def test_blocks_are_the_image_predicted_whole(tmp_path, blend, stride, align_corners, carried):
    image = pixels(150, 170)
    protocol = slide((32, 48), (24, 36), blend=blend)

    found = Blocks(
        Convolution(stride), reader(image), (150, 170), Joining(protocol, align_corners), scratch=tmp_path,
        carried_bytes=carried,
    )  # fmt: skip
    labels, seen = assembled(found, (150, 170))

    assert np.array_equal(seen, image)
    assert np.array_equal(labels, expected(image, Convolution(stride), protocol, align_corners=align_corners))
    assert found.looks == found.windows == found.done
    assert list(tmp_path.iterdir()) == []


@pytest.mark.heavy
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    window=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    steps=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    blend=st.sampled_from(["logits", "probabilities", "central"]),
    stride=st.sampled_from([1, 2, 3]),
)
@settings(max_examples=25)
def test_windows_of_any_size_at_any_distance_give_the_same(size, window, steps, blend, stride):
    # Also of strides so small that a pixel lies in windows of many rows.
    steps = tuple(min(pair) for pair in zip(window, steps, strict=True))
    protocol, image = slide(window, steps, blend=blend), pixels(*size)

    found = Blocks(
        Convolution(stride), reader(image), size, Joining(protocol, False), scratch=Path(), carried_bytes=900
    )
    labels, _ = assembled(found, size)

    assert np.array_equal(labels, expected(image, Convolution(stride), protocol))


@pytest.mark.parametrize("blend", ["logits", "probabilities"])
def test_pixels_of_several_classes_are_bit_fields(tmp_path, blend):
    image = pixels(70, 80)
    protocol = slide((32, 32), (24, 24), blend=blend)

    found = Blocks(Convolution(2), reader(image), (70, 80), Joining(protocol, False, multilabel=True), scratch=tmp_path)
    labels, _ = assembled(found, (70, 80), np.int32)

    assert np.array_equal(labels, expected(image, Convolution(2), protocol, multilabel=True))


def test_scores_that_are_probabilities_are_not_softmaxed_again(tmp_path):
    image, protocol = pixels(70, 80), slide((32, 32), (24, 24), blend="probabilities")
    look = Convolution(1)
    both = (
        (look, Joining(protocol, False)),
        (lambda images: 3 * look(images).exp(), Joining(protocol, False, scores="probabilities")),
    )

    (of_logits, sure), (of_scores, same) = (
        zip(
            *((block.labels, block.probabilities) for block in Blocks(
                network, reader(image), (70, 80), joining, scratch=tmp_path, classes=CLASSES
            )), strict=True,
        )
        for network, joining in both
    )  # fmt: skip

    assert all(map(np.array_equal, of_logits, of_scores))
    assert all(abs(one.astype(int) - other).max() <= 1 for one, other in zip(sure, same, strict=True))


@pytest.mark.parametrize("multilabel", [False, True])
def test_windows_without_data_are_not_predicted_and_change_nothing_else(tmp_path, multilabel):
    image, missing = pixels(150, 170), np.zeros((150, 170), bool)
    missing[:70, :100] = True
    missing[90:95] = True
    protocol, look = slide((32, 32), (24, 24)), Convolution(2)
    joining = Joining(protocol, False, multilabel=multilabel)

    found = Blocks(look, reader(image, missing), (150, 170), joining, scratch=tmp_path)
    labels, _ = assembled(found, (150, 170), np.int32 if multilabel else np.uint8)

    whole = expected(image, Convolution(2), protocol, multilabel=multilabel)
    assert np.array_equal(labels, np.where(missing, 0 if multilabel else 255, whole))
    # Windows begin at 0, 24, 48, ...: those that end within 70 rows and 100 columns are 2 x 3.
    assert found.windows - look.seen == 2 * 3
    assert found.looks == look.seen


@pytest.mark.heavy
@given(length=st.integers(1, 600), window=st.integers(2, 300))
def test_weights_of_overlapping_windows_add_up_to_one(length, window):
    # Windows overlap by a quarter, as those of large images do.
    spans = aligned_spans(length, window, max(1, window * 3 // 4))
    total = torch.zeros(length)
    for start, weights in tapers(spans).items():
        assert weights.min() >= 0
        total[start : start + len(weights)] += weights

    assert torch.allclose(total, torch.ones(length), atol=1e-6)


def test_weights_by_hand():
    found = tapers([(0, 10), (2, 10)])

    # Of an overlap of 8, the first and the last three positions belong to one window.
    assert found[0].tolist() == [1, 1, 1, 1, 1, 0.75, 0.25, 0, 0, 0]
    assert found[2].tolist() == [0, 0, 0, 0.25, 0.75, 1, 1, 1, 1, 1]


def test_tapered_windows_begin_where_cells_of_feature_maps_begin():
    assert aligned_spans(2048, 1024, 768) == [(0, 1024), (768, 1024), (1024, 1024)]
    assert aligned_spans(2000, 1024, 768) == [(0, 1024), (768, 1024), (992, 1008)]
    assert aligned_spans(131, 48, 36) == [(0, 48), (32, 48), (64, 48), (96, 35)]
    assert aligned_spans(40, 48, 36) == [(0, 40)]
    assert aligned_spans(20, 8, 6) == [(0, 8), (6, 8), (12, 8)]


@pytest.mark.parametrize("stride", [1, 4])
def test_tapered_windows_leave_no_seam_where_the_network_sees_less_than_a_window_has_for_itself(tmp_path, stride):
    # The convolution sees 2 pixels around, and the interpolation 4 more; the overlap is 32. Interpolation stretches an
    # image whose sides are no multiples of the stride, which no part of it can do.
    image, protocol = pixels(300, 332), slide((128, 128), (96, 96))
    protocols = protocol, Protocol(name="x", summary="")
    whole = expected(image, Convolution(stride), protocols[1])

    tapered, averaged = (
        assembled(
            Blocks(
                Convolution(stride), reader(image), (300, 332), Joining(protocol, False, tapered=kind), scratch=tmp_path
            ),
            (300, 332),
        )[0]
        for kind in (True, False)
    )

    assert np.array_equal(tapered, whole)
    assert not np.array_equal(averaged, whole)


def test_a_block_of_many_values_is_joined_by_bands(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BAND_VALUES", 500)
    image, protocol = pixels(60, 60), slide((32, 32), (24, 24))

    found = Blocks(Convolution(4), reader(image), (60, 60), Joining(protocol, False), scratch=tmp_path)

    assert np.array_equal(assembled(found, (60, 60))[0], expected(image, Convolution(4), protocol))


def test_what_waits_is_the_overlap_alone(tmp_path):
    # Rows of windows of 32, 24 apart: the 8 rows that the next ones share, of every window of a row.
    image, protocol = pixels(104, 200), slide((32, 32), (24, 24))
    found = Blocks(Convolution(1), reader(image), (104, 200), Joining(protocol, False), scratch=tmp_path)

    most = max(sum(one.size for one in found._waiting) for _ in found)

    assert most <= 2 * 8 * CLASSES * 8 * 32 * 4


def test_an_error_of_the_reader_ends_the_prediction(tmp_path):
    def read(where: Rectangle) -> Region:
        if where.top > 0:
            raise OSError("gone")
        return Region(pixels(where.height, where.width))

    found = Blocks(Convolution(1), read, (60, 60), Joining(slide((32, 32), (24, 24)), False), scratch=tmp_path)
    with pytest.raises(OSError, match="gone"):
        list(found)
