"""UPerNet against Hugging Face's, with the same weights; see `write_upernet_originals.py`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from upernet_originals import compared_heads, network

from pixelwise.errors import RecipeError
from pixelwise.layers.convolutions import ConvNormActivation
from pixelwise.models import build_model
from pixelwise.models.upernet import UPerNetHead
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.upernet import UPerNetSpec
from pixelwise.testing import check_model


@pytest.mark.parametrize("name", ["swin", "convnext"])
def test_all_logits_are_the_original_s_in_evaluation_and_in_training(name: str) -> None:
    # At sizes that are multiples of neither 4, 7 nor 32, too; in training, the auxiliary head follows.
    assert compared_heads(name) == {"eval": 1, "train": 2}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("encoder", "parameters", "auxiliary", "gmacs"),
    [
        # Counted on transformers 5.24.0, without the normalisation after Swin's last stage, which no logit needs.
        ("swin_tiny", 59_941_862, 923_798, 236.865),
        ("swin_small", 81_259_766, 923_798, 260.584),
        ("swin_base", 121_279_716, 1_218_710, 298.984),
        ("convnext_tiny", 60_242_636, 923_798, 234.636),
        ("convnext_small", 81_877_196, 923_798, 256.726),
        ("convnext_base", 122_102_956, 1_218_710, 292.356),
    ],
)
def test_parameters_and_multiplications_are_the_original_s(
    encoder: str, parameters: int, auxiliary: int, gmacs: float
) -> None:
    with torch.device("meta"):
        with_auxiliary = build_model(UPerNetSpec(encoder=encoder, auxiliary_channels=256), 150)
        without = build_model(UPerNetSpec(encoder=encoder), 150)

    counted = complexity(with_auxiliary, 512, 512)
    assert (counted.parameters, counted.auxiliary_parameters) == (parameters, auxiliary)
    assert sum(one.numel() for one in without.parameters()) == parameters - auxiliary
    assert counted.gmacs == pytest.approx(gmacs, rel=1e-3)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["swin", "convnext"])
def test_small_networks_keep_the_contract(name: str) -> None:
    check_model(network(name).float())


def test_the_pyramid_adds_from_coarse_to_fine_and_joins_from_fine_to_coarse() -> None:
    head = UPerNetHead((1, 1, 1), 1, (1,), 1).eval()
    for part in (*head.laterals, *head.smoothing):
        assert isinstance(part, ConvNormActivation)
        nn.init.dirac_(part.conv.weight)
        part.norm = nn.Identity()  # type: ignore[assignment]
    head.pooling = nn.Identity()  # type: ignore[assignment]
    seen: list[Tensor] = []
    head.fusion.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))

    head([torch.full((1, 1, side, side), value) for side, value in ((4, 1.0), (2, 10.0), (1, 100.0))])

    assert seen[0][0, :, 0, 0].tolist() == [111, 110, 100]
    assert seen[0].shape == (1, 3, 4, 4)


@pytest.mark.parametrize(("name", "eps"), [("swin", 1e-5), ("convnext", 1e-6)])
def test_feature_maps_are_normalised_with_the_encoder_s_epsilon(name: str, eps: float) -> None:
    norms = network(name).feature_norms
    assert [norm.eps for norm in norms] == [eps] * 4  # type: ignore[union-attr]


@pytest.mark.heavy
def test_an_encoder_s_features_can_be_left_as_they_are() -> None:
    with torch.device("meta"):
        plain = build_model(UPerNetSpec(encoder="resnet18", channels=8, normalize_features=False), 3)
        normalised = build_model(UPerNetSpec(encoder="resnet18", channels=8), 3)
    assert not plain.feature_norms
    assert [norm.eps for norm in normalised.feature_norms] == [1e-6] * 4  # type: ignore[union-attr]


@pytest.mark.heavy
def test_images_skip_blocks_of_swin_and_convnext() -> None:
    with torch.device("meta"):
        swin = build_model(UPerNetSpec(encoder="swin_tiny", drop_path=0.3, channels=8), 3)
        convnext = build_model(UPerNetSpec(encoder="convnext_atto", drop_path=0.3, channels=8), 3)
    assert max(getattr(module, "drop_path", 0.0) for module in swin.modules()) == pytest.approx(0.3)
    assert max(getattr(module, "drop_prob", 0.0) for module in convnext.modules()) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("values", "message", "code"),
    [
        ({"encoder": "mit_b0", "drop_path": 0.3}, "'mit_b0' cannot skip blocks", "R207"),
        ({"encoder": "vgg11", "drop_path": 0.3}, "'vgg11' cannot skip blocks", "R207"),
        ({"drop_path": 1.0}, r"model\.drop_path is 1\.0", "R203"),
        ({"bins": (0, 1)}, r"model\.bins is \[0, 1\]", "R203"),
    ],
)
def test_what_cannot_be_built_is_refused(values: dict[str, object], message: str, code: str) -> None:
    with torch.device("meta"), pytest.raises(RecipeError, match=message) as caught:
        build_model(UPerNetSpec(**values), 3)  # type: ignore[arg-type]
    assert caught.value.code == code
