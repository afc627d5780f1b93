from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pixelwise.prediction import windows as module
from pixelwise.prediction.engine.grid import central_parts, windows_of
from pixelwise.prediction.windows import View, bands, best_classes, interpolated_rows
from pixelwise.recipes.protocols import Protocol


def slide(window, stride=None, **fields) -> Protocol:
    return Protocol(name="x", summary="", window=window, window_stride=stride, **fields)


WHOLE = Protocol(name="x", summary="")


class Mirror:
    """A network that says what it sees: its logits are the pixels. Counts what it was shown."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images) -> Tensor:
        stacked = torch.from_numpy(np.stack(images))
        self.shapes.append(tuple(stacked.shape))
        return stacked.permute(0, 3, 1, 2).float()


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def as_logits(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float()


def full(views: list[View], size: tuple[int, int]) -> Tensor:
    return torch.cat([values for _, values in bands(views, size, 3)], 1)


@pytest.mark.parametrize("stride", [(4, 5), (3, 2), (1, 1), None])
def test_blending_the_windows_of_an_identity_network_changes_nothing(stride):
    image = pixels(11, 13)

    blended = full([View(Mirror(), image, slide((4, 5), stride), align_corners=False)], (11, 13))

    assert torch.equal(blended, as_logits(image))


def test_overlapping_windows_are_averaged_by_hand():
    # Windows 0..2 and 1..3 of a row of 3 pixels; the first says 1, the second 3.
    answers = iter([1.0, 3.0])
    view = View(
        lambda images: torch.full((1, 1, 1, 2), next(answers)),
        np.zeros((1, 3, 3), np.uint8),
        slide((1, 2), (1, 1)),
        align_corners=False,
    )

    assert view.rows(0, 1, (1, 3)).tolist() == [[[1.0, 2.0, 3.0]]]


def test_windows_can_be_blended_as_probabilities():
    # Sure of class 0 (20 against 0), and a little for class 1 (0 against 1): logits and probabilities disagree less.
    answers = iter([torch.tensor([20.0, 0.0]), torch.tensor([0.0, 1.0])])
    view = View(
        lambda images: next(answers).view(1, 2, 1, 1).expand(1, 2, 1, 2),
        np.zeros((1, 3, 3), np.uint8),
        slide((1, 2), (1, 1), blend="probabilities"),
        align_corners=False,
    )

    middle = view.rows(0, 1, (1, 3))[:, 0, 1]

    expected = (torch.tensor([20.0, 0.0]).softmax(0) + torch.tensor([0.0, 1.0]).softmax(0)) / 2
    assert torch.allclose(middle, expected)
    assert view.are_probabilities


@pytest.mark.parametrize("size", [(9, 12), (18, 24), (5, 7)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_a_window_that_covers_the_image_equals_the_whole(size, align_corners):
    image = pixels(9, 12)
    look = Mirror()

    covered = full([View(look, image, slide((9, 20), (2, 2)), align_corners=align_corners)], size)

    whole = full([View(Mirror(), image, WHOLE, align_corners=align_corners)], size)
    assert torch.equal(covered, whole)
    assert look.shapes == [(1, 9, 12, 3)]
    expected = F.interpolate(as_logits(image)[None], size, mode="bilinear", align_corners=align_corners)[0]
    assert torch.allclose(covered, expected, atol=1e-3)


@given(
    sizes=st.tuples(*[st.integers(1, 12)] * 4),
    align_corners=st.booleans(),
    cut=st.floats(0, 1),
)
@settings(max_examples=60)
def test_some_rows_of_an_enlargement_are_the_rows_of_the_whole(sizes, align_corners, cut):
    h, w, H, W = sizes
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(2, h, w)).astype(np.float32))
    first = round(cut * (H - 1))

    rows = interpolated_rows(logits, (H, W), first, H, align_corners)

    expected = F.interpolate(logits[None], (H, W), mode="bilinear", align_corners=align_corners)[0, :, first:]
    assert torch.allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(11, 13), (22, 26), (7, 5)])
@pytest.mark.parametrize("band_values", [1, 100, 1 << 22])
def test_bands_of_any_height_give_the_same(monkeypatch, size, band_values):
    image = pixels(11, 13)
    expected = F.interpolate(as_logits(image)[None], size, mode="bilinear", align_corners=False)[0]
    monkeypatch.setattr(module, "BAND_VALUES", band_values)

    blended = full([View(Mirror(), image, slide((4, 5), (3, 3)), align_corners=False)], size)

    assert torch.allclose(blended, expected, atol=1e-3)


def test_a_mirror_symmetric_network_predicts_the_same_mirrored():
    image = pixels(6, 8)

    mirrored = View(Mirror(), image, slide((4, 4), (2, 3)), align_corners=False, mirrored=True)

    assert torch.equal(full([mirrored], (6, 8)), as_logits(image))


def test_the_network_sees_the_mirrored_image_and_its_logits_are_flipped_back():
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, 0] = 9  # only the left pixel is bright
    seen = []

    def left_is_special(images) -> Tensor:
        seen.append(np.stack(images)[0, 0, :, 0].tolist())
        return torch.tensor([5.0, 0.0, 0.0]).view(1, 1, 1, 3)

    view = View(left_is_special, image, WHOLE, align_corners=False, mirrored=True)

    assert view.rows(0, 1, (1, 3)).tolist() == [[[0.0, 0.0, 5.0]]]
    assert seen == [[0, 0, 9]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(12, 20), (24, 40), (31, 57), (7, 9)])
def test_flipping_band_by_band_equals_flipping_the_whole(monkeypatch, size, dtype):
    logits = torch.randn(1, 3, 12, 20, generator=torch.Generator().manual_seed(2)).to(dtype)
    protocol, image = Protocol(name="x", summary="", flip=True), pixels(12, 20)
    turned = View(lambda _: logits, image, protocol, align_corners=False, mirrored=True)
    upright = View(lambda _: logits.flip(3), image, protocol, align_corners=False)
    monkeypatch.setattr(module, "BAND_VALUES", 3 * size[1] * 2)

    assert torch.equal(full([turned], size), full([upright], size))


PEAK = """
import sys, numpy as np, torch
from pathlib import Path
from pixelwise.prediction.windows import View, best_classes
from pixelwise.recipes.protocols import Protocol

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

