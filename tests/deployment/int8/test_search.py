"""Result of a search for an int8 artefact, with fixed scores of the artefacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from pixelwise.deployment.export.verification import Acceptance
from pixelwise.deployment.int8.search import Int8Search
from pixelwise.deployment.int8.sensitivity import LayerCost

LAYERS = [LayerCost(name=name, unequal_pixels=share) for name, share in (("c", 0.9), ("a", 0.5), ("b", 0.1))]


class Written(Int8Search):
    """A search whose artefacts pass from a given number of float layers on."""

    def __init__(self, passes_from: int, always_float: tuple[str, ...] = ()) -> None:
        self.nodes = {name: f"node of {name}" for name in "abc"}
        self.always_float = always_float
        self.tried: list[list[str]] = []
        self.passes_from = passes_from

    def written(self, acceptance: Acceptance, float_layers: Sequence[str]) -> SimpleNamespace:  # type: ignore[override]
        self.tried.append(list(float_layers))
        passed = len(float_layers) >= self.passes_from
        return SimpleNamespace(
            path=Path(), sidecar=SimpleNamespace(verification=SimpleNamespace(passed=passed), float_layers=float_layers)
        )


@pytest.mark.parametrize(
    ("passes_from", "tried"),
    [
        (0, [[]]),
        (1, [[], ["c"]]),
        (2, [[], ["c"], ["c", "a"]]),
        (3, [[], ["c"], ["c", "a"], ["c", "a", "b"]]),
        (9, [[], ["c"], ["c", "a"], ["c", "a", "b"]]),
    ],
)
def test_the_layers_that_cost_most_go_first_and_twice_as_many_each_time(
    passes_from: int, tried: list[list[str]]
) -> None:
    search = Written(passes_from)
    search.best(Acceptance(max_miou_drop=0.01), LAYERS)
    assert search.tried == tried


def test_layers_that_are_in_float_anyway_and_unknown_ones_are_not_tried() -> None:
    search = Written(9, always_float=("a",))
    search.best(Acceptance(max_miou_drop=0.01), [*LAYERS, LayerCost(name="gone", unequal_pixels=0.0)])
    assert search.tried == [[], ["c"], ["c", "b"]]
