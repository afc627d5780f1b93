from __future__ import annotations

import pytest
import torch
from pmt_originals import BLOCKS, HEADS, OUTPUTS, WIDTH, compared_layers, network

from pixelwise.backbones.tokens import TappedTokens
from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.pmt import PMT
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.pmt import PMTSpec
from pixelwise.testing import check_model


@pytest.mark.parametrize("name", ["dinov2", "dinov3"])
def test_masks_and_classes_are_the_original_s_with_and_without_masked_attention(name: str) -> None:
    assert compared_layers(name) == {"masked": BLOCKS + 1, "free": BLOCKS + 1, "eval": 1}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("encoder", "parameters", "gmacs"),
    [
        # Counted on the authors' code: tests/write_pmt_originals.py.
        ("vit_small_patch16_dinov3_qkvb", 29_256_343, 48.399),
        ("vit_base_patch16_dinov3_qkvb", 116_020_375, 159.580),
        ("vit_large_patch16_dinov3_qkvb", 356_978_839, 450.111),
    ],
)
def test_parameters_and_multiplications_are_the_original_s(encoder: str, parameters: int, gmacs: float) -> None:
    with torch.device("meta"):
        counted = complexity(build_model(PMTSpec(encoder=encoder), 150), 512, 512)
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
    assert scores.shape == (1, OUTPUTS, 9, 12)
    assert scores.min() >= 0


def test_a_transformer_without_a_class_token_will_do() -> None:
    encoder = TappedTokens("vit_base_patch16_siglip_224", (0, 1), side=64, embed_dim=32, depth=2, num_heads=2)
    model = PMT(PMTSpec(encoder=encoder.name, queries=3, blocks=1), ["a", "b"], encoder).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 3, 20, 30)).shape == (1, 2, 20, 30)


def test_tokens_before_the_patches_count() -> None:
    model = network("dinov2").eval()
    images = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        features = model.encoder(images)
        whole = model._summed(features)
        features[-1] += 1
        changed = (model._summed(features) - whole).abs().amax((0, 2)) > 0
    assert changed.tolist() == [True] * 5 + [False] * 16


def test_heads_that_cannot_be_turned_are_refused() -> None:
    encoder = TappedTokens("vit_tiny_patch16_224", (0,), side=64, embed_dim=WIDTH + 4, depth=1, num_heads=HEADS)
    with pytest.raises(RecipeError, match=r"its heads have 18 channels") as caught:
        PMT(PMTSpec(), ["a"], encoder)
    assert caught.value.code == "R207"
