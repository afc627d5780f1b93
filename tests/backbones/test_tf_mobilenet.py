from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.backbones.tf_mobilenet import SameConv, TFMobileNet, make_divisible


def sums_of_windows(kernel_size: int, image: list[list[float]]) -> list[list[float]]:
    conv = SameConv(1, 1, kernel_size, stride=2)
    nn.init.ones_(conv.weight)
    with torch.no_grad():
        return conv(torch.tensor([[image]]))[0, 0].tolist()


def test_an_even_length_is_padded_at_the_end_only() -> None:
    # Windows of three columns at 0 and 2; the fifth column is padding. One row: as many before as after.
    assert sums_of_windows(3, [[1.0, 2.0, 4.0, 8.0]]) == [[7.0, 12.0]]


def test_an_odd_length_is_padded_alike_on_both_sides() -> None:
    # Windows of three columns at -1, 1, 3.
    assert sums_of_windows(3, [[1.0, 2.0, 4.0, 8.0, 16.0]]) == [[3.0, 14.0, 24.0]]


def test_a_kernel_of_five_pads_one_before_and_two_after_an_even_length() -> None:
    # Windows of five columns at -1 and 1 of 4.
    assert sums_of_windows(5, [[1.0, 2.0, 4.0, 8.0]]) == [[15.0, 14.0]]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (64, 50), (65, 97)])
@pytest.mark.parametrize(("name", "output_stride"), [("mobilenetv2_050", 8), ("mobilenetv3_large_seg", 32)])
def test_features_cover_the_image(name: str, output_stride: int, size: tuple[int, int]) -> None:
    encoder = TFMobileNet(name, output_stride).eval()

    with torch.no_grad():
        features = encoder(torch.rand(1, 3, *size))

    expected = [
        (1, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]
    assert [tuple(feature.shape) for feature in features] == expected


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("size", [(64, 50), (65, 97)])
def test_mobilenetv2_is_timm_s_with_tensorflow_s_padding_and_eps(output_stride: int, size: tuple[int, int]) -> None:
    timm = pytest.importorskip("timm")
    ours = TFMobileNet("mobilenetv2_100", output_stride).eval()
    theirs = timm.create_model(
        "mobilenetv2_100", features_only=True, output_stride=output_stride, pad_type="same", bn_eps=1e-3
    ).eval()
    images = torch.randn(1, 3, *size)

    theirs.load_state_dict(ours.state_dict())  # the same keys, so that timm's weights fit
    with torch.no_grad():
        coarse, expected = ours(images)[1], theirs(images)[-1]

    assert coarse.std() > 0
    assert torch.allclose(coarse, expected, rtol=1e-4)


def test_half_of_mobilenetv2_has_exact_halves() -> None:
    with torch.device("meta"):
        whole, half = TFMobileNet("mobilenetv2_100", 16), TFMobileNet("mobilenetv2_050", 16)

    def widths(encoder: TFMobileNet) -> list[int]:
        return [module.out_channels for module in encoder.modules() if isinstance(module, nn.Conv2d)]

    assert [2 * width for width in widths(half)] == widths(whole)


def test_the_last_stage_of_mobilenetv3_is_half_as_wide() -> None:
    with torch.device("meta"):
        encoder = TFMobileNet("mobilenetv3_large_seg", 32)
    shapes = {name: tuple(value.shape) for name, value in encoder.named_parameters()}

    assert encoder.channels == (120, 480)
    assert shapes["blocks.5.0.conv_dw.weight"] == (336, 1, 5, 5)
    assert shapes["blocks.5.1.conv_dw.weight"] == shapes["blocks.5.2.conv_dw.weight"] == (480, 1, 5, 5)
    assert shapes["blocks.5.2.conv_pwl.weight"] == (80, 480, 1, 1)
    # By slim's rule: 18, 30, 120, 168, 84 and 120 rounded.
    squeezed = {shape[:2] for name, shape in shapes.items() if name.endswith("se.reduce.weight")}
    assert squeezed == {(24, 72), (32, 120), (120, 480), (168, 672), (88, 336)}


def test_fine_features_come_from_before_the_gate() -> None:
    encoder = TFMobileNet("mobilenetv3_large_seg", 32).eval()
    seen = []
    encoder.blocks[2][2].se.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))  # type: ignore[index]

    with torch.no_grad():
        fine, _ = encoder(torch.rand(1, 3, 32, 32))

    assert torch.equal(fine, seen[0])


def test_a_block_behind_the_output_stride_is_dilated_and_the_one_that_would_stride_is_not() -> None:
    with torch.device("meta"):
        encoder = TFMobileNet("mobilenetv2_100", 8)

    dilations = [
        [module.dilation[0] for name, module in stage.named_modules() if name.endswith("conv_dw")]  # type: ignore[index]
        for stage in encoder.blocks
    ]

    assert dilations == [[1], [1, 1], [1, 1, 1], [1, 2, 2, 2], [2, 2, 2], [2, 4, 4], [4]]


def test_widths_are_rounded_to_multiples_of_8_but_not_down_by_more_than_a_tenth() -> None:
    assert [make_divisible(width) for width in (3, 16, 18, 30, 84, 120)] == [8, 16, 24, 32, 88, 120]
    # The rule itself: a multiple of 8 within 4 of the width, or the next one where that would lose over a tenth.
    for quarters in range(4, 2000):
        width, found = quarters / 4, make_divisible(quarters / 4)
        assert found % 8 == 0
        assert found >= 0.9 * width
        assert found == 8 or abs(found - width) <= 4 or found - 8 < 0.9 * width
