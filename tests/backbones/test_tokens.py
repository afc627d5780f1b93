from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from timm.layers.patch_embed import resample_patch_embed
from timm.layers.pos_embed import resample_abs_pos_embed

from pixelwise.backbones.tokens import TappedTokens, TokenEncoder
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


@pytest.mark.parametrize(("name", "before"), [("vit_small_patch14_reg4_dinov2", 5), ("vit_tiny_patch16_224", 1)])
def test_tapped_tokens_are_those_of_the_patches_and_then_those_before_them(name: str, before: int) -> None:
    encoder = TappedTokens(name, (0, 2), side=64, embed_dim=32, depth=4, num_heads=2).eval()
    tokens: list[torch.Tensor] = []
    for block in encoder.network.blocks:
        block.register_forward_hook(lambda module, inputs, output: tokens.append(output))

    with torch.no_grad():
        found = encoder(torch.randn(2, 3, 32, 48))
        expected = [encoder.network.norm(tokens[block]) for block in (0, 2)]

    assert (encoder.blocks, encoder.heads, encoder.strides, encoder.channels) == (3, 2, (16, 16), (32, 32))
    assert [tuple(one.shape) for one in found] == 2 * [(2, 32, 2, 3)] + 2 * [(2, 32, 1, before)]
    for patches, others, each in zip(found[:2], found[2:], expected, strict=True):
        assert torch.equal(patches[1, :, 1, 0], each[1, before + 3])
        assert torch.equal(others[1, :, 0], each[1, :before].T)


def test_the_last_block_of_each_quarter_is_tapped_unless_others_are_named() -> None:
    options: dict[str, Any] = {"side": 64, "embed_dim": 32, "num_heads": 2}
    assert TappedTokens("vit_tiny_patch16_224", depth=8, **options).taps == (1, 3, 5, 7)
    with pytest.raises(RecipeError, match=r"model\.taps is \[0, 8\]; expected blocks of .* 0\.\.7") as caught:
        TappedTokens("vit_tiny_patch16_224", (0, 8), depth=8, **options)
    assert caught.value.code == "R203"


def test_an_encoder_without_a_class_token_has_its_patches_alone() -> None:
    encoder = TappedTokens("vit_base_patch16_siglip_224", (0,), side=64, embed_dim=32, depth=2, num_heads=2)
    assert encoder.prefix == 0
    assert [tuple(one.shape) for one in encoder(torch.randn(1, 3, 32, 48))] == [(1, 32, 2, 3)]
