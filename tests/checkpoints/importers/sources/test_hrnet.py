"""Imported HRNet and OCR weights against an independent statement of the original, by its key names.

The reference for the encoder is timm's network, which has the same layers, once it enlarges as the original.
"""

from __future__ import annotations

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.recipes.families.hrnet import HRNetSpec, OCRNetSpec

SOURCE = "united-perception"
VARIANT, TIMM_NAME, JOINED = "w18-small-v1", "hrnet_w18_small", 240
CLASSES, MID, KEY = 5, 24, 16
HRNET = HRNetSpec(variant=VARIANT)
OCR = OCRNetSpec(variant=VARIANT, channels=MID, key_channels=KEY)

State = dict[str, Tensor]


def norm_keys(key: str, channels: int) -> dict[str, tuple[int, ...]]:
    names = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{key}.{name}": (channels,) for name in names}, f"{key}.num_batches_tracked": ()}


def head_keys(key: str) -> dict[str, tuple[int, ...]]:
    return {
        f"{key}.0.weight": (JOINED, JOINED, 1, 1),
        f"{key}.0.bias": (JOINED,),
        **norm_keys(f"{key}.1", JOINED),
        f"{key}.3.weight": (CLASSES, JOINED, 1, 1),
        f"{key}.3.bias": (CLASSES,),
    }


def ocr_keys() -> dict[str, tuple[int, ...]]:
    block = "decoder.ocr_distri_head.object_context_block"
    keys: dict[str, tuple[int, ...]] = {
        "decoder.conv3x3_ocr.0.weight": (MID, JOINED, 3, 3),
        "decoder.conv3x3_ocr.0.bias": (MID,),
        **norm_keys("decoder.conv3x3_ocr.1", MID),
    }
    for name in ("f_pixel", "f_object"):
        keys |= {f"{block}.{name}.0.weight": (KEY, MID, 1, 1), **norm_keys(f"{block}.{name}.1", KEY)}
        keys |= {f"{block}.{name}.3.weight": (KEY, KEY, 1, 1), **norm_keys(f"{block}.{name}.4", KEY)}
    keys |= {f"{block}.f_down.0.weight": (KEY, MID, 1, 1), **norm_keys(f"{block}.f_down.1", KEY)}
    keys |= {f"{block}.f_up.0.weight": (MID, KEY, 1, 1), **norm_keys(f"{block}.f_up.1", MID)}
    fusion = "decoder.ocr_distri_head.conv_bn_dropout"
    keys |= {f"{fusion}.0.weight": (MID, 2 * MID, 1, 1), **norm_keys(f"{fusion}.1", MID)}
    keys |= {"decoder.cls_head.weight": (CLASSES, MID, 1, 1), "decoder.cls_head.bias": (CLASSES,)}
    return keys | head_keys("decoder.aux_head")


def random_state(shapes: dict[str, tuple[int, ...]]) -> State:
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
            state[key] = torch.rand(shape, generator=generator) + 0.5
    return state


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """The original's encoder: timm's, with bilinear interpolation of aligned corners."""
    timm = pytest.importorskip("timm")
    network = timm.create_model(TIMM_NAME, features_only=True, feature_location="", out_indices=(1, 2, 3, 4))
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Upsample):
                setattr(parent, name, nn.UpsamplingBilinear2d(scale_factor=child.scale_factor))  # type: ignore[arg-type]
    return network.eval()


