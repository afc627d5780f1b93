"""EfficientViT-Seg against the authors' own network, with the same weights; see `write_efficientvit_originals.py`."""

from __future__ import annotations

import pytest
import torch
from efficientvit_originals import compare_logits

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.efficientvit import SERIES, Block
from pixelwise.recipes.families.efficientvit import EfficientViTSegSpec
from pixelwise.recipes.published.efficientvit import SPECS

NAMES = [f"{size}-{dataset}" for dataset, sizes in SPECS.items() for size in sizes]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "b0-cityscapes" else pytest.mark.heavy) for name in NAMES]
)
def test_all_logits_are_the_original_s_in_evaluation_and_in_training(name: str) -> None:
    compare_logits(name)


@pytest.mark.parametrize(("series", "kernels"), [("b", [1, 3, 1]), ("l", [3, 1])])
def test_the_blocks_of_a_series_are_inverted_or_fused(series: str, kernels: list[int]) -> None:
    block = Block(4, 8, SERIES[series]).eval()
    convolutions = [layer.conv for layer in block.layers]  # type: ignore[union-attr]
    assert [conv.kernel_size[0] for conv in convolutions] == kernels  # type: ignore[union-attr, index]
    features = torch.randn(1, 4, 3, 5)
    torch.nn.init.zeros_(convolutions[-1].weight)  # type: ignore[union-attr, arg-type]
    # Without its convolutions, a block is the identity.
    assert torch.equal(block(features), features)


def test_any_encoder_with_the_three_strides_can_be_used_and_any_size() -> None:
    model = build_model(EfficientViTSegSpec(encoder="resnet18", channels=8, final_expansion=0), 3).eval()
    with torch.no_grad():
        (logits,) = model.head_logits(torch.rand(1, 3, 33, 47))
    assert logits.shape == (1, 3, 5, 6)


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (EfficientViTSegSpec(channels=0), "R203"),
        (EfficientViTSegSpec(final_expansion=-1), "R203"),
        (EfficientViTSegSpec(encoder="efficientvit_b9"), "R207"),
    ],
)
def test_what_cannot_be_built_is_refused(spec: EfficientViTSegSpec, code: str) -> None:
    with pytest.raises(RecipeError) as refused:
        build_model(spec, 3)
    assert refused.value.code == code
