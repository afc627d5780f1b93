"""The imported networks against an independent statement of the originals, by the originals' key names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.errors import CheckpointError
from pixelwise.models.base import SegmentationModel
from pixelwise.models.fcn import FCN
from pixelwise.models.pspnet import PSPNet
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.pspnet import PSPNetSpec

Shapes = dict[str, tuple[int, ...]]
State = dict[str, Tensor]

DEPTHS = {"resnet50c": (3, 4, 6, 3), "resnet101c": (3, 4, 23, 3)}
CHANNELS = 8
"""Width of the heads in these tests; the encoders have their real size."""
CLASSES = ("a", "b", "c")
BINS = (1, 2, 3, 6)


def norm_keys(key: str, channels: int) -> Shapes:
    vectors = {f"{key}.{name}": (channels,) for name in ("weight", "bias", "running_mean", "running_var")}
    return {**vectors, f"{key}.num_batches_tracked": ()}


def encoder_keys(prefix: str, encoder: str) -> Shapes:
    """The ResNet of both code bases: a stem of three convolutions, torchvision's names otherwise."""
    shapes: Shapes = {}
    for index, (inputs, outputs) in enumerate(((3, 32), (32, 32), (32, 64))):
        shapes[f"{prefix}.stem.{3 * index}.weight"] = (outputs, inputs, 3, 3)
        shapes |= norm_keys(f"{prefix}.stem.{3 * index + 1}", outputs)
    inputs = 64
    for layer, (depth, width) in enumerate(zip(DEPTHS[encoder], (64, 128, 256, 512), strict=True), 1):
        for block in range(depth):
            key = f"{prefix}.layer{layer}.{block}"
            convs = ((width, inputs, 1), (width, width, 3), (4 * width, width, 1))
            for index, (rows, columns, kernel) in enumerate(convs, 1):
                shapes[f"{key}.conv{index}.weight"] = (rows, columns, kernel, kernel)
                shapes |= norm_keys(f"{key}.bn{index}", rows)
            if block == 0:
                shapes[f"{key}.downsample.0.weight"] = (4 * width, inputs, 1, 1)
                shapes |= norm_keys(f"{key}.downsample.1", 4 * width)
            inputs = 4 * width
    return shapes


def classifier_keys(key: str, outputs: int = len(CLASSES), channels: int = CHANNELS) -> Shapes:
    return {f"{key}.weight": (outputs, channels, 1, 1), f"{key}.bias": (outputs,)}


def conv_keys(conv: str, norm: str, inputs: int, kernel: int, channels: int = CHANNELS) -> Shapes:
    return {f"{conv}.weight": (channels, inputs, kernel, kernel), **norm_keys(norm, channels)}


def sssegmentation_keys(head: str, encoder: str) -> Shapes:
    shapes = encoder_keys("backbone_net", encoder)
    if head == "fcn":
        shapes |= conv_keys("decoder.0", "decoder.1", 2048, 3)
        shapes |= conv_keys("decoder.3", "decoder.4", CHANNELS, 3)
        shapes |= classifier_keys("decoder.7")
    else:
        for index in range(len(BINS)):
            shapes |= conv_keys(f"ppm_net.branches.{index}.1", f"ppm_net.branches.{index}.2", 2048, 1)
        shapes |= conv_keys("ppm_net.bottleneck.0", "ppm_net.bottleneck.1", 2048 + len(BINS) * CHANNELS, 3)
        shapes |= classifier_keys("decoder.1")
    shapes |= conv_keys("auxiliary_decoder.0", "auxiliary_decoder.1", 1024, 3)
    return shapes | classifier_keys("auxiliary_decoder.4")


def mmsegmentation_keys(encoder: str, auxiliary_channels: int = CHANNELS) -> Shapes:
    head, auxiliary = "decode_head", "auxiliary_head"
    shapes = encoder_keys("backbone", encoder) | classifier_keys(f"{head}.conv_seg")
    for index in range(len(BINS)):
        key = f"{head}.psp_modules.{index}.1"
        shapes |= conv_keys(f"{key}.conv", f"{key}.bn", 2048, 1)
    joined = 2048 + len(BINS) * CHANNELS
    shapes |= conv_keys(f"{head}.bottleneck.conv", f"{head}.bottleneck.bn", joined, 3)
    shapes |= classifier_keys(f"{auxiliary}.conv_seg", channels=auxiliary_channels)
    conv = f"{auxiliary}.convs.0"
    return shapes | conv_keys(f"{conv}.conv", f"{conv}.bn", 1024, 3, auxiliary_channels)


