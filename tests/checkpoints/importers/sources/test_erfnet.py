"""Imported ERFNet weights against an independent statement of the network, by the original's key names."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.recipes.families.real_time.erfnet import ERFNetSpec

SOURCE = "erfnet-pytorch"
ENCODER_BLOCKS = (
    *((number, 64, 1) for number in (1, 2, 3, 4, 5)),
    *((number, 128, dilation) for number, dilation in enumerate((2, 4, 8, 16, 2, 4, 8, 16), start=7)),
)
"""Number, channels and dilation of the encoder's residual blocks."""
DECODER_BLOCKS = ((1, 64, 1), (2, 64, 1), (4, 16, 1), (5, 16, 1))

State = dict[str, Tensor]


def shapes_of(num_outputs: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(key: str, *shape: int, outputs: int | None = None) -> None:
        shapes[f"{key}.weight"] = shape
        shapes[f"{key}.bias"] = (outputs or shape[0],)

    def norm(key: str, channels: int) -> None:
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{key}.{name}"] = (channels,)
        shapes[f"{key}.num_batches_tracked"] = ()

    def block(key: str, channels: int) -> None:
        for number in (1, 2):
            conv(f"{key}.conv3x1_{number}", channels, channels, 3, 1)
            conv(f"{key}.conv1x3_{number}", channels, channels, 1, 3)
            norm(f"{key}.bn{number}", channels)

    for key, inputs, outputs in (("initial_block", 3, 16), ("layers.0", 16, 64), ("layers.6", 64, 128)):
        conv(f"encoder.{key}.conv", outputs - inputs, inputs, 3, 3)
        norm(f"encoder.{key}.bn", outputs)
    for number, channels, _ in ENCODER_BLOCKS:
        block(f"encoder.layers.{number}", channels)
    conv("encoder.output_conv", num_outputs, 128, 1, 1)
    for number, inputs, outputs in ((0, 128, 64), (3, 64, 16)):
        conv(f"decoder.layers.{number}.conv", inputs, outputs, 3, 3, outputs=outputs)
        norm(f"decoder.layers.{number}.bn", outputs)
    for number, channels, _ in DECODER_BLOCKS:
        block(f"decoder.layers.{number}", channels)
    conv("decoder.output_conv", 16, num_outputs, 2, 2, outputs=num_outputs)
    return shapes


def random_state(num_outputs: int = 20) -> State:
    """Random weights and statistics far from their initial values, by the original's keys."""
    generator = torch.Generator().manual_seed(17)
    state: State = {}
    for key, shape in shapes_of(num_outputs).items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(1234)
        elif len(shape) == 4:
            state[key] = torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        elif key.endswith("running_var"):
            state[key] = torch.rand(shape, generator=generator) * 1.5 + 0.5
        elif key.endswith(("running_mean", "bias")):
            state[key] = torch.randn(shape, generator=generator) * 0.3
        else:
            state[key] = torch.rand(shape, generator=generator) + 0.5
    return state


def build(num_classes: int, part: str = "whole") -> SegmentationModel:
    return build_model(ERFNetSpec(part=part), num_classes).eval()  # type: ignore[arg-type]


class Original:
    """The network's forward pass in evaluation mode, with functions only."""

    def __init__(self, state: State) -> None:
        self.state = state

    def norm(self, x: Tensor, key: str) -> Tensor:
        s = self.state
        mean, var = s[f"{key}.running_mean"], s[f"{key}.running_var"]
        return F.batch_norm(x, mean, var, s[f"{key}.weight"], s[f"{key}.bias"], eps=1e-3)

    def conv(self, x: Tensor, key: str, **options: object) -> Tensor:
        return F.conv2d(x, self.state[f"{key}.weight"], self.state[f"{key}.bias"], **options)  # type: ignore[arg-type]

    def down(self, x: Tensor, key: str) -> Tensor:
        joined = torch.cat([self.conv(x, f"{key}.conv", stride=2, padding=1), F.max_pool2d(x, 2)], dim=1)
        return F.relu(self.norm(joined, f"{key}.bn"))

    def up(self, x: Tensor, key: str) -> Tensor:
        weight, bias = self.state[f"{key}.conv.weight"], self.state[f"{key}.conv.bias"]
        x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        return F.relu(self.norm(x, f"{key}.bn"))

    def block(self, x: Tensor, key: str, dilation: int) -> Tensor:
        y = F.relu(self.conv(x, f"{key}.conv3x1_1", padding=(1, 0)))
        y = F.relu(self.norm(self.conv(y, f"{key}.conv1x3_1", padding=(0, 1)), f"{key}.bn1"))
        y = F.relu(self.conv(y, f"{key}.conv3x1_2", padding=(dilation, 0), dilation=(dilation, 1)))
        y = self.norm(self.conv(y, f"{key}.conv1x3_2", padding=(0, dilation), dilation=(1, dilation)), f"{key}.bn2")
        return F.relu(x + y)

    def encode(self, x: Tensor) -> Tensor:
        x = self.down(self.down(x, "encoder.initial_block"), "encoder.layers.0")
        for number, _, dilation in ENCODER_BLOCKS:
            x = self.down(x, "encoder.layers.6") if number == 7 else x
            x = self.block(x, f"encoder.layers.{number}", dilation)
        return x

    def encoder_logits(self, images: Tensor) -> Tensor:
        return self.conv(self.encode(images), "encoder.output_conv")

    def __call__(self, images: Tensor) -> Tensor:
        x = self.up(self.encode(images), "decoder.layers.0")
        for number, _, dilation in DECODER_BLOCKS:
            x = self.up(x, "decoder.layers.3") if number == 4 else x
            x = self.block(x, f"decoder.layers.{number}", dilation)
        weight, bias = self.state["decoder.output_conv.weight"], self.state["decoder.output_conv.bias"]
        return F.conv_transpose2d(x, weight, bias, stride=2)


def test_imported_weights_give_the_original_s_logits() -> None:
    state = random_state()
    model = build(20)
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(5))

    report = import_weights(model, state, SOURCE)
    with torch.no_grad():
        logits, expected = model(images), Original(state)(images)

    assert (report.dropped, report.missing, report.mismatched) == ((), (), ())
    assert sorted(their_key for their_key, _ in report.mapped) == sorted(state)
    assert sorted(our_key for _, our_key in report.mapped) == sorted(model.state_dict())
    assert expected.std() > 0.1  # the comparison is of something
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_void_is_dropped_from_both_classifiers_for_a_model_without_it() -> None:
    state = random_state()
    model = build(19)
    images = torch.rand(1, 3, 16, 24)

    report = import_weights(model, {f"module.{key}": value for key, value in state.items()}, SOURCE)
    with torch.no_grad():
        logits, original = model(images), Original(state)(images)

    assert torch.allclose(logits, original[:, :19], rtol=1e-4, atol=1e-4)
    assert report.dropped == (
        "decoder.output_conv.weight[:, 19]",
        "decoder.output_conv.bias[19]",
        "encoder.output_conv.weight[19]",
        "encoder.output_conv.bias[19]",
    )


