"""DPT against Hugging Face's, with the same weights; see `write_dpt_originals.py`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dpt_originals import compared_logits, network
from torch import nn

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.dpt import Fusion
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.dpt import DPTSpec
from pixelwise.testing import check_model


@pytest.mark.parametrize(("name", "modes"), [("vit", ["eval", "train", "image"]), ("dinov2", ["eval", "train"])])
def test_logits_are_the_original_s_in_evaluation_and_in_training(name: str, modes: list[str]) -> None:
    assert compared_logits(name) == modes


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("encoder", "reassembled", "parameters", "gmacs"),
    [
        # Counted on transformers 5.24.0, without the residual unit of the coarsest map and the last normalisation,
        # which no logit depends on, and with the position embeddings of images of 224x224.
        ("vit_base_patch16_224", (96, 192, 384, 768), 109_705_046, 219.359),
        ("vit_large_patch16_224", (256, 512, 1024, 1024), 341_759_638, 493.519),
    ],
)
def test_parameters_and_multiplications_are_the_original_s(
    encoder: str, reassembled: tuple[int, ...], parameters: int, gmacs: float
) -> None:
    spec = DPTSpec(
        encoder=encoder, normalize_features=False, readout="project", reassembled=reassembled, channels=256
    )  # fmt: skip
    with torch.device("meta"):
        counted = complexity(build_model(spec, 150), 512, 512)
    assert counted.parameters == parameters
    assert counted.gmacs == pytest.approx(gmacs, rel=1e-3)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["vit", "dinov2"])
def test_small_networks_keep_the_contract(name: str) -> None:
    check_model(network(name).float())


def test_what_was_fused_is_added_to_the_next_map_and_takes_the_size_of_the_one_after_it() -> None:
    fusion = Fusion(1, first=False).eval()
    for part in (fusion.lateral, fusion.unit):
        assert part is not None
        nn.init.zeros_(part.layers[1].weight)  # type: ignore[arg-type]  # each unit returns its input
    nn.init.ones_(fusion.project.weight)
    fused, here = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[10.0, 20.0]]]])

    following = fusion(fused, here, torch.zeros(1, 1, 1, 3))
    twice = fusion(fused, here, None)

    # With aligned corners, the values in between are those of a straight line from 10 to 22.
    assert following.flatten().tolist() == [10, 16, 22]
    assert twice[0, 0].tolist() == [[pytest.approx(value) for value in (10, 14, 18, 22)]] * 2


def test_logits_cover_images_whose_grid_of_patches_is_odd_at_stride_2() -> None:
    model = network("vit").float().eval()
    with torch.no_grad():
        (logits,) = model.head_logits(torch.rand(1, 3, 33, 70))
    assert logits.shape == (1, 5, 17, 35)


@pytest.mark.parametrize(
    ("values", "message", "code"),
    [
        ({"taps": (0, 1, 2)}, r"model\.taps is \[0, 1, 2\]; expected 4 values", "R203"),
        ({"taps": (0, 1, 2, 12)}, r"expected blocks of 'vit_tiny_patch16_224', 0\.\.11", "R203"),
        ({"taps": (0, 2, 2, 3)}, "in increasing order", "R203"),
        ({"reassembled": (0, 1, 2, 3)}, r"model\.reassembled is \[0, 1, 2, 3\]", "R203"),
        ({"channels": 0}, r"model\.channels is \[0\]", "R203"),
        ({"encoder": "resnet18"}, "'resnet18' is not a plain vision transformer", "R207"),
        ({"encoder": "vit_base_patch4_nowhere"}, "no encoder is named", "R207"),
        ({"encoder": "vit_base_patch16_siglip_224", "readout": "project"}, "has no class token", "R207"),
    ],
)
def test_what_cannot_be_built_is_refused(values: dict[str, Any], message: str, code: str) -> None:
    with torch.device("meta"), pytest.raises(RecipeError, match=message) as caught:
        build_model(DPTSpec(**{"encoder": "vit_tiny_patch16_224", **values}), 3)
    assert caught.value.code == code
