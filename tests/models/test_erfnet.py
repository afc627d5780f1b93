from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.models import build_model
from pixelwise.models.erfnet import Downsampling, ERFNet, NonBottleneck1D
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.real_time.erfnet import ERFNetSpec


def build(part: str = "whole", num_classes: int = 3) -> ERFNet:
    torch.manual_seed(0)
    model = build_model(ERFNetSpec(part=part), num_classes)  # type: ignore[arg-type]
    assert isinstance(model, ERFNet)
    return model.eval()


@pytest.mark.parametrize(
    ("num_outputs", "parameters", "gmacs"), [(20, 2_066_836, "26.6127"), (19, 2_066_642, "26.6043")]
)
def test_parameters_and_multiplications_are_the_original_s(num_outputs: int, parameters: int, gmacs: str) -> None:
    with torch.device("meta"):
        counted = complexity(build(num_classes=num_outputs), 512, 1024)

    assert counted.parameters == parameters
    assert counted.auxiliary_parameters == 128 * num_outputs + num_outputs  # the encoder's classifier
    assert f"{counted.gmacs:.4f}" == gmacs


def test_downsampling_puts_the_convolution_before_the_pooled_input() -> None:
    block = Downsampling(1, 3).eval()
    images = torch.tensor([[[[1.0, 2.0], [7.0, 4.0]]]])

    with torch.no_grad():
        features = block(images)
        convolved = F.conv2d(images, block.conv.weight, block.conv.bias, stride=2, padding=1)

    scale = (1 + 1e-3) ** -0.5  # the epsilon of its normalisation
    assert torch.allclose(features[:, :2], F.relu(convolved * scale))
    assert features[0, 2].item() == pytest.approx(7 * scale)


def test_a_block_sees_three_pixels_and_three_dilated_ones_in_each_direction() -> None:
    block = NonBottleneck1D(1, dilation=4).eval()
    for conv in (module for module in block.modules() if isinstance(module, nn.Conv2d)):
        nn.init.ones_(conv.weight)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    point = torch.zeros(1, 1, 15, 15)
    point[..., 7, 7] = 1

    with torch.no_grad():
        seen = block(point)[0, 0] - point[0, 0]

    # One pixel beside the centre and beside the places four away.
    assert seen[7].nonzero().flatten().tolist() == [2, 3, 4, 6, 7, 8, 10, 11, 12]
    assert seen[:, 7].nonzero().flatten().tolist() == [2, 3, 4, 6, 7, 8, 10, 11, 12]
    assert seen.max().item() == pytest.approx(1 / (1 + 1e-3))


def test_dropout_and_dilation_grow_with_depth_and_the_decoder_has_none() -> None:
    model = build()
    assert model.decoder is not None

    def blocks(part: nn.Module) -> list[tuple[float, int]]:
        found = [module for module in part.modules() if isinstance(module, NonBottleneck1D)]
        return [(block.dropout.p, block.second.vertical.dilation[0]) for block in found]

    deep = [(0.3, dilation) for dilation in (2, 4, 8, 16)]
    assert blocks(model.encoder) == [(0.03, 1)] * 5 + deep + deep
    assert blocks(model.decoder) == [(0.0, 1)] * 4


def test_other_sizes_are_padded_to_multiples_of_8_and_cropped() -> None:
    model = build()
    images = torch.rand(1, 3, 33, 47)

    with torch.no_grad():
        logits = model(images)
        padded = model(F.pad(images, (0, 1, 0, 7), mode="replicate"))

    assert padded.shape == (1, 3, 40, 48)
    assert torch.equal(logits, padded[..., :33, :47])


def test_the_encoder_s_logits_follow_in_training_only() -> None:
    model = build()
    images = torch.rand(2, 3, 33, 47)

    with torch.no_grad():
        in_evaluation = model.head_logits(images)
        in_training = model.train().head_logits(images)

    assert [logits.shape for logits in in_evaluation] == [(2, 3, 33, 47)]
    assert [logits.shape for logits in in_training] == [(2, 3, 33, 47), (2, 3, 5, 6)]


def test_the_encoder_alone_answers_at_stride_8() -> None:
    model = build("encoder")
    images = torch.rand(2, 3, 33, 47)

    with torch.no_grad():
        assert [logits.shape for logits in model.head_logits(images)] == [(2, 3, 5, 6)]
        assert [logits.shape for logits in model.train().head_logits(images)] == [(2, 3, 5, 6)]
        assert model.eval()(images).shape == (2, 3, 33, 47)


def test_the_whole_network_begins_with_what_its_encoder_learned_alone() -> None:
    encoder, whole = build("encoder"), build("whole")
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.01)

    missing, unexpected = whole.load_state_dict(encoder.state_dict(), strict=False)

    assert unexpected == []
    assert {key.partition(".")[0] for key in missing} == {"decoder", "classifier"}
    images = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(whole.encoder(images), encoder.encoder(images))
