"""An encoder's tensors are found wherever they lie in a file; those of another network are not taken for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor

from pixelwise.backbones.building import build_encoder
from pixelwise.checkpoints.encoders.fitting import Fit, NoFit, fit
from pixelwise.models import build_model
from pixelwise.recipes.families.unet import UNetSpec

State = dict[str, Tensor]


def whole(name: str, seed: int = 3, **options: object) -> State:
    torch.manual_seed(seed)
    return timm.create_model(name, pretrained=False, **options).state_dict()


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {f"{prefix}{key}": value for key, value in state.items()}


PLACES: dict[str, Callable[[State], State]] = {
    "alone": lambda state: state,
    "without a classifier": lambda state: {
        k: v for k, v in state.items() if not k.startswith(("fc.", "head.", "class"))
    },
    "in a network": lambda state: {**prefixed("encoder.")(state), "decoder.0.0.weight": torch.zeros(2, 2, 3, 3)},
    "in a network in a class": prefixed("model.backbone."),
    "beside another head": lambda state: {**prefixed("backbone.")(state), "decode_head.conv.weight": torch.zeros(1)},
    "deep": prefixed("a.b.c.d.e.f.g."),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224"])
def test_they_are_found_at_any_place(name: str, place: str) -> None:
    state = whole(name)
    encoder = build_encoder(name)

    found = fit(encoder, PLACES[place](state))

    own = encoder.state_dict()
    assert set(found.tensors) <= set(own)
    assert len(found.tensors) > 50
    values = {id(value) for value in state.values()}
    assert all(id(value) in values for value in found.tensors.values())
    # Loading them is strict about everything that is trained beforehand.
    left = [key for key in own if key not in found.tensors and not key.endswith("num_batches_tracked")]
    assert all(key.startswith(encoder.untrained or "nothing") for key in left)


def test_an_encoder_out_of_a_network_of_this_program_is_found() -> None:
    torch.manual_seed(1)
    trained = build_model(UNetSpec(encoder="convnext_atto", decoder_channels=(8,)), 2)
    encoder = build_encoder("convnext_atto")

    found = fit(encoder, trained.state_dict())

    assert len(found.tensors) > 50
    assert all(torch.equal(found.tensors[key], trained.state_dict()[f"encoder.{key}"]) for key in found.tensors)


@pytest.mark.parametrize(
    ("encoder", "file", "message"),
    [
        ("resnet18", "resnet34", r"40|larger network"),
        ("resnet50", "resnet101", r"layer3\.6\.\S+: it is of a larger network"),
        ("resnet18", "resnet50", r"another shape, for example network\.layer1"),
        ("resnet50", "resnet18", r"it lacks \d+"),
        ("vit_tiny_patch16_224", "vit_small_patch16_224", "another shape"),
        ("resnet18", "convnext_atto", r"none of its tensors is one of the encoder's; its first are stem\.0\.weight"),
        ("efficientnet_lite0", "mobilenetv3_small_050", "another shape|it lacks"),
    ],
)
def test_another_network_is_refused(encoder: str, file: str, message: str) -> None:
    with pytest.raises(NoFit, match=message):
        fit(build_encoder(encoder), whole(file))


def test_padding_that_differs_is_refused_with_the_encoder_that_fits() -> None:
    torchvision = pytest.importorskip("torchvision")
    state = torchvision.models.efficientnet_b0(weights=None).state_dict()

    with pytest.raises(NoFit, match=r"choose model\.encoder=efficientnet_b0"):
        fit(build_encoder("tf_efficientnet_b0"), state)


def test_a_running_average_beside_the_raw_weights_is_preferred() -> None:
    raw, average = whole("resnet18", 1), whole("resnet18", 2)

    found = fit(build_encoder("resnet18"), {**prefixed("model.")(raw), **prefixed("ema_model.")(average)})

    assert torch.equal(found.tensors["network.conv1.weight"], average["conv1.weight"])
    assert "running average" in " ".join(found.notes)


def test_two_encoders_with_other_values_are_not_chosen_from() -> None:
    first, second = whole("resnet18", 1), whole("resnet18", 2)

    with pytest.raises(NoFit, match=r"several encoders that fit, under 'left\.' and 'right\.'"):
        fit(build_encoder("resnet18"), {**prefixed("left.")(first), **prefixed("right.")(second)})
    same: Fit = fit(build_encoder("resnet18"), {**prefixed("left.")(first), **prefixed("right.")(first)})
    assert torch.equal(same.tensors["network.conv1.weight"], first["conv1.weight"])


def test_a_transformer_that_normalises_the_mean_gives_that_normalisation_to_its_patches() -> None:
    state = whole("eva02_tiny_patch14_224")

    found = fit(build_encoder("eva02_tiny_patch14_224"), state)

    assert torch.equal(found.tensors["network.norm.weight"], state["fc_norm.weight"])


def test_other_channels_than_rgb_get_the_weights_of_rgb() -> None:
    state = whole("resnet18")

    found = fit(build_encoder("resnet18", in_channels=4), state)

    assert found.tensors["network.conv1.weight"].shape[1] == 4
    torch.testing.assert_close(found.tensors["network.conv1.weight"][:, 3], state["conv1.weight"][:, 0] * 0.75)