def random_state(shapes: Shapes) -> State:
    """Random weights and statistics far from their initial values."""
    generator = torch.Generator().manual_seed(17)
    state: State = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(1234)
        elif len(shape) == 4:
            state[key] = torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        elif key.endswith("running_var"):
            state[key] = torch.rand(shape, generator=generator) * 1.5 + 0.5
        elif key.endswith(("running_mean", "bias")):
            state[key] = torch.randn(shape, generator=generator) * 0.3
        else:
            state[key] = torch.rand(shape, generator=generator) * 0.5 + 0.5
    return state


def build(head: str, encoder: str, output_stride: int) -> SegmentationModel:
    """Without values: an import has to give all of them."""
    options = {"encoder": encoder, "output_stride": output_stride, "channels": CHANNELS, "auxiliary_channels": CHANNELS}
    with torch.device("meta"):
        if head == "fcn":
            model: SegmentationModel = FCN(FCNSpec(**options), CLASSES)  # type: ignore[arg-type]
        else:
            model = PSPNet(PSPNetSpec(**options, bins=BINS), CLASSES)  # type: ignore[arg-type]
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.zero_()
    return model.eval()


class Original:
    """The originals' forward pass in evaluation mode, with functions only."""

    def __init__(self, state: State, prefix: str, output_stride: int) -> None:
        self.state = state
        self.prefix = prefix
        # (stride, dilation of the first block, dilation of the others) of each stage.
        last = {8: ((1, 1, 2), (1, 2, 4)), 16: ((2, 1, 1), (1, 1, 2))}[output_stride]
        self.stages = ((1, 1, 1), (2, 1, 1), *last)

    def conv(self, x: Tensor, conv: str, norm: str, **options: int) -> Tensor:
        s = self.state
        x = F.conv2d(x, s[f"{conv}.weight"], **options)  # type: ignore[arg-type]
        mean, var = s[f"{norm}.running_mean"], s[f"{norm}.running_var"]
        return F.batch_norm(x, mean, var, s[f"{norm}.weight"], s[f"{norm}.bias"], training=False, eps=1e-5)

    def bottleneck(self, x: Tensor, key: str, stride: int, dilation: int) -> Tensor:
        out = F.relu(self.conv(x, f"{key}.conv1", f"{key}.bn1"))
        out = self.conv(out, f"{key}.conv2", f"{key}.bn2", stride=stride, padding=dilation, dilation=dilation)
        out = self.conv(F.relu(out), f"{key}.conv3", f"{key}.bn3")
        if f"{key}.downsample.0.weight" in self.state:
            x = self.conv(x, f"{key}.downsample.0", f"{key}.downsample.1", stride=stride)
        return F.relu(out + x)

    def encode(self, x: Tensor) -> list[Tensor]:
        for index, stride in ((0, 2), (3, 1), (6, 1)):
            stem = f"{self.prefix}.stem"
            x = F.relu(self.conv(x, f"{stem}.{index}", f"{stem}.{index + 1}", stride=stride, padding=1))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        features = []
        for layer, (stride, first, others) in enumerate(self.stages, 1):
            block = 0
            while f"{self.prefix}.layer{layer}.{block}.conv1.weight" in self.state:
                key = f"{self.prefix}.layer{layer}.{block}"
                x = self.bottleneck(x, key, stride if block == 0 else 1, first if block == 0 else others)
                block += 1
            features.append(x)
        return features

    def classify(self, x: Tensor, key: str) -> Tensor:
        return F.conv2d(x, self.state[f"{key}.weight"], self.state[f"{key}.bias"])

    def pooled(self, x: Tensor, branch: Callable[[Tensor, int], Tensor]) -> Tensor:
        levels = [x]
        for index, side in enumerate(BINS):
            level = F.relu(branch(F.adaptive_avg_pool2d(x, side), index))
            levels.append(F.interpolate(level, size=x.shape[-2:], mode="bilinear", align_corners=False))
        return torch.cat(levels, dim=1)

    def fcn(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x, "decoder.0", "decoder.1", padding=1))
        x = F.relu(self.conv(x, "decoder.3", "decoder.4", padding=1))
        return self.classify(x, "decoder.7")

    def pspnet(self, x: Tensor) -> Tensor:
        branches = "ppm_net.branches"
        x = self.pooled(x, lambda level, index: self.conv(level, f"{branches}.{index}.1", f"{branches}.{index}.2"))
        x = F.relu(self.conv(x, "ppm_net.bottleneck.0", "ppm_net.bottleneck.1", padding=1))
        return self.classify(x, "decoder.1")

    def pspnet_of_mmsegmentation(self, x: Tensor) -> Tensor:
        modules = "decode_head.psp_modules"
        x = self.pooled(
            x, lambda level, index: self.conv(level, f"{modules}.{index}.1.conv", f"{modules}.{index}.1.bn")
        )
        x = F.relu(self.conv(x, "decode_head.bottleneck.conv", "decode_head.bottleneck.bn", padding=1))
        return self.classify(x, "decode_head.conv_seg")