torch.set_num_threads(1)
protocol, image = Protocol(name="x", summary="", flip=True), np.zeros((2048, 4096, 3), np.uint8)
answer = torch.empty(1, 150, 512, 1024, dtype=getattr(torch, sys.argv[1])).normal_()
views = [View(lambda _: answer, image, protocol, align_corners=False, mirrored=side) for side in (False, True)]
before = peak()
labels, _ = best_classes(views, (2048, 4096), 150)
assert labels.shape == (2048, 4096)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux")
@pytest.mark.parametrize(
    "dtype", [pytest.param("float32", marks=pytest.mark.heavy), pytest.param("bfloat16", marks=pytest.mark.fuzz)]
)
def test_two_views_of_150_classes_at_2048x4096_take_little_memory(dtype):
    # One copy of the logits would be 300 MiB, their full-size sum 4.7 GiB.
    done = subprocess.run([sys.executable, "-c", PEAK, dtype], capture_output=True, text=True, check=True)

    assert float(done.stdout) < 250


def test_the_confidence_in_scores_that_are_probabilities_is_their_part_of_the_sum():
    scores = torch.tensor([3.0, 1.0, 0.0]).view(1, 3, 1, 1)
    view = View(
        lambda images: scores, np.zeros((1, 1, 3), np.uint8), WHOLE, align_corners=False, scores="probabilities"
    )

    labels, sure = best_classes([view], (1, 1), 3, confidence=True)

    assert (labels.item(), sure.item()) == (0, 0.75)


def test_several_views_are_averaged_as_probabilities():
    image = np.zeros((1, 1, 3), np.uint8)
    strong, weak = torch.tensor([4.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    views = [
        View(lambda images, answer=answer: answer.view(1, 3, 1, 1), image, WHOLE, align_corners=False)
        for answer in (strong, weak, weak)
    ]

    labels, sure = best_classes(views, (2, 2), 3, confidence=True)

    mean = (strong.softmax(0) + 2 * weak.softmax(0)) / 3
    assert labels.tolist() == [[0, 0], [0, 0]]
    assert sure is not None
    assert torch.allclose(sure, mean[0].expand(2, 2))


def test_windows_go_to_the_network_in_batches_of_equal_size():
    look = Mirror()

    full([View(look, pixels(4, 10), slide((4, 4), (4, 2), window_batch=3), align_corners=False)], (4, 10))

    assert look.shapes == [(3, 4, 4, 3), (1, 4, 4, 3)]


def test_windows_are_predicted_when_needed_and_forgotten_afterwards(monkeypatch):
    monkeypatch.setattr(module, "BAND_VALUES", 3 * 4)
    look = Mirror()
    view = View(look, pixels(40, 4), slide((4, 4), (2, 2)), align_corners=False)
    asked, known = [], []

    for first, _ in bands([view], (40, 4), 3):
        asked.append((first, len(look.shapes)))
        known.append(len(view._known))

    assert asked[0] == (0, 1)
    assert asked[-1] == (39, 19)
    assert max(known) <= 3  # of 19


def test_kept_views_can_be_read_again():
    look = Mirror()
    image = pixels(9, 9)
    view = View(look, image, slide((4, 4), (3, 3)), align_corners=False, keep=True)

    first, again = full([view], (9, 9)), full([view], (9, 9))

    assert torch.equal(first, again)
    assert torch.equal(again, as_logits(image))
    assert len(look.shapes) == 9


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("band", [1, 7, 1 << 22])
def test_class_ids_are_taken_from_central_windows(monkeypatch, mirrored, band):
    # The network answers with the number of the window, so that the mask shows which window each pixel came from.
    monkeypatch.setattr(module, "BAND_VALUES", band * 12 * 31)
    protocol = Protocol(name="x", summary="", window=(10, 12), window_stride=(8, 9), blend="central")
    image = np.zeros((25, 31, 3), np.uint8)
    numbers = itertools.count()

    def forward(parts):
        ids = torch.tensor([next(numbers) for _ in parts])
        return torch.nn.functional.one_hot(ids, 12).float()[:, :, None, None].expand(-1, -1, 10, 12)

    view = View(forward, image, protocol, align_corners=False, mirrored=mirrored)
    labels, _ = best_classes([view], (25, 31), 12)
    windows = windows_of((25, 31), (10, 12), (8, 9), mirrored=mirrored)
    parts = central_parts(windows, (25, 31))
    for number, one in enumerate(windows):
        top, bottom, left, right = parts[one.top, one.left]
        assert (labels[top:bottom, left:right] == number).all()
