from __future__ import annotations

import pytest
import torch
from eomt_originals import BLOCKS, DEPTH, HEADS, QUERIES, WIDTH, compared_layers, network
from torch import Tensor

from pixelwise.backbones.tokens import TokenEncoder
from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.eomt import EoMT, masked_share
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


def test_the_share_of_masked_queries_falls_within_its_window() -> None:
    steps, window = 1000, (0.2, 0.4)
    assert [masked_share(step, steps, window) for step in (0, 199, 200, 400, 999)] == [1, 1, 1, 0, 0]
    assert masked_share(300, steps, window) == pytest.approx(0.5**0.9)
    assert masked_share(300, steps, (250, 350)) == pytest.approx(0.5**0.9)
    assert [masked_share(step, steps, (0, 0)) for step in (0, 1)] == [0, 0]


def test_blocks_lose_their_masks_one_after_the_other() -> None:
    model = network("dinov3")
    found = []
    for step in (0, 25, 50, 75):
        model.at(step, 100)
        found.append(None if model.shares is None else [round(value, 3) for value in model.shares.tolist()])
    assert found == [[1, 1], [1, 1], [0, 1], None]


def test_a_masked_query_sees_no_patch_outside_of_its_mask() -> None:
    model = network("dinov3").train()
    grid = (2, 3)
    masks = torch.full((1, QUERIES, 8, 12), -1.0, dtype=torch.float64)
    masks[0, 0, 4:, 8:] = 3.0  # the last patch
    tokens = QUERIES + model.encoder.prefix + 6

    seen = model._seen(masks, grid, tokens, torch.ones(()))[0, 0]

    assert seen.shape == (tokens, tokens)
    assert seen[:, : QUERIES + 5].all()  # queries and the tokens before the patches
    assert seen[0, QUERIES + 5 :].tolist() == [False] * 5 + [True]
    assert not seen[1:QUERIES, QUERIES + 5 :].any()
    assert seen[QUERIES:].all()
    assert model._seen(masks, grid, tokens, torch.zeros(())).all()


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


def test_masks_change_what_is_trained_but_not_what_is_predicted() -> None:
    model = network("dinov2")
    images = torch.rand(1, 3, 64, 64, dtype=torch.float64)

    def last(share: Tensor | None) -> Tensor:
        model.shares = share
        with torch.no_grad():
            return model.training_outputs(images)[-2]

    model.eval()
    assert torch.equal(last(torch.ones(BLOCKS)), last(None))
    model.train()
    assert not torch.equal(last(torch.ones(BLOCKS)), last(None))
