"""SegNeXt against its authors' own network, with the same weights; see `write_segnext_originals.py`."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from segnext_originals import SIZES, compare_logits
from torch import Tensor

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.segnext import Factorisation, GroupNorm, factorised
from pixelwise.recipes.families.segnext import SegNeXtSpec
from pixelwise.testing import check_model


@pytest.mark.heavy
def test_the_logits_of_an_image_of_any_size_are_the_original_s_in_evaluation_and_in_training() -> None:
    assert compare_logits("t", SIZES[-1:]) == 2


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["t", "s", "b", "l"])
def test_all_logits_are_the_original_s(name: str) -> None:
    assert compare_logits(name) == 2 * len(SIZES)


def test_a_matrix_of_rank_one_is_found_in_one_step() -> None:
    # All coefficients begin at softmax = 1. They become (4, 8) / 2, the base (10, 30) / 20, the coefficients stay.
    features = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]], dtype=torch.float64)
    found = factorised(features, torch.ones(1, 2, 1, dtype=torch.float64), 1)
    assert torch.allclose(found, features, rtol=1e-5)


def test_a_base_that_sees_nothing_of_the_features_stays() -> None:
    # Without a step, only the coefficients are fitted: (1, 2) of the base (1, 0).
    features = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    base = torch.tensor([[[1.0], [0.0]]])
    for steps in (0, 1, 5):
        assert torch.allclose(factorised(features, base, steps), torch.tensor([[[1.0, 2.0], [0.0, 0.0]]]), atol=1e-5)


def test_updates_never_increase_the_error() -> None:
    torch.manual_seed(0)
    features, bases = torch.rand(2, 12, 20, dtype=torch.float64), torch.rand(2, 12, 3, dtype=torch.float64)
    errors = [(factorised(features, bases, steps) - features).square().sum(dim=(1, 2)) for steps in range(8)]
    assert all((later <= before).all() for before, later in itertools.pairwise(errors))
    assert (errors[-1] < 0.9 * errors[0]).all()


def test_evaluation_always_begins_from_the_same_bases() -> None:
    torch.manual_seed(1)
    one = Factorisation(8, 3).eval()
    torch.manual_seed(2)
    other = Factorisation(8, 3).eval()
    features = torch.rand(2, 8, 4, 5)
    expected = one(features)

    assert torch.equal(other(features), expected)
    assert torch.equal(one(features), expected)
    assert list(one.state_dict()) == ["bases"]
    assert torch.allclose(one.bases.square().sum(dim=0), torch.ones(3))
    # Other weights may bring other bases.
    other.load_state_dict({"bases": one.bases.flip(0)})
    assert not torch.allclose(other(features), expected)


def test_training_begins_from_other_bases_for_every_image_which_its_generator_decides() -> None:
    factorisation = Factorisation(8, 3).train()
    features = torch.rand(1, 8, 4, 5).expand(2, -1, -1, -1)
    seen: list[Tensor] = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(factorisation(features))

    assert torch.equal(seen[0], seen[1])
    assert not torch.allclose(seen[0], seen[2])
    assert not torch.allclose(seen[0][0], seen[0][1])


def test_sums_that_float16_does_not_hold_are_taken_in_float32() -> None:
    features = torch.full((1, 64, 16, 16), 30.0, dtype=torch.float16)  # 256 times 64 times 900 in all
    found = Factorisation(64, 2).eval()(features)
    assert found.dtype == torch.float16
    assert torch.allclose(found, features, rtol=1e-2)


def test_a_single_pixel_is_normalised_where_every_channel_is_a_group() -> None:
    norm = GroupNorm(4, 4)
    with torch.no_grad():
        norm.bias.copy_(torch.arange(4.0))
    assert norm(torch.rand(1, 4, 1, 1)).flatten().tolist() == pytest.approx([0, 1, 2, 3], abs=1e-4)
    features = torch.rand(2, 4, 3, 3)
    assert torch.equal(norm(features), F.group_norm(features, 4, norm.weight, norm.bias))


@pytest.mark.heavy
def test_any_encoder_with_two_scales_of_stride_8_can_be_used() -> None:
    check_model(SegNeXtSpec(encoder="resnet18", channels=32, bases=2))


@pytest.mark.parametrize(
    ("values", "message", "code"),
    [
        ({"channels": 48}, r"model\.channels is 48; .* multiple of 32", "R203"),
        ({"channels": 0}, r"model\.channels is 0", "R203"),
        ({"bases": 0}, r"model\.bases is \[0\]", "R203"),
    ],
)
def test_what_cannot_be_built_is_refused(values: dict[str, object], message: str, code: str) -> None:
    with torch.device("meta"), pytest.raises(RecipeError, match=message) as caught:
        build_model(SegNeXtSpec(**values), 3)  # type: ignore[arg-type]
    assert caught.value.code == code
