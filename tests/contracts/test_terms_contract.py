"""The contract of every loss term, built-in or of another package."""

from __future__ import annotations

import msgspec
import pytest

from pixelwise.recipes.loss_terms.cross_entropy import CrossEntropy
from pixelwise.recipes.loss_terms.lovasz import Lovasz
from pixelwise.recipes.schema.loss import Ohem
from pixelwise.recipes.schema.terms import TERMS
from pixelwise.testing import check_term


@pytest.mark.parametrize("name", TERMS.own())
def test_a_term_keeps_the_contract(name: str) -> None:
    check_term(name)


@pytest.mark.parametrize(
    "term", [CrossEntropy(label_smoothing=0.1), CrossEntropy(ohem=Ohem(min_kept=0.5)), Lovasz(per_image=True)]
)
def test_its_options_keep_it_too(term) -> None:
    check_term(msgspec.structs.replace(term, weight=0.5))
