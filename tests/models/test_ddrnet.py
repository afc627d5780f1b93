"""DDRNet against the authors' own network, with the same weights; see `write_two_branch_originals.py`."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from two_branch_originals import compared_heads

from pixelwise.models import build_model
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.real_time.ddrnet import DDRNetSpec


@pytest.mark.parametrize("variant", ["23-slim", pytest.param("23", marks=pytest.mark.heavy)])
def test_all_logits_are_the_original_s_in_evaluation_and_in_training(variant: str) -> None:
    assert compared_heads(f"ddrnet-{variant}") == {"eval": 1, "train": 2}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("variant", "parameters", "auxiliary", "gmacs"),
    [("23-slim", 5_734_342, 38_355, 36.281), ("23", 20_299_366, 150_419, 143.061)],
)
def test_parameters_and_multiplications_are_the_original_s(
    variant: str, parameters: int, auxiliary: int, gmacs: float
) -> None:
    with torch.device("meta"):
        counted = complexity(build_model(DDRNetSpec(variant=variant), 19), 1024, 2048)  # type: ignore[arg-type]

    assert (counted.parameters, counted.auxiliary_parameters) == (parameters, auxiliary)
    assert counted.gmacs == pytest.approx(gmacs, rel=1e-3)


def test_logits_are_enlarged_by_the_edges_of_the_pixels() -> None:
    model = build_model(DDRNetSpec(), 3).eval()
    images = torch.rand(1, 3, 33, 47)
    with torch.no_grad():
        (logits,) = model.head_logits(images)
        enlarged = model(images)
    assert logits.shape == (1, 3, 5, 6)
    assert torch.equal(enlarged, F.interpolate(logits, size=(33, 47), mode="bilinear", align_corners=False))
