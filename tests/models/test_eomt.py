from __future__ import annotations

import pytest
import torch
from eomt_originals import BLOCKS, DEPTH, HEADS, WIDTH, compared_layers, network

from pixelwise.backbones.tokens import TokenEncoder
from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.eomt import EoMT
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.eomt import EoMTSpec
from pixelwise.testing import check_model


@pytest.mark.parametrize("name", ["dinov2", "dinov3"])
def test_masks_and_classes_are_the_original_s_with_and_without_masked_attention(name: str) -> None:
    assert compared_layers(name) == {"masked": BLOCKS + 1, "free": BLOCKS + 1, "eval": 1}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("encoder", "blocks", "parameters", "gmacs"),
    [
        # Counted on transformers 5.24.0, without the token for masked patches, which nothing reads.
        ("vit_small_patch14_reg4_dinov2", 3, 23_722_903, 36.953),
        ("vit_base_patch14_reg4_dinov2", 3, 93_157_015, 124.550),
        ("vit_large_patch14_reg4_dinov2", 4, 316_020_887, 394.315),
        ("vit_small_patch16_dinov3_qkvb", 3, 23_325_079, 36.953),
        ("vit_base_patch16_dinov3_qkvb", 3, 92_361_367, 124.550),
        ("vit_large_patch16_dinov3_qkvb", 4, 314_947_735, 394.315),
    ],
)
def test_parameters_and_multiplications_are_the_original_s(
    encoder: str, blocks: int, parameters: int, gmacs: float
) -> None:
    with torch.device("meta"):
        counted = complexity(build_model(EoMTSpec(encoder=encoder, blocks=blocks), 150), 512, 512)
    assert counted.parameters == parameters
    assert counted.gmacs == pytest.approx(gmacs, rel=1e-3)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["dinov2", "dinov3"])
def test_small_networks_keep_the_contract(name: str) -> None:
    torch.manual_seed(0)
    check_model(network(name).float())


def test_scores_cover_the_image_at_stride_4() -> None:
    model = network("dinov3").float().eval()
    with torch.no_grad():
        (scores,) = model.head_logits(torch.rand(1, 3, 33, 47))
    assert scores.shape == (1, 5, 9, 12)
    assert scores.min() >= 0


def test_more_blocks_than_the_encoder_has_are_refused() -> None:
    encoder = TokenEncoder("vit_small_patch16_dinov3", embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS)
    with pytest.raises(RecipeError, match=r"model\.blocks is 5") as caught:
        EoMT(EoMTSpec(blocks=5), ["a"], encoder)
    assert caught.value.code == "R203"
