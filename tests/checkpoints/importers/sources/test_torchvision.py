"""The imported networks against torchvision itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.errors import CheckpointError
from pixelwise.models.base import SegmentationModel
from pixelwise.models.deeplabv3 import DeepLabV3
from pixelwise.models.fcn import FCN
from pixelwise.models.lraspp import LRASPP
from pixelwise.recipes.families.deeplabv3 import DeepLabV3Spec
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.lraspp import LRASPPSpec

segmentation = pytest.importorskip("torchvision.models.segmentation")

MOBILENET = "mobilenet_v3_large_dilated"
CASES: dict[str, tuple[type[SegmentationModel], Any]] = {
    "fcn_resnet50": (FCN, FCNSpec(output_stride=8, convolutions=1, auxiliary_channels=256)),
    "deeplabv3_resnet50": (DeepLabV3, DeepLabV3Spec(output_stride=8, auxiliary_channels=256)),
    "deeplabv3_mobilenet_v3_large": (
        DeepLabV3,
        DeepLabV3Spec(encoder=MOBILENET, auxiliary_channels=10, auxiliary_feature=2),
    ),
    "lraspp_mobilenet_v3_large": (LRASPP, LRASPPSpec()),
}
"""torchvision's name -> the same network of ours."""
AUXILIARY_FEATURE = {"deeplabv3_mobilenet_v3_large": 2}


def ours(name: str, spec: Any = None) -> SegmentationModel:
    """Without values: an import has to give all of them."""
    family, published = CASES[name]
    with torch.device("meta"):
        model = family(spec or published, [f"class_{index}" for index in range(5)])
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.zero_()
    return model.eval()


def theirs(name: str) -> nn.Module:
    """With random weights, and statistics far from their initial values."""
    options = {} if name.startswith("lraspp") else {"aux_loss": True}
    with torch.device("meta"):
        model = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=5, **options)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(3)
    for key, tensor in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif tensor.ndim == 4:
            tensor.normal_(std=math.sqrt(2 / math.prod(tensor.shape[1:])), generator=generator)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 2.0, generator=generator)
        elif key.endswith(("running_mean", "bias")):
            tensor.normal_(std=0.3, generator=generator)
        else:
            tensor.uniform_(0.5, 1.0, generator=generator)
    return model.eval()


def assert_equal_logits(logits: Tensor, expected: Tensor) -> None:
    assert logits.shape == expected.shape
    assert expected.std() > 0.01 * expected.abs().max()  # the comparison is of something
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.heavy
@pytest.mark.parametrize("name", CASES)
def test_imported_weights_give_torchvision_s_logits(name: str) -> None:
    original, model = theirs(name), ours(name)

    report = import_weights(model, original.state_dict(), "torchvision")

    assert sorted(our_key for _, our_key in report.mapped) == sorted(model.state_dict())
    assert [their_key for their_key, _ in report.mapped] == list(original.state_dict())
    assert (report.dropped, report.missing, report.notes) == ((), (), ())
    for size in ((64, 64), (65, 97), (33, 47)):
        images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            expected = original(images)
            assert_equal_logits(model(images), expected["out"])
            if "aux" in expected:
                features = model.encoder(images)[AUXILIARY_FEATURE.get(name, -2)]  # type: ignore[operator]
                auxiliary = F.interpolate(model.auxiliary(features), size=size, mode="bilinear")  # type: ignore[operator]
                assert_equal_logits(auxiliary, expected["aux"])


def test_normalisations_are_torchvision_s_in_training_too() -> None:
    name = "deeplabv3_mobilenet_v3_large"

    def settings(model: nn.Module) -> list[tuple[int, float, float | None]]:
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        return sorted((norm.num_features, norm.eps, norm.momentum or 0.0) for norm in norms)

    with torch.device("meta"):
        original = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=5, aux_loss=True)
        model = DeepLabV3(CASES[name][1], ("a", "b"))

    assert settings(model) == settings(original)


def test_an_auxiliary_head_that_the_model_lacks_is_dropped_and_said() -> None:
    name = "deeplabv3_mobilenet_v3_large"
    state = theirs(name).state_dict()

    report = import_weights(ours(name, DeepLabV3Spec(encoder=MOBILENET)), state, "torchvision")

    assert set(report.dropped) == {key for key in state if key.startswith("aux_classifier.")}
    (note,) = report.notes
    assert "auxiliary head" in note


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("fcn_resnet50", FCNSpec(encoder=MOBILENET, convolutions=1), r"lraspp .* fcn\n"),
        ("deeplabv3_resnet50", DeepLabV3Spec(output_stride=8), r"lraspp .* deeplabv3\n"),
        ("lraspp_mobilenet_v3_large", LRASPPSpec(encoder="resnet18"), "dilated MobileNetV3-Large.* 'resnet18'"),
        ("lraspp_mobilenet_v3_large", LRASPPSpec(encoder="mobilenetv3_large_100"), "dilated MobileNetV3-Large"),
    ],
)
def test_weights_of_another_network_are_refused(name: str, spec: Any, message: str) -> None:
    state = {"backbone.0.0.weight": torch.zeros(1), "classifier.cbr.0.weight": torch.zeros(1)}

    with pytest.raises(CheckpointError, match=message) as caught:
        import_weights(ours(name, spec), state, "torchvision")

    assert caught.value.code == "K402"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (DeepLabV3Spec(output_stride=8, rates=(6, 12, 18)), r"rates \[12, 24, 36\].* \[6, 12, 18\]"),
        (DeepLabV3Spec(output_stride=16), "output stride 8.* 16"),
        (DeepLabV3Spec(encoder="resnet101", output_stride=8), "6 blocks.* 'resnet101' 23"),
        (DeepLabV3Spec(encoder=MOBILENET), "ResNet.* 'mobilenet_v3_large_dilated'"),
    ],
)
def test_a_model_that_would_compute_something_else_from_the_weights_is_refused(spec: Any, message: str) -> None:
    state = {f"backbone.layer3.{index}.bn1.bias": torch.zeros(1) for index in range(6)}
    state |= {"backbone.conv1.weight": torch.zeros(1), "classifier.0.project.0.weight": torch.zeros(1)}

    with pytest.raises(CheckpointError, match=message) as caught:
        import_weights(ours("deeplabv3_resnet50", spec), state, "torchvision")

    assert caught.value.code == "K402"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["a", "b"], r"torchvision .*classifier\.cbr\..* a, b\n"),
        (["classifier.cbr.0.weight"], r"'backbone\.conv1\.weight' .*'backbone\.0\.0\.weight'"),
    ],
)
def test_what_torchvision_did_not_write_is_refused(keys: list[str], message: str) -> None:
    state = {key: torch.zeros(1) for key in keys}

    with pytest.raises(CheckpointError, match=message) as caught:
        import_weights(ours("lraspp_mobilenet_v3_large"), state, "torchvision")

    assert caught.value.code == "K402"
