"""Networks whose encoder answers with known features."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.training.features.recalling import recalled, recalling, without_pixels


class Doubling(Encoder):
    channels, strides = (3,), (1,)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [2 * images]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Doubling()

    def head_logits(self, images: Tensor) -> Tensor:
        return self.encoder(images)[0] + 1


def test_the_encoder_answers_with_the_features_until_the_context_ends():
    net, images = Net(), torch.ones(1, 3, 2, 2)
    with recalling(net, [torch.full((1, 3, 2, 2), 7.0)]):
        assert net.head_logits(images).unique().tolist() == [8.0]
    with pytest.raises(KeyError), recalling(net, [images]):
        raise KeyError
    with recalling(net, None):
        assert net.head_logits(images).unique().tolist() == [3.0]
    assert net.head_logits(images).unique().tolist() == [3.0]


def test_images_without_pixels_have_a_size_and_poison_what_reads_them():
    images = without_pixels((2, 3, 400, 500), torch.device("cpu"))
    assert images.shape == (2, 3, 400, 500)
    assert images.untyped_storage().nbytes() == 4
    assert bool(images.mean().isnan())


@pytest.mark.parametrize("channels_last", [False, True])
def test_features_reach_the_head_as_float32_in_its_layout(channels_last: bool):
    kept = [torch.rand(2, 4, 3, 5).half(), torch.rand(2, 8, 2, 3)]
    found = recalled(kept, torch.device("cpu"), channels_last)
    assert found is not None
    assert [one.dtype for one in found] == [torch.float32] * 2
    assert all(torch.equal(one, before.float()) for one, before in zip(found, kept, strict=True))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert all(one.is_contiguous(memory_format=layout) for one in found)
    assert recalled(None, torch.device("cpu"), channels_last) is None
