from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from timm.layers.patch_embed import resample_patch_embed
from timm.layers.pos_embed import resample_abs_pos_embed

from pixelwise.backbones.tokens import TokenEncoder
from pixelwise.errors import RecipeError

SMALL: dict[str, Any] = {"embed_dim": 32, "depth": 2, "num_heads": 2}


@pytest.mark.parametrize("name", ["vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3_qkvb"])
def test_queries_that_see_nothing_change_no_token(name: str) -> None:
    encoder = TokenEncoder(name, side=64, **SMALL).eval()
    images = torch.randn(1, 3, 64, 96)
    queries = torch.randn(7, 32)

    with torch.no_grad():
        tokens, rotary = encoder.embed(images)
        alone = encoder.run(1, encoder.run(0, tokens, rotary), rotary)
        joined, longer = encoder.with_queries(encoder.run(0, tokens, rotary), rotary, queries)
        mask = torch.ones(1, 1, joined.shape[1], joined.shape[1], dtype=torch.bool)
        mask[..., 7:, :7] = False  # no token sees a query
        together = encoder.run(1, joined, longer, mask)

    assert (encoder.blocks, encoder.prefix, encoder.width, encoder.multiple) == (2, 5, 32, 16)
    assert joined.shape == (1, 7 + 5 + 24, 32)
    assert torch.equal(joined[0, :7], queries)
    assert torch.allclose(together[:, 7:], alone, atol=1e-5)


def test_queries_are_not_turned_by_the_rotary_embedding() -> None:
    encoder = TokenEncoder("vit_small_patch16_dinov3", side=64, **SMALL).eval()
    tokens, rotary = encoder.embed(torch.randn(1, 3, 32, 32))
    assert rotary is not None
    _, longer = encoder.with_queries(tokens, rotary, torch.zeros(3, 32))
    assert longer is not None
    sines, cosines = longer[:3].chunk(2, dim=-1)
    assert (sines.abs().max(), cosines.min(), cosines.max()) == (0, 1, 1)
    assert torch.equal(longer[3:], rotary)


def test_pretrained_embeddings_are_resampled_as_timm_does() -> None:
    theirs = timm.create_model("vit_small_patch14_reg4_dinov2", num_classes=0, img_size=56, **SMALL).state_dict()
    encoder = TokenEncoder("vit_small_patch14_reg4_dinov2", side=96, **SMALL)

    patches, grid, norm = (
        encoder.adapted(f"network.{key}", theirs[key])
        for key in ("patch_embed.proj.weight", "pos_embed", "norm.weight")
    )

    assert torch.equal(patches, resample_patch_embed(theirs["patch_embed.proj.weight"], [16, 16]))
    assert torch.equal(grid, resample_abs_pos_embed(theirs["pos_embed"], [6, 6], num_prefix_tokens=0))
    assert norm is theirs["norm.weight"]
    other = torch.zeros(1, 7, 32)  # no square of patches
    assert encoder.adapted("network.pos_embed", other) is other


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18", "'resnet18': it is not a plain vision transformer"),
        ("vit_small_patch16_rope_mixed_224", "one by one"),
        ("vit_smal_patch16_dinov3", "no encoder is named 'vit_smal_patch16_dinov3'"),
    ],
)
def test_what_queries_cannot_join_is_refused(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        TokenEncoder(name)
    assert caught.value.code == "R207"
