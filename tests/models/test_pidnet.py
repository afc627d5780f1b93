"""PIDNet against the authors' own network, with the same weights; see `write_two_branch_originals.py`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from two_branch_originals import compared_heads

from pixelwise.models import build_model
from pixelwise.models.pidnet import Bag, LightBag, PIDNet, PixelAttention
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.real_time.pidnet import PIDNetSpec


@pytest.mark.parametrize(
    "variant", ["s", pytest.param("m", marks=pytest.mark.heavy), pytest.param("l", marks=pytest.mark.heavy)]
)
def test_all_logits_are_the_original_s_in_evaluation_and_in_training(variant: str) -> None:
    # The main head and, in training, the auxiliary and the boundary head.
    assert compared_heads(f"pidnet-{variant}") == {"eval": 1, "train": 3}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("variant", "parameters", "auxiliary", "gmacs", "gmacs_camvid"),
    [
        ("s", 7_720_935, 95_220, 47.194, 15.622),
        ("m", 28_763_111, 224_596, 177.329, 58.732),
        ("l", 37_314_311, 374_740, 274.933, 90.963),
    ],
)
def test_parameters_and_multiplications_are_the_original_s(
    variant: str, parameters: int, auxiliary: int, gmacs: float, gmacs_camvid: float
) -> None:
    with torch.device("meta"):
        model, small = (build_model(PIDNetSpec(variant=variant), number) for number in (19, 11))  # type: ignore[arg-type]
        counted, on_camvid = complexity(model, 1024, 2048), complexity(small, 720, 960)

    assert (counted.parameters, counted.auxiliary_parameters) == (parameters, auxiliary)
    assert counted.gmacs == pytest.approx(gmacs, rel=1e-3)
    assert on_camvid.gmacs == pytest.approx(gmacs_camvid, rel=1e-3)


def test_pixel_attention_mixes_by_the_similarity_of_the_two() -> None:
    attention = PixelAttention(2, 1).eval()
    with torch.no_grad():
        for part in (attention.of_details[0], attention.of_context[0]):
            part.weight.copy_(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1))
        details, context = torch.tensor([2.0, 10.0]).view(1, 2, 1, 1), torch.tensor([3.0, 20.0]).view(1, 2, 1, 1)
        found = attention(details, context)
    similarity = 1 / (1 + np.exp(-6 / (1 + 1e-5)))
    assert found.flatten().tolist() == pytest.approx([2 + similarity, 10 + 10 * similarity])


def test_the_boundary_decides_between_details_and_context() -> None:
    details, context = torch.full((1, 2, 1, 1), 4.0), torch.full((1, 2, 1, 1), 1.0)
    surely = torch.full((1, 2, 1, 1), 50.0)
    for fusion, on, off in ((LightBag(2).eval(), (4, 5), (5, 1)), (Bag(2).eval(), (4,), (1,))):
        with torch.no_grad():
            if isinstance(fusion, LightBag):
                # The details' part counts 1, the context's 100.
                for part, factor in ((fusion.of_details[0], 1.0), (fusion.of_context[0], 100.0)):
                    part.weight.copy_(factor * torch.eye(2).view(2, 2, 1, 1))
                expected = [(on[0] + 100 * on[1]), (off[0] + 100 * off[1])]
            else:
                fusion.mix.conv.weight.zero_()[:, :, 1, 1] = torch.eye(2)
                expected = [on[0], off[0]]
            found = [fusion(details, context, sign * surely).flatten()[0].item() for sign in (1, -1)]
        assert found == pytest.approx(expected, rel=1e-4)


def test_logits_are_enlarged_with_aligned_corners_and_cover_any_size() -> None:
    model = build_model(PIDNetSpec(), 3).eval()
    assert isinstance(model, PIDNet)
    images = torch.rand(1, 3, 33, 47)
    with torch.no_grad():
        (logits,) = model.head_logits(images)
        enlarged = model(images)
    assert logits.shape == (1, 3, 5, 6)
    assert torch.equal(enlarged, F.interpolate(logits, size=(33, 47), mode="bilinear", align_corners=True))
