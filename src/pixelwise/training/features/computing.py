"""The features of augmented images, and the networks that can be trained on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pixelwise.errors import RecipeError
from pixelwise.models import SegmentationModel
from pixelwise.models.encoding import encode
from pixelwise.training.batches import Batch
from pixelwise.training.features.recalling import recalling, unchanged, without_pixels
from pixelwise.training.optimization.freezing import encoder_of, set_training_mode
from pixelwise.training.step import prepare

_HELP = "set data.cache_features=0"


@torch.no_grad()
def encoded(model: SegmentationModel, batch: Batch) -> tuple[Tensor, ...]:
    """The features of a batch, float32 (B, C, h, w) per feature map, on the device of the network.

    They are computed in float32 whatever `precision` says, with the encoder in evaluation mode.
    """
    device = next(model.parameters()).device
    encoder = encoder_of(model).eval()
    images, _ = prepare(batch, model.preprocessing, device, channels_last=False)
    return tuple(encode(encoder, images))


def maps_read(model: SegmentationModel) -> tuple[int, ...]:
    """The feature maps that the heads of a network read in training, as indices of its encoder's list.

    It computes the logits of random images, and again from their features alone, each map in turn without its values.
    Neither the network nor the random generators change.

    Raises:
        RecipeError: R295, the network has no encoder; R296, layers of its encoder are trained, or its head needs more
            than the features.
    """
    encoder = encoder_of(model)
    if encoder.untrained:
        layers = ", ".join(name.rstrip(".") for name in encoder.untrained)
        raise RecipeError(
            "R296",
            f"data.cache_features keeps features, but layers of '{encoder.name}' without pretrained weights ({layers}) "
            "are trained",
            f"choose another encoder, or {_HELP}",
        )
    device = next(model.parameters()).device
    # Two images: batch normalisation cannot be trained on one whose map is a single pixel.
    shape = (2, model.preprocessing.in_channels, *model.traced_size)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.no_grad(), unchanged(model, device):
        model.eval()
        expected, features = model.head_logits(images), encode(encoder, images)
        if not all(map(_alike, _from(model, features, shape), expected)):
            raise RecipeError(
                "R296",
                f"data.cache_features trains on the features of the encoder alone, but {type(model).__name__} computes "
                "its logits from more than them, for example from the image itself",
                f"choose another model.family, or {_HELP}",
            )
        set_training_mode(model, frozen=True)
        return tuple(index for index in range(len(features)) if _reads(model, features, index, shape))


def _reads(model: SegmentationModel, features: list[Tensor], index: int, shape: Sequence[int]) -> bool:
    """Whether a feature map without values leaves any logits without them."""
    without = without_pixels(features[index].shape, features[index].device)
    logits = _from(model, [*features[:index], without, *features[index + 1 :]], shape)
    return any(bool(one.isnan().any()) for one in logits)


def _from(model: SegmentationModel, features: list[Tensor], shape: Sequence[int]) -> tuple[Tensor, ...]:
    with recalling(model, features):
        return model.head_logits(without_pixels(shape, features[0].device))


def _alike(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
