from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pixelwise.backbones.taps import TappedEncoder
from pixelwise.errors import RecipeError

SMALL: dict[str, Any] = {"embed_dim": 32, "num_heads": 2}


def test_maps_are_the_tokens_after_each_block_with_the_class_token_behind_each_patch() -> None:
    encoder = TappedEncoder("vit_tiny_patch16_224", (0, 2), normalize=False, class_token=True, depth=4, **SMALL).eval()
    tokens: list[torch.Tensor] = []
    for block in encoder.network.blocks:
        block.register_forward_hook(lambda module, inputs, output: tokens.append(output))

    with torch.no_grad():
        maps = encoder(torch.randn(1, 3, 32, 48))

    assert (encoder.channels, encoder.strides, len(encoder.network.blocks)) == ((64, 64), (16, 16), 3)
    for found, block in zip(maps, (0, 2), strict=True):
        assert found.shape == (1, 64, 2, 3)
        assert torch.equal(found[0, :32, 1, 0], tokens[block][0, 1 + 3])
        assert torch.equal(found[0, 32:, 1, 2], tokens[block][0, 0])


def test_only_what_is_read_is_built() -> None:
    plain = TappedEncoder("vit_tiny_patch16_224", (0, 1), normalize=False, depth=4, **SMALL)
    normalised = TappedEncoder("vit_tiny_patch16_224", (0, 3), depth=4, **SMALL)
    assert isinstance(plain.network.norm, nn.Identity)
    assert isinstance(normalised.network.norm, nn.LayerNorm)
    assert (len(plain.network.blocks), len(normalised.network.blocks)) == (2, 4)
    assert plain.layers_from_head() is not None


@pytest.mark.parametrize(("depth", "taps"), [(4, (0, 1, 2, 3)), (6, (0, 2, 3, 5)), (12, (2, 5, 8, 11))])
def test_the_last_block_of_each_quarter_is_read_unless_others_are_named(depth: int, taps: tuple[int, ...]) -> None:
    assert TappedEncoder("vit_tiny_patch16_224", depth=depth, **SMALL).taps == taps


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name",
    ["vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3", "eva02_tiny_patch14_224"],
)
def test_transformers_of_several_kinds_can_be_read(name: str) -> None:
    encoder = TappedEncoder(name, class_token=True).eval()
    with torch.no_grad():
        maps = encoder(torch.randn(1, 3, 32, 48))
    assert [tuple(one.shape) for one in maps] == [(1, 2 * encoder.width, 2, 3)] * 4
    assert all(one.isfinite().all() for one in maps)


def test_fewer_blocks_than_maps_are_refused() -> None:
    with pytest.raises(RecipeError, match="it has 3 block") as caught:
        TappedEncoder("vit_tiny_patch16_224", depth=3, **SMALL)
    assert caught.value.code == "R207"
