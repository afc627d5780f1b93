from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pixelwise.models import SegmentationModel
from pixelwise.recipes.families.unet import UNetSpec
from pixelwise.recipes.schema.model import IMAGENET


class HalfSize(SegmentationModel):
    """Logits of stride 2, with an auxiliary head in training mode."""

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        logits = images[:, :2, ::2, ::2]
        return (logits, -logits) if self.training else (logits,)


@pytest.fixture
def model() -> HalfSize:
    return HalfSize(UNetSpec(), ["sky", "road"])


def test_classes_spec_and_preprocessing_travel_with_the_model(model: HalfSize) -> None:
    assert model.classes == ("sky", "road")
    assert model.num_classes == 2
    assert model.spec == UNetSpec()
    assert model.preprocessing == IMAGENET


def test_forward_interpolates_the_main_logits_to_the_image_size(model: HalfSize) -> None:
    images = torch.zeros(1, 3, 2, 4)
    images[..., 2] = 4.0

    logits = model(images)

    # The head sees columns 0 and 2: 0 and 4; four pixels between the centres of two.
    assert logits.shape == (1, 2, 2, 4)
    assert logits[0, 0, 0].tolist() == [0.0, 1.0, 3.0, 4.0]


def test_logits_of_the_image_size_are_passed_on_untouched(model: HalfSize) -> None:
    images = torch.full((1, 3, 1, 1), 5.0)

    assert model(images).tolist() == [[[[5.0]], [[5.0]]]]
