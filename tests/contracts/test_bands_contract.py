"""Every family accepts any number of bands: the layers after the first block are the same as for RGB."""

from __future__ import annotations

import functools
import itertools

import msgspec
import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.building import BUILDERS
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.deeplabv3 import DeepLabV3Spec
from pixelwise.recipes.families.deeplabv3plus import DeepLabV3PlusSpec
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.fpn import FPNSpec
from pixelwise.recipes.families.hrnet import HRNetSpec, OCRNetSpec
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.families.lite import DeepLabV3LiteSpec, FPNLiteSpec, UNetLiteSpec
from pixelwise.recipes.families.lraspp import LRASPPSpec
from pixelwise.recipes.families.pspnet import PSPNetSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.families.real_time.erfnet import ERFNetSpec
from pixelwise.recipes.families.real_time.swiftnet import SwiftNetSpec
from pixelwise.recipes.families.segformer import SegFormerSpec
from pixelwise.recipes.families.tf_deeplab import TFDeepLabSpec
from pixelwise.recipes.families.unet import UNetSpec
from pixelwise.recipes.schema.model import SPECS as FAMILIES
from pixelwise.recipes.schema.model import Preprocessing, Spec
from pixelwise.testing import check_model

SMALL = "mobilenetv3_small_050"
SPECS: dict[str, Spec] = {
    "enet": ENetSpec(),
    "enet, overlapping": ENetSpec(graph="overlapping"),
    "erfnet": ERFNetSpec(),
    "unet": UNetSpec(encoder=SMALL, decoder_channels=(8, 8)),
    "fcn": FCNSpec(encoder=SMALL, channels=8),
    "psp": PSPNetSpec(encoder=SMALL, channels=8),
    "deeplabv3": DeepLabV3Spec(encoder=SMALL, channels=8, rates=(2, 4, 6)),
    "deeplabv3+": DeepLabV3PlusSpec(encoder=SMALL, rates=(2, 4, 6)),
    "fpn": FPNSpec(encoder=SMALL, channels=8, head_channels=8),
    "linear": LinearSpec(encoder=SMALL),
    "linear over a plain transformer": LinearSpec(encoder="vit_tiny_patch16_224"),
    "lraspp": LRASPPSpec(encoder=SMALL, channels=8),
    "lraspp over the dilated MobileNetV3": LRASPPSpec(encoder="mobilenet_v3_large_dilated"),
    "segformer": SegFormerSpec(encoder="mit_b0"),
    "segformer over a timm encoder": SegFormerSpec(encoder=SMALL, channels=8),
    "hrnet": HRNetSpec(variant="w18-small-v2"),
    "ocrnet": OCRNetSpec(variant="w18-small-v2"),
    "swiftnet": SwiftNetSpec(encoder="resnet18"),
    "swiftnet over MobileNetV2": SwiftNetSpec(encoder="mobilenetv2_100"),
    "unetlite": UNetLiteSpec(),
    "fpnlite": FPNLiteSpec(),
    "deeplabv3lite": DeepLabV3LiteSpec(),
    "tf-deeplab over MobileNet": TFDeepLabSpec(encoder="mobilenetv3_large_seg", output_stride=32),
    "tf-deeplab over Xception": TFDeepLabSpec(encoder="xception65", output_stride=16),
}
SPECS |= {family: spec() for family, spec in FAMILIES.own().items() if spec not in map(type, SPECS.values())}
OWN_STEMS = ("enet", "enet, overlapping", "erfnet", "linear", "linear over a plain transformer", "segformer")
LARGE = ("hrnet", "ocrnet", "swiftnet", "tf-deeplab over Xception")


def with_channels(spec: Spec, channels: int) -> Spec:
    preprocessing = Preprocessing(mean=(0.4,) * channels, std=(0.2,) * channels)
    return msgspec.structs.replace(spec, preprocessing=preprocessing)


def on_meta(spec: Spec) -> SegmentationModel:
    with torch.device("meta"):
        return build_model(spec, 5)


