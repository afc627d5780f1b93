from __future__ import annotations

import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.models.unetlite import UNetLite, build
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.lite import UNetLiteSpec

Size = tuple[int, int]


def network(num_classes: int, spec: UNetLiteSpec | None = None) -> UNetLite:
    torch.manual_seed(0)
    return build(spec or UNetLiteSpec(), tuple(f"class_{index}" for index in range(num_classes))).eval()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("num_classes", "size", "parameters", "gmacs"),
    [
        (32, (512, 512), 2_477_848, 2.349121536),
        (21, (512, 512), 2_467_464, 2.009219),
        (19, (384, 768), 2_465_836, 2.204264),
    ],
)
def test_it_costs_what_the_original_costs(num_classes: int, size: Size, parameters: int, gmacs: float) -> None:
    with torch.device("meta"):
        model = network(num_classes)

    cost = complexity(model, *size)

    assert cost.parameters == parameters
    assert cost.gmacs == pytest.approx(gmacs, rel=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 96)])
def test_logits_have_stride_2(size: Size) -> None:
    with torch.no_grad():
        (logits,) = network(3).head_logits(torch.rand(1, 3, *size))

    assert logits.shape == (1, 3, -(-size[0] // 2), -(-size[1] // 2))


@pytest.mark.parametrize(
    ("num_classes", "widths"), [(3, [96, 32, 32, 32]), (21, [96, 42, 42, 42]), (60, [120, 120, 120, 120])]
)
def test_a_scale_has_at_least_two_channels_per_class(num_classes: int, widths: list[int]) -> None:
    with torch.device("meta"):
        model = network(num_classes)

    assert [conv.pointwise.conv.out_channels for conv in model.decoder] == widths  # type: ignore[union-attr]


def test_a_number_of_classes_that_does_not_fit_the_groups_is_refused() -> None:
    # 25 classes need 50 channels at stride 2, which cannot be divided into three groups.
    with torch.device("meta"), pytest.raises(RecipeError, match=r"50 channels.* 16 channels") as caught:
        network(25, UNetLiteSpec(encoder="regnetx_008"))
    assert caught.value.code == "R203"
