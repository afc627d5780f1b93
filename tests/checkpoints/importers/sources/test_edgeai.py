"""The imported networks against an independent statement of the originals, by the originals' key names.

The encoders are torchvision's, of whose MobileNetV2 the original is a copy; of its RegNetX only the
names differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel, deeplabv3lite, fpnlite, unetlite
from pixelwise.recipes.families.lite import DeepLabV3LiteSpec, FPNLiteSpec, UNetLiteSpec
from pixelwise.recipes.schema.model import Spec

State = dict[str, Tensor]
CHANNELS = 32
NUM_CLASSES = 3
BUILDERS = {DeepLabV3LiteSpec: deeplabv3lite.build, UNetLiteSpec: unetlite.build, FPNLiteSpec: fpnlite.build}
SKIPS = {"mobilenetv2_100": (16, 24, 32, 96, 320), "regnetx_008": (32, 64, 128, 288, 672)}
GROUP_SIZE = {"mobilenetv2_100": 1, "regnetx_008": 16}

CASES = {
    "deeplabv3lite": DeepLabV3LiteSpec(channels=CHANNELS),
    "unetlite": UNetLiteSpec(channels=CHANNELS),
    "fpnlite": FPNLiteSpec(channels=CHANNELS),
    "fpnlite over RegNetX": FPNLiteSpec(encoder="regnetx_008", channels=CHANNELS),
    "deeplabv3lite over RegNetX": DeepLabV3LiteSpec(encoder="regnetx_008", channels=CHANNELS * 2),
}

TORCHVISION_TO_PYCLS = (
    (r"^stem\.0\.", "stem.conv."),
    (r"^stem\.1\.", "stem.bn."),
    (r"^trunk_output\.block\d\.block(\d)-(\d+)\.", lambda match: f"s{match[1]}.b{int(match[2]) + 1}."),
    (r"\.f\.([abc])\.0\.", r".f.\1."),
    (r"\.f\.([abc])\.1\.", r".f.\1_bn."),
    (r"\.proj\.0\.", ".proj."),
    (r"\.proj\.1\.", ".bn."),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(spec: Spec) -> SegmentationModel:
    return BUILDERS[type(spec)](spec, ("a", "b", "c")).eval()  # type: ignore[index, arg-type]


def torchvision_encoder(name: str, output_stride: int) -> nn.Module:
    """torchvision's network without classifier, with TI's activations and strides."""
    models = pytest.importorskip("torchvision").models
    if name == "regnetx_008":
        network = models.regnet_x_800mf()
        network.fc = nn.Identity()
        last = network.trunk_output.block4[0]
        strided = [last.f.b[0], last.proj[0]]
    else:
        network = models.mobilenet_v2().features[:18]  # without the 1x1 convolution to 1280 channels
        for module in list(network.modules()):
            for place, child in module.named_children():
                if isinstance(child, nn.ReLU6):
                    setattr(module, place, nn.ReLU())
        strided = [network[14].conv[1][0]]
    for conv in strided if output_stride == 16 else []:
        conv.stride = (1, 1)
    return network.eval()


def encoder_key(name: str, key: str) -> str:
    """TI's name of torchvision's tensor."""
    if name == "regnetx_008":
        for pattern, replacement in TORCHVISION_TO_PYCLS:
            key = re.sub(pattern, replacement, key)
    return f"encoder.features.{key}"


def conv_norm(key: str, in_channels: int, out_channels: int, kernel_size: int = 1) -> dict[str, tuple[int, ...]]:
    """Shapes of a convolution (in channels per group) and its normalisation."""
    norms = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (out_channels,))
    return {
        f"{key}.0.weight": (out_channels, in_channels, kernel_size, kernel_size),
        **{f"{key}.1.{name}": shape for name, shape in norms.items()},
        f"{key}.1.num_batches_tracked": (),
    }


def separable(key: str, in_channels: int, out_channels: int, group: int) -> dict[str, tuple[int, ...]]:
    groups = in_channels // group
    first = conv_norm(f"{key}.0", in_channels // groups, in_channels, 3)
    return {**first, **conv_norm(f"{key}.1", in_channels, out_channels)}


def decoder_shapes(family: str, encoder: str, channels: int) -> dict[str, tuple[int, ...]]:
    """TI's keys of a decoder, with shapes."""
    skips, group = SKIPS[encoder], GROUP_SIZE[encoder]
    top = "decoders.0"
    aspp = f"{top}.aspp" if family == "deeplabv3lite" else f"{top}.rfblock"
    shapes = conv_norm(f"{aspp}.conv1x1", skips[-1], channels)
    for branch in (1, 2, 3):
        shapes |= separable(f"{aspp}.aspp_bra{branch}", skips[-1], channels, group)
    shapes |= conv_norm(f"{aspp}.aspp_out", 4 * channels, channels)
    width = channels
    if family == "deeplabv3lite":
        shapes |= conv_norm(f"{top}.shortcut", skips[1], 48)
        width = channels + 48
    elif family == "unetlite":
        for place, skip in enumerate(skips[-2::-1], start=1):
            shapes |= separable(f"{top}.unet.smooth_convs.{place}", width + skip, max(skip, 32), group)
            width = max(skip, 32)
    else:
        for place, skip in enumerate(skips[3:0:-1], start=1):
            shapes |= separable(f"{top}.fpn.smooth_convs.{place}", channels, channels, group)
            shapes |= conv_norm(f"{top}.fpn.shortcuts.{place}", skip, channels)
    shapes |= conv_norm(f"{top}.pred.0", width // (width // group), width, 3)
    return {**shapes, f"{top}.pred.1.0.weight": (NUM_CLASSES, width, 1, 1)}


def random_tensor(key: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A weight or statistic far from its initial value."""
    if key.endswith("num_batches_tracked"):
        return torch.tensor(1234)
    if len(shape) == 4:
        return torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
    if key.endswith("running_var"):
        return torch.rand(shape, generator=generator) * 1.5 + 0.5
    if key.endswith(("running_mean", "bias")):
        return torch.randn(shape, generator=generator) * 0.3
    return torch.rand(shape, generator=generator) + 0.5


def random_state(spec: Spec) -> State:
    assert isinstance(spec, (DeepLabV3LiteSpec, UNetLiteSpec, FPNLiteSpec))
    encoder = torchvision_encoder(spec.encoder, 32).state_dict()
    shapes = {encoder_key(spec.encoder, key): tuple(value.shape) for key, value in encoder.items()}
    shapes |= decoder_shapes(str(spec.__struct_config__.tag), spec.encoder, spec.channels)
    generator = torch.Generator().manual_seed(17)
    return {key: random_tensor(key, shape, generator) for key, shape in shapes.items()}


class Original:
    """The original's forward pass in evaluation mode."""

    def __init__(self, state: State, spec: Spec) -> None:
        assert isinstance(spec, (DeepLabV3LiteSpec, UNetLiteSpec, FPNLiteSpec))
        self.state, self.spec = state, spec
        self.group = GROUP_SIZE[spec.encoder]
        self.family = str(spec.__struct_config__.tag)
        self.encoder = torchvision_encoder(spec.encoder, 16 if self.family == "deeplabv3lite" else 32)
        keys = self.encoder.state_dict()
        self.encoder.load_state_dict({key: state[encoder_key(spec.encoder, key)] for key in keys})

    def encode(self, x: Tensor) -> list[Tensor]:
        """Features of five strides, fine to coarse."""
        if self.spec.encoder == "regnetx_008":
            parts = [self.encoder.stem, *self.encoder.trunk_output]  # type: ignore[misc]
        else:  # blocks that are the last of their stride
            parts = [self.encoder[a:b] for a, b in ((0, 2), (2, 4), (4, 7), (7, 14), (14, 18))]  # type: ignore[index]
        features = []
        for part in parts:
            x = part(x)
            features.append(x)
        return features

    def conv_norm(
        self, x: Tensor, key: str, *, relu: bool = True, group: int | None = None, dilation: int = 1
    ) -> Tensor:
        s = self.state
        weight = s[f"{key}.0.weight"]
        groups = 1 if group is None else x.shape[1] // group
        x = F.conv2d(x, weight, padding=dilation * (weight.shape[-1] // 2), dilation=dilation, groups=groups)
        norm = [s[f"{key}.1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *norm, training=False, eps=1e-5)
        return F.relu(x) if relu else x

    def separable(self, x: Tensor, key: str, dilation: int = 1) -> Tensor:
        return self.conv_norm(self.conv_norm(x, f"{key}.0", group=self.group, dilation=dilation), f"{key}.1")

    def aspp(self, x: Tensor, key: str) -> Tensor:
        branches = [self.conv_norm(x, f"{key}.conv1x1")]
        branches += [self.separable(x, f"{key}.aspp_bra{n}", dilation=6 * n) for n in (1, 2, 3)]
        return self.conv_norm(torch.cat(branches, dim=1), f"{key}.aspp_out")

    def enlarge(self, x: Tensor, factor: int) -> Tensor:
        return F.interpolate(x, scale_factor=factor, mode="bilinear")

    def __call__(self, images: Tensor) -> Tensor:
        features = self.encode(images)
        if self.family == "deeplabv3lite":
            x = self.enlarge(self.aspp(features[-1], "decoders.0.aspp"), 4)
            x = torch.cat([x, self.conv_norm(features[1], "decoders.0.shortcut")], dim=1)
        else:
            x = self.aspp(features[-1], "decoders.0.rfblock")
        if self.family == "unetlite":
            for place, skip in enumerate(features[3::-1], start=1):
                x = torch.cat([self.enlarge(x, 2), skip], dim=1)
                x = self.separable(x, f"decoders.0.unet.smooth_convs.{place}")
        if self.family == "fpnlite":
            for place, skip in enumerate(features[3:0:-1], start=1):
                shortcut = self.conv_norm(skip, f"decoders.0.fpn.shortcuts.{place}")
                x = self.separable(self.enlarge(x, 2) + shortcut, f"decoders.0.fpn.smooth_convs.{place}")
        x = self.conv_norm(x, "decoders.0.pred.0", relu=False, group=self.group)
        x = F.conv2d(x, self.state["decoders.0.pred.1.0.weight"])
        return self.enlarge(x, images.shape[-1] // x.shape[-1])


@pytest.mark.parametrize("case", CASES)
def test_imported_weights_give_the_original_s_logits(case: str) -> None:
    spec = CASES[case]
    state = random_state(spec)
    model = build(spec)
    images = torch.randn(1, 3, 160, 320, generator=torch.Generator().manual_seed(5))  # rate 18 fits at stride 16

    report = import_weights(model, state, "edgeai")
    with torch.no_grad():
        logits, expected = model(images), Original(state, spec)(images)

    assert sorted(their_key for their_key, _ in report.mapped) == sorted(state)
    assert sorted(our_key for _, our_key in report.mapped) == sorted(model.state_dict())
    assert (report.dropped, report.missing, report.mismatched) == ((), (), ())
    assert logits.shape == expected.shape == (1, NUM_CLASSES, 160, 320)
    assert expected.std() > 0.1  # the comparison is of something
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_training_checkpoint_is_unwrapped() -> None:
    spec = CASES["fpnlite"]
    state = random_state(spec)

    report = import_weights(build(spec), {"epoch": 60, "state_dict": state, "quantize": False}, "edgeai")

    assert len(report.mapped) == len(state)


def test_another_family_is_named() -> None:
    state = random_state(CASES["unetlite"])

    with pytest.raises(CheckpointError, match=r"fpnlite .* unetlite") as raised:
        import_weights(build(CASES["fpnlite"]), state, "edgeai")

    assert raised.value.code == "K402"
    assert "unetlite" in raised.value.help


def test_weights_of_another_system_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"'decoders\.0\.fpn\.'.*backbone\.conv1\.weight") as raised:
        import_weights(build(CASES["fpnlite"]), {"backbone.conv1.weight": torch.zeros(1)}, "edgeai")

    assert raised.value.code == "K402"
    assert "`source`" in raised.value.help


def test_another_encoder_is_named() -> None:
    state = random_state(CASES["fpnlite over RegNetX"])

    with pytest.raises(CheckpointError, match=r"RegNetX .* 'mobilenetv2_100'") as raised:
        import_weights(build(CASES["fpnlite"]), state, "edgeai")

    assert raised.value.code == "K402"
    assert "model.encoder" in raised.value.help
