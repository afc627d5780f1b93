from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.unet import DecoderBlock, UNet
from pixelwise.recipes.families.unet import UNetSpec


def build(encoder: str = "resnet18", decoder_channels: tuple[int, ...] = (32, 16, 16, 8)) -> UNet:
    torch.manual_seed(0)
    model = build_model(UNetSpec(encoder=encoder, decoder_channels=decoder_channels), num_classes=3)
    assert isinstance(model, UNet)
    return model.eval()


@pytest.fixture(scope="module")
def unet() -> UNet:
    return build()


def test_a_block_enlarges_by_repeating_and_joins_the_skip_behind() -> None:
    block = DecoderBlock(1, 1, 1).eval()
    seen: list[torch.Tensor] = []
    block.conv1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))

    block(torch.tensor([[[[1.0, 2.0]]]]), torch.full((1, 1, 2, 4), 9.0), (2, 4))

    assert seen[0].tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]], [[9, 9, 9, 9], [9, 9, 9, 9]]]]


def test_blocks_join_the_encoder_s_features_of_their_stride() -> None:
    widths = [block.conv1.conv.in_channels for block in build(decoder_channels=(256, 128, 64, 32, 16)).decoder]

    # Coarser features + ResNet-18's at stride 16, 8, 4 and 2; none at stride 1.
    assert widths == [512 + 256, 256 + 128, 128 + 64, 64 + 64, 32]


@pytest.mark.parametrize(("num_blocks", "stride"), [(1, 16), (3, 4), (4, 2), (5, 1)])
def test_the_number_of_blocks_decides_the_stride_of_the_logits(num_blocks: int, stride: int) -> None:
    model = build(decoder_channels=(8,) * num_blocks)

    with torch.no_grad():
        (logits,) = model.head_logits(torch.rand(1, 3, 64, 32))

    assert logits.shape == (1, 3, 64 // stride, 32 // stride)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (31, 33), (65, 40)])
def test_any_size_works_and_the_head_rounds_up(unet: UNet, size: tuple[int, int]) -> None:
    images = torch.rand(1, 3, *size)

    with torch.no_grad():
        (logits,) = unet.head_logits(images)
        full = unet(images)

    assert logits.shape == (1, 3, -(-size[0] // 2), -(-size[1] // 2))
    assert full.shape == (1, 3, *size)
    assert full.isfinite().all()


def test_an_encoder_that_needs_multiples_sees_a_padded_image() -> None:
    model = build("convnext_atto", (16, 8))
    images = torch.rand(1, 3, 33, 40)

    with torch.no_grad():
        (logits,) = model.head_logits(images)
        (padded,) = model.head_logits(F.pad(images, (0, 24, 0, 31), mode="replicate"))

    assert logits.shape == (1, 3, 5, 5)
    assert torch.equal(logits, padded[..., :5, :5])


def test_decoder_convolutions_start_with_he_s_variance(unet: UNet) -> None:
    weight = unet.decoder[0].conv1.conv.weight

    assert weight.std().item() == pytest.approx((2 / (9 * weight.shape[0])) ** 0.5, rel=0.02)


@pytest.mark.parametrize("num_blocks", [0, 6])
def test_a_number_of_blocks_that_the_encoder_cannot_feed_is_refused(num_blocks: int) -> None:
    with pytest.raises(RecipeError, match=rf"{num_blocks} blocks.*'resnet18'.*stride 32.*1\.\.5") as caught:
        build(decoder_channels=(8,) * num_blocks)

    assert caught.value.code == "R203"


def test_an_unknown_encoder_is_an_error_with_near_misses() -> None:
    with pytest.raises(RecipeError, match="'resnet18'") as caught:
        build(encoder="resnet_18")

    assert caught.value.code == "R207"


@pytest.mark.heavy
@pytest.mark.parametrize("size", [(64, 96), (90, 75), (33, 33)])
def test_training_computes_what_evaluation_does_within_rounding(size: tuple[int, int]) -> None:
    model = build().double()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.track_running_stats = False  # the batch's own statistics in both modes
            module.running_mean = module.running_var = None
    images = torch.rand(2, 3, *size, dtype=torch.float64)

    results, gradients = [], []
    for training in (False, True):
        (logits,) = model.train(training).head_logits(images)
        model.zero_grad()
        logits.square().sum().backward()
        results.append(logits.detach())
        gradients.append([parameter.grad for parameter in model.parameters()])

    torch.testing.assert_close(*results)
    torch.testing.assert_close(*gradients)
