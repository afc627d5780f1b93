import time
from pathlib import Path

import pixelwise
from pixelwise.pages.networks.costs import UNKNOWN, Cost, Costs, counted
from pixelwise.recipes.sizes import Size


def test_networks_are_counted_in_the_background(tmp_path: Path):
    asked: list[tuple[Path, Size | None]] = []

    def count(run: Path, size: Size | None) -> Cost:
        asked.append((run, size))
        return Cost(7, 9, size)

    costs = Costs(count)
    assert costs.of(tmp_path, "h", (32, 64)) is None
    assert costs.of(tmp_path / "b", "other", None) is None
    while costs.pending:
        time.sleep(0.001)
    assert costs.of(tmp_path / "again", "h", (32, 64)) == Cost(7, 9, (32, 64))
    assert costs.of(tmp_path / "b", "other", None) == Cost(7, 9, None)
    assert asked == [(tmp_path, (32, 64)), (tmp_path / "b", None)]


def test_a_network_is_counted_at_the_size_that_was_asked_for():
    recipe = pixelwise.recipe("town-demo")
    expected = pixelwise.complexity(recipe, 32, 64)
    assert counted(recipe, (32, 64)) == Cost(expected.parameters, expected.macs, (32, 64))
    assert counted(recipe, (0, 64)) == UNKNOWN