@pytest.fixture(scope="module")
def encoder_keys(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {f"encoder.{key}": tuple(value.shape) for key, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def hrnet_state(encoder_keys: dict[str, tuple[int, ...]]) -> State:
    return random_state(encoder_keys | head_keys("decoder.last_layer"))


@pytest.fixture(scope="module")
def ocr_state(encoder_keys: dict[str, tuple[int, ...]]) -> State:
    return random_state(encoder_keys | ocr_keys())


class Original:
    """The original's forward pass in evaluation mode; the heads with functions only."""

    def __init__(self, state: State, network: nn.Module) -> None:
        self.state = state
        self.network = network
        network.load_state_dict({k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")})

    def conv(self, x: Tensor, key: str, first: int = 0) -> Tensor:
        """Convolution, normalisation, ReLU: members first, first + 1, first + 2 of a sequence."""
        s, norm = self.state, f"decoder.{key}.{first + 1}"
        weight = s[f"decoder.{key}.{first}.weight"]
        x = F.conv2d(x, weight, s.get(f"decoder.{key}.{first}.bias"), padding=weight.shape[-1] // 2)
        mean, var = s[f"{norm}.running_mean"], s[f"{norm}.running_var"]
        return F.relu(F.batch_norm(x, mean, var, s[f"{norm}.weight"], s[f"{norm}.bias"], eps=1e-5))

    def classify(self, x: Tensor, key: str) -> Tensor:
        return F.conv2d(x, self.state[f"decoder.{key}.weight"], self.state[f"decoder.{key}.bias"])

    def ocr(self, joined: Tensor) -> Tensor:
        block = "ocr_distri_head.object_context_block"
        regions = self.classify(self.conv(joined, "aux_head"), "aux_head.3")
        pixels = self.conv(joined, "conv3x3_ocr")
        shares = regions.flatten(2).softmax(2)
        proxy = torch.einsum("bkn,bcn->bck", shares, pixels.flatten(2)).unsqueeze(3)
        query = self.conv(self.conv(pixels, f"{block}.f_pixel"), f"{block}.f_pixel", 3).flatten(2)
        key = self.conv(self.conv(proxy, f"{block}.f_object"), f"{block}.f_object", 3).flatten(2)
        value = self.conv(proxy, f"{block}.f_down").flatten(2)
        attention = (torch.einsum("bcn,bck->bnk", query, key) / math.sqrt(KEY)).softmax(2)
        context = torch.einsum("bnk,bck->bcn", attention, value).view(1, KEY, *pixels.shape[2:])
        joint = torch.cat([self.conv(context, f"{block}.f_up"), pixels], dim=1)
        return self.classify(self.conv(joint, "ocr_distri_head.conv_bn_dropout"), "cls_head")

    def __call__(self, images: Tensor) -> Tensor:
        scales = self.network(images)
        joined = torch.cat([enlarged(scale, scales[0]) for scale in scales], dim=1)
        if "decoder.cls_head.weight" in self.state:
            logits = self.ocr(joined)
        else:
            logits = self.classify(self.conv(joined, "last_layer"), "last_layer.3")
        return enlarged(logits, images)


def enlarged(maps: Tensor, other: Tensor) -> Tensor:
    return F.interpolate(maps, size=other.shape[-2:], mode="bilinear", align_corners=True)


@pytest.mark.parametrize(("spec", "state_name"), [(HRNET, "hrnet_state"), (OCR, "ocr_state")])
def test_imported_weights_give_the_original_s_logits(
    spec: HRNetSpec | OCRNetSpec, state_name: str, network: nn.Module, request: pytest.FixtureRequest
) -> None:
    state: State = request.getfixturevalue(state_name)
    model = build_model(spec, CLASSES).eval()
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(5))

    report = import_weights(model, state, SOURCE)
    with torch.no_grad():
        logits, expected = model(images), Original(state, network)(images)

    assert (report.dropped, report.missing, report.mismatched) == ((), (), ())
    assert [their_key for their_key, _ in report.mapped] == list(state)
    assert sorted(our_key for _, our_key in report.mapped) == sorted(model.state_dict())
    assert expected.std() > 0.1  # the comparison is of something
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_the_running_average_of_a_training_file_is_taken(hrnet_state: State) -> None:
    worse = {f"module.{key}": torch.zeros_like(value) for key, value in hrnet_state.items()}
    file = {"epoch": 180, "model": worse, "ema": {"ema_state_dict": hrnet_state, "decay": 0.9998}}
    model = build_model(HRNET, CLASSES)

    report = import_weights(model, file, SOURCE)

    assert torch.equal(model.state_dict()["head.classifier.weight"], hrnet_state["decoder.last_layer.3.weight"])
    (note,) = report.notes
    assert "'ema_state_dict'" in note or "'ema'" in note


def official(state: State) -> State:
    """The same weights as HRNet-Semantic-Segmentation saves them."""
    renamed = {}
    for key, value in state.items():
        name = re.sub(r"^(encoder|decoder)\.", "model.", key)
        name = re.sub(
            r"\.(f_\w+|conv_bn_dropout)\.(1|4)\.", lambda m: f".{m[1]}.{'1' if m[2] == '1' else '3'}.0.", name
        )
        name = re.sub(r"\.(f_pixel|f_object)\.3\.weight", r".\1.2.weight", name)
        renamed[name] = value
    return {**renamed, "loss.criterion.weight": torch.ones(CLASSES)}


def test_files_of_the_official_code_are_read_too(ocr_state: State) -> None:
    theirs = official(ocr_state)
    assert "model.ocr_distri_head.object_context_block.f_pixel.2.weight" in theirs
    assert "model.ocr_distri_head.object_context_block.f_pixel.3.0.weight" in theirs
    model, expected = build_model(OCR, CLASSES), build_model(OCR, CLASSES)

    report = import_weights(model, theirs, SOURCE)
    import_weights(expected, ocr_state, SOURCE)

    weights = expected.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert report.dropped == ("loss.criterion.weight",)


def test_weights_of_the_other_head_are_refused(hrnet_state: State) -> None:
    with pytest.raises(CheckpointError, match=r"OCR head.* ocrnet") as error:
        import_weights(build_model(OCR, CLASSES), hrnet_state, SOURCE)

    assert error.value.code == "K402"
    assert "family hrnet" in error.value.help


@pytest.mark.heavy
def test_weights_of_another_variant_are_refused_by_name(hrnet_state: State) -> None:
    with torch.device("meta"):
        model = build_model(HRNetSpec(variant="w18"), CLASSES)

    with pytest.raises(CheckpointError, match=r"w18-small-v1\W.* w18\n") as error:
        import_weights(model, hrnet_state, SOURCE)

    assert error.value.code == "K402"
    assert "model.variant=w18-small-v1" in error.value.help


def test_other_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"HRNet.*'encoder\.transition1\.0\.0\.weight'.*backbone\.conv1") as error:
        import_weights(build_model(HRNET, CLASSES), {"backbone.conv1.weight": torch.zeros(1)}, SOURCE)

    assert error.value.code == "K402"
    assert "`source`" in error.value.help


def test_weights_of_a_segformer_of_the_same_source_are_refused_with_the_way_out() -> None:
    state = {"encoder.layers.0.0.projection.weight": torch.zeros(1), "decoder.conv_seg.weight": torch.zeros(1)}

    with pytest.raises(CheckpointError, match=r"HRNet.*'encoder\.transition1\.0\.0\.weight'") as error:
        import_weights(build_model(HRNET, CLASSES), state, SOURCE)

    assert error.value.code == "K402"
    assert "family segformer" in error.value.help
