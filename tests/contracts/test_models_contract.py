"""The contract of every network in the catalogue, and of one network of every other registered family."""

from __future__ import annotations

import pytest
from network_sizes import parameters

from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema.model import SPECS as FAMILIES
from pixelwise.recipes.schema.model import Spec
from pixelwise.testing import check_model

LARGE = 6_000_000
"""Networks with more parameters are left to `make test-heavy`."""

LARGEST = 150_000_000
"""Networks with more parameters take more memory than the contract is worth."""

SPECS: dict[str, Spec] = {}
for _name in list_recipes():
    _spec = recipe(_name).model
    if _spec not in SPECS.values():
        SPECS[_name] = _spec
for _family, _type in FAMILIES.own().items():
    if _type not in map(type, SPECS.values()):
        SPECS[_family] = _type()


SMALL = [name for name in SPECS if parameters(name) < LARGE]


def smallest_of_families() -> set[str]:
    """The smallest network of every family."""
    families: dict[type[Spec], str] = {}
    for name in sorted(SPECS, key=parameters):
        families.setdefault(type(SPECS[name]), name)
    return {name for name in families.values() if parameters(name) < LARGEST}


SMALLEST = smallest_of_families()
WHOLE = [pytest.param(name, marks=pytest.mark.heavy if name in SMALLEST else pytest.mark.fuzz) for name in SPECS]


@pytest.mark.parametrize("name", SMALL)
def test_a_small_network_keeps_the_contract(name: str) -> None:
    check_model(SPECS[name], heavy=False)


@pytest.mark.parametrize("name", WHOLE)
def test_a_network_keeps_the_whole_contract(name: str) -> None:
    check_model(SPECS[name])