def test_the_encoder_alone_takes_its_part_of_the_file() -> None:
    state = random_state()
    model = build(19, "encoder")
    images = torch.rand(1, 3, 16, 24)

    report = import_weights(model, state, SOURCE)
    with torch.no_grad():
        (logits,), original = model.head_logits(images), Original(state).encoder_logits(images)

    assert torch.allclose(logits, original[:, :19], rtol=1e-4, atol=1e-4)
    assert {key.partition(".")[0] for key, _ in report.mapped} == {"encoder"}
    assert set(report.dropped) >= {key for key in state if key.startswith("decoder.")}
    assert any("decoder" in note for note in report.notes)


def test_a_file_without_the_encoder_s_classifier_is_complete_enough() -> None:
    state = {key: value for key, value in random_state().items() if not key.startswith("encoder.output_conv")}

    report = import_weights(build(20), state, SOURCE)

    assert report.missing == ("encoder.classifier.weight", "encoder.classifier.bias")
    assert any("encoder.classifier" in note for note in report.notes)


def test_an_encoder_s_file_is_no_whole_network() -> None:
    state = {key: value for key, value in random_state().items() if key.startswith("encoder.")}

    with pytest.raises(CheckpointError, match="ERFNet") as error:
        import_weights(build(20), state, SOURCE)

    assert error.value.code == "K402"
    assert "model.part=encoder" in error.value.help


def test_other_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"'encoder\.initial_block\.'.* initial_block\.conv\.weight") as error:
        import_weights(build(20), {"initial_block.conv.weight": torch.zeros(1)}, SOURCE)

    assert error.value.code == "K402"
    assert "`source`" in error.value.help
