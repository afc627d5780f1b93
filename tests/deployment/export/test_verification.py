"""Verification of networks and artefacts with fixed outputs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixelwise.deployment.export.images import VerificationImages
from pixelwise.deployment.export.verification import Acceptance, compare, differs, network_input, verify
from pixelwise.errors import CheckpointError
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.runtimes.graphs import GraphOptions
from pixelwise.runtimes.sidecar import Verification

IMAGE = np.zeros((1, 2, 3), np.uint8)


class Fixed(nn.Module):
    """An exported network that returns the same output for every input, as far as `compare` needs one."""

    def __init__(self, output: list, *, argmax: bool = False, multilabel: bool = False) -> None:
        super().__init__()
        self.options = GraphOptions(size=(1, 2), argmax=argmax)
        self.model = SimpleNamespace(
            preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
            multilabel=multilabel,
            align_corners=False,
        )
        self.output = torch.tensor(output, dtype=torch.uint8 if argmax else torch.float32)

    def forward(self, images: Tensor) -> Tensor:
        return self.output


class Artefact:
    """An artefact that returns a fixed output."""

    def __init__(self, output: Any) -> None:
        self.output = np.asarray(output)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        return self.output

    def failure(self, what: str) -> CheckpointError:
        return CheckpointError("K463", what)


# One image of 1x2 pixels and two classes: the first pixel is of class 0, the second of class 1.
LOGITS = [[[[2.0, -1.0]], [[1.0, 3.0]]]]


def compared(network: Fixed, artefact: Artefact, count: int = 1) -> Any:
    return compare(network, artefact, [IMAGE] * count)  # type: ignore[arg-type]


def test_equal_outputs_differ_by_nothing() -> None:
    found = compared(Fixed(LOGITS), Artefact(np.array(LOGITS, np.float32)), 3)
    assert (found.images, found.max_difference, found.logit_range, found.equal_pixels) == (3, 0.0, 4.0, 1.0)


def test_a_pixel_of_another_class_counts_and_the_largest_difference_is_found() -> None:
    found = compared(Fixed(LOGITS), Artefact(np.array([[[[2.0, 3.5]], [[1.0, 3.0]]]], np.float32)))
    assert (found.max_difference, found.equal_pixels) == (4.5, 0.5)


def test_pixels_are_those_of_the_image_whatever_the_stride_of_the_logits() -> None:
    # Interpolated to two pixels, the only value of each class is that of both.
    one = [[[[2.0]], [[1.0]]]]
    assert compared(Fixed(one), Artefact(np.array(one, np.float32))).equal_pixels == 1.0
    left, right = [[[[2.0, -1.0]], [[1.0, 3.0]]]], [[[[2.0, 0.5]], [[1.0, 1.0]]]]
    wide = np.zeros((1, 8, 3), np.uint8)
    found = compare(Fixed(left), Artefact(np.array(right, np.float32)), [wide])  # type: ignore[arg-type]
    assert found.equal_pixels == 6 / 8  # the two where one of them is of class 1 already


def test_of_several_classes_per_pixel_all_have_to_agree() -> None:
    # Both classes are there in the first pixel; of the second, class 1 alone.
    other = np.array([[[[2.0, -0.5]], [[-1.0, 3.0]]]], np.float32)
    assert compared(Fixed(LOGITS, multilabel=True), Artefact(other)).equal_pixels == 0.5


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_never_equal(wrong: float) -> None:
    found = compared(Fixed(LOGITS), Artefact(np.array([[[[2.0, wrong]], [[1.0, 3.0]]]], np.float32)))
    assert (found.max_difference, found.equal_pixels) == (np.inf, 0.0)


def test_class_ids_are_equal_or_not() -> None:
    found = compared(Fixed([[[1, 0]]], argmax=True), Artefact(np.array([[[1, 1]]], np.uint8)))
    assert (found.max_difference, found.logit_range, found.equal_pixels) == (None, None, 0.5)


def test_another_shape_is_a_failure_of_the_artefact() -> None:
    with pytest.raises(CheckpointError) as caught:
        compared(Fixed(LOGITS), Artefact(np.zeros((1, 2, 2, 2), np.float32)))
    assert caught.value.code == "K463"


def test_images_go_in_normalised_or_as_bytes() -> None:
    image = np.full((1, 2, 3), 255, np.uint8)
    network = Fixed(LOGITS)
    assert torch.equal(network_input(network, image), torch.ones(1, 3, 1, 2))  # type: ignore[arg-type]
    network.options = GraphOptions(size=(1, 2), uint8_input=True)
    assert network_input(network, image).numpy().tolist() == [image.tolist()]  # type: ignore[arg-type]


def test_verifying_without_labels_leaves_scores_out() -> None:
    images = VerificationImages(read=lambda: [IMAGE], source="one image")
    found = verify(
        Fixed(LOGITS),
        Artefact(np.array(LOGITS, np.float32)),
        images,
        Acceptance(least_equal=0.75),  # type: ignore[arg-type]
    )
    assert (found.images, found.source, found.equal_pixels, found.least_equal_pixels) == (1, "one image", 1.0, 0.75)
    assert (found.miou_pytorch, found.miou_artefact) == (None, None)


def test_an_artefact_that_differs_says_how_far() -> None:
    error = differs(
        Verification(
            images=1, source="one image", equal_pixels=0.5, least_equal_pixels=0.9999, max_difference=4.5, logit_range=4
        )
    )
    assert error.code == "K465"
    for words in ("50.000 %", "one image", "99.990 %", "4.5", "4"):
        assert words in error.message