def shapes(model: SegmentationModel) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def test_every_family_is_asked() -> None:
    assert {spec.family for spec in SPECS.values()} == set(BUILDERS.own())


HEAVY = [pytest.param(1, marks=pytest.mark.heavy), 4, pytest.param(12, marks=pytest.mark.heavy)]


@functools.cache
def rgb_shapes(name: str) -> dict[str, tuple[int, ...]]:
    return shapes(on_meta(SPECS[name]))


@pytest.mark.parametrize("channels", HEAVY)
@pytest.mark.parametrize("name", SPECS)
def test_other_channels_change_the_first_weights_only(name: str, channels: int) -> None:
    rgb, other = rgb_shapes(name), shapes(on_meta(with_channels(SPECS[name], channels)))
    assert list(other) == list(rgb)
    changed = [key for key in rgb if other[key] != rgb[key]]
    # ENet and ERFNet join the image to what the first block convolves, so there its outputs change too.
    joined = SPECS[name].family in ("enet", "erfnet")
    assert changed[0] in list(rgb)[:12]
    assert len(changed) == (2 if name == "erfnet" else 1)
    outputs = 16 - channels if joined else rgb[changed[0]][0]
    assert other[changed[0]][:2] == (outputs, channels)


@pytest.mark.parametrize("channels", [1, 12])
@pytest.mark.parametrize("name", OWN_STEMS)
def test_images_of_one_and_of_twelve_bands_give_logits_of_their_size(name: str, channels: int) -> None:
    model = build_model(with_channels(SPECS[name], channels), 5).eval()
    with torch.no_grad():
        assert model(torch.rand(1, channels, 33, 47)).shape == (1, 5, 33, 47)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=() if name in OWN_STEMS else pytest.mark.heavy) for name in SPECS if name not in LARGE
])  # fmt: skip
def test_a_small_network_of_four_bands_keeps_the_contract(name: str) -> None:
    check_model(with_channels(SPECS[name], 4), heavy=False)


@pytest.mark.heavy
@pytest.mark.parametrize("name", LARGE)
def test_more_channels_cost_what_the_first_convolution_does_more(name: str) -> None:
    costs = []
    for channels in (3, 4, 5):
        with torch.device("meta"):
            costs.append(complexity(build_model(with_channels(SPECS[name], channels), 5), 64, 64))
    differences = {(after.parameters - before.parameters, after.macs - before.macs)
                   for before, after in itertools.pairwise(costs)}  # fmt: skip
    ((parameters, macs),) = differences
    assert parameters > 0
    assert macs == parameters * 32 * 32  # each weight of a stem of stride 2 works once per output pixel


@pytest.mark.parametrize("spec", [ENetSpec(), ERFNetSpec()])
def test_a_first_block_that_joins_the_image_refuses_more_channels_than_it_has(spec: Spec) -> None:
    assert len(shapes(on_meta(with_channels(spec, 15)))) > 100
    with pytest.raises(RecipeError, match=r"\b16 channels.* has 16\b(.|\n)*data\.channels") as caught:
        on_meta(with_channels(spec, 16))
    assert caught.value.code == "R203"


@pytest.mark.parametrize("name", ["linear", "segformer", "linear over a plain transformer", "erfnet"])
def test_weights_behind_the_first_ones_are_drawn_as_many_times_for_rgb_as_ever(name: str) -> None:
    torch.manual_seed(3)
    default = build_model(SPECS[name], 5).state_dict()
    torch.manual_seed(3)
    named = build_model(with_channels(SPECS[name], 3), 5).state_dict()
    assert all(torch.equal(default[key], named[key]) for key in default)


def test_check_model_finds_a_network_that_takes_other_channels_than_it_says() -> None:
    broken = build_model(SPECS["linear"], 5)
    broken.spec = with_channels(SPECS["linear"], 4)
    broken.preprocessing = broken.spec.preprocessing
    with pytest.raises(AssertionError, match=r"an image of \(1, 1\) fails"):
        check_model(broken, heavy=False)
