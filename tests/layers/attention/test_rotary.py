from __future__ import annotations

import math

import pytest
import torch
from timm.layers.pos_embed_sincos import RotaryEmbeddingDinoV3, apply_rot_embed_cat

from pixelwise.layers.attention.rotary import rotation_of_patches, turned


@pytest.mark.parametrize(("height", "width", "channels"), [(3, 5, 16), (1, 1, 64), (4, 2, 4)])
def test_the_last_tokens_are_turned_as_timm_turns_those_of_dinov3(height: int, width: int, channels: int) -> None:
    tokens = torch.randn(2, 3, 7 + height * width, channels)
    table = RotaryEmbeddingDinoV3(channels).eval().get_embed([height, width])

    found = turned(tokens, rotation_of_patches(height, width, channels, tokens))

    assert torch.equal(found[:, :, :7], tokens[:, :, :7])
    expected = apply_rot_embed_cat(tokens[:, :, 7:], table, half=True)
    torch.testing.assert_close(found[:, :, 7:], expected, rtol=1e-5, atol=1e-5)


def test_angles_follow_from_the_centres_of_the_patches() -> None:
    # Two columns in one row: their centres are at -0.5 and 0.5, that of the row at 0. The only period is 1.
    rotation = rotation_of_patches(1, 2, 4, torch.zeros(1, dtype=torch.float64))
    assert rotation.sines.dtype == torch.float64
    expected = torch.tensor([[0, -math.pi], [0, math.pi]]).repeat(1, 2)
    torch.testing.assert_close(rotation.cosines.float(), expected.cos())
    torch.testing.assert_close(rotation.sines.float(), expected.sin())


def test_lengths_do_not_change() -> None:
    tokens = torch.randn(1, 2, 12, 8, dtype=torch.float64)
    found = turned(tokens, rotation_of_patches(3, 4, 8, tokens))
    torch.testing.assert_close(found.norm(dim=-1), tokens.norm(dim=-1), rtol=1e-6, atol=1e-6)
    assert not torch.allclose(found, tokens)
