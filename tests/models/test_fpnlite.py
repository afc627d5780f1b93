from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.errors import RecipeError
from pixelwise.models.fpnlite import FPNLite, build
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.lite import FPNLiteSpec

Size = tuple[int, int]


def network(num_classes: int, encoder: str = "mobilenetv2_100", channels: int = 256) -> FPNLite:
    torch.manual_seed(0)
    spec = FPNLiteSpec(encoder=encoder, channels=channels)  # type: ignore[arg-type]
    return build(spec, tuple(f"class_{index}" for index in range(num_classes))).eval()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("encoder", "channels", "num_classes", "size", "parameters", "gmacs"),
    [
        ("mobilenetv2_100", 256, 32, (512, 512), 2_672_704, 3.403235328),
        ("mobilenetv2_140", 360, 32, (512, 512), 5_189_520, 6.535827456),
        ("regnetx_004", 256, 32, (384, 384), 6_021_536, 3.076521984),
        ("regnetx_008", 256, 32, (512, 512), 8_314_080, 7.910457344),
        ("regnetx_016", 264, 19, (512, 1024), 10_736_632, 26.366706),
        ("regnetx_032", 288, 19, (768, 1536), 18_060_928, 111.157346),
    ],
)
def test_it_costs_what_the_original_costs(
    encoder: str, channels: int, num_classes: int, size: Size, parameters: int, gmacs: float
) -> None:
    with torch.device("meta"):
        model = network(num_classes, encoder, channels)

    cost = complexity(model, *size)

    assert cost.parameters == parameters
    assert cost.gmacs == pytest.approx(gmacs, rel=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 96)])
def test_logits_have_stride_4(size: Size) -> None:
    with torch.no_grad():
        (logits,) = network(3).head_logits(torch.rand(1, 3, *size))

    assert logits.shape == (1, 3, -(-size[0] // 4), -(-size[1] // 4))


def test_each_level_is_smoothed_before_it_goes_on_up() -> None:
    model = network(3)
    level = model.decoder[0]
    coarse, skip = torch.rand(1, 256, 2, 3), torch.rand(1, 96, 4, 6)

    with torch.no_grad():
        result = level(coarse, skip)
        enlarged = nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear")
        expected = level.smooth(enlarged + level.shortcut(skip))  # type: ignore[operator]

    assert torch.equal(result, expected)


@pytest.mark.heavy
def test_the_width_of_1_4_has_relu6_in_the_decoder_too() -> None:
    def activations(encoder: str) -> set[type[nn.Module]]:
        with torch.device("meta"):
            model = network(3, encoder)
        return {type(module) for module in model.modules() if isinstance(module, (nn.ReLU, nn.ReLU6))}

    assert activations("mobilenetv2_140") == {nn.ReLU6}
    assert activations("mobilenetv2_100") == {nn.ReLU}


def test_a_width_that_does_not_fit_the_groups_is_refused() -> None:
    with torch.device("meta"), pytest.raises(RecipeError, match=r"256 channels.* 24 channels") as caught:
        network(3, "regnetx_016", channels=256)
    assert caught.value.code == "R203"