def assert_equal_logits(logits: Tensor, expected: Tensor) -> None:
    assert logits.shape == expected.shape
    assert expected.std() > 0.01 * expected.abs().max()  # the comparison is of something
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize(
    ("head", "output_stride", "size"), [("fcn", 8, (33, 65)), ("fcn", 16, (47, 64)), ("pspnet", 8, (41, 57))]
)
def test_sssegmentation_weights_give_the_original_s_logits(
    head: str, output_stride: int, size: tuple[int, int]
) -> None:
    state = random_state(sssegmentation_keys(head, "resnet50c"))
    model = build(head, "resnet50c", output_stride)
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(5))

    report = import_weights(model, {"model": state}, "sssegmentation")
    original = Original(state, "backbone_net", output_stride)
    with torch.no_grad():
        features = original.encode(images)
        expected = getattr(original, head)(features[-1])
        auxiliary = F.relu(original.conv(features[-2], "auxiliary_decoder.0", "auxiliary_decoder.1", padding=1))
        assert_equal_logits(model.head_logits(images)[0], expected)
        assert_equal_logits(
            model.auxiliary(model.encoder(images)[-2]),  # type: ignore[operator]
            original.classify(auxiliary, "auxiliary_decoder.4"),
        )

    ours = model.state_dict()
    assert sorted(our_key for _, our_key in report.mapped) == sorted(ours)
    assert [their_key for their_key, _ in report.mapped] == list(state)
    assert (report.dropped, report.missing) == ((), ())
    assert report.notes == ("the weights were found under 'model'",)


def test_mmsegmentation_weights_give_the_original_s_logits() -> None:
    state = random_state(mmsegmentation_keys("resnet50c"))
    model = build("pspnet", "resnet50c", 8)
    images = torch.rand(1, 3, 41, 57, generator=torch.Generator().manual_seed(5))

    report = import_weights(model, {"state_dict": state, "meta": {}}, "mmsegmentation")
    original = Original(state, "backbone", 8)
    with torch.no_grad():
        expected = original.pspnet_of_mmsegmentation(original.encode(images)[-1])
        assert_equal_logits(model.head_logits(images)[0], expected)

    assert sorted(our_key for _, our_key in report.mapped) == sorted(model.state_dict())
    assert [their_key for their_key, _ in report.mapped] == list(state)


def test_mmsegmentation_s_narrower_auxiliary_head_is_dropped_and_said() -> None:
    state = random_state(mmsegmentation_keys("resnet50c", auxiliary_channels=CHANNELS // 2))
    model = build("pspnet", "resnet50c", 8)

    report = import_weights(model, state, "mmsegmentation")

    assert set(report.dropped) == {key for key in state if key.startswith("auxiliary_head.")}
    assert set(report.missing) == {key for key in model.state_dict() if key.startswith("auxiliary.")}
    (note,) = report.notes
    assert "auxiliary head" in note
    assert re.findall(r"\d+", note) == ["4", "8"]


@pytest.mark.parametrize("head", ["fcn", "pspnet"])
def test_every_tensor_of_a_resnet101_has_its_place(head: str) -> None:
    state = {key: torch.zeros(shape) for key, shape in sssegmentation_keys(head, "resnet101c").items()}

    report = import_weights(build(head, "resnet101c", 16), state, "sssegmentation")

    assert len(report.mapped) == len(state) == {"fcn": 658, "pspnet": 676}[head]


@pytest.mark.parametrize(
    ("head", "encoder", "keys", "message"),
    [
        ("fcn", "resnet50c", ["backbone.conv1.weight"], r"'backbone_net\.'.* backbone\.conv1\.weight"),
        ("fcn", "resnet50c", ["backbone_net.stem.0.weight", "ppm_net.bottleneck.0.weight"], "a PSPNet .* FCN"),
        ("pspnet", "resnet50c", ["backbone_net.stem.0.weight", "decoder.0.weight"], r"'ppm_net\.'.* a PSPNet"),
        ("fcn", "resnet50c", ["backbone_net.conv1.weight"], r"'backbone_net\.stem\.0\.weight'"),
        ("fcn", "resnet50", ["backbone_net.stem.0.weight"], "ResNet .* 'resnet50'"),
        (
            "fcn",
            "resnet50c",
            ["backbone_net.stem.0.weight", *(f"backbone_net.layer3.{index}.bn1.bias" for index in range(23))],
            "ResNet .* 23 blocks.* 'resnet50c' 6",
        ),
    ],
)
def test_weights_of_another_network_are_refused(head: str, encoder: str, keys: list[str], message: str) -> None:
    state = {key: torch.zeros(1) for key in keys}

    with pytest.raises(CheckpointError, match=message) as caught:
        import_weights(build(head, encoder, 8), state, "sssegmentation")

    assert caught.value.code == "K402"
