import time
from pathlib import Path

import pixelwise
from pixelwise.pages.costs import UNKNOWN, Cost, Costs
from pixelwise.recipes.overrides import to_toml


def test_networks_are_counted_in_the_background(tmp_path: Path):
    recipe = pixelwise.recipe("town-demo")
    (tmp_path / "recipe.toml").write_text(to_toml(recipe))
    costs = Costs()
    assert costs.of(tmp_path, "h", (32, 64)) is None
    assert costs.of(tmp_path / "nowhere", "other", None) is None
    assert costs.pending > 0
    while costs.pending:
        time.sleep(0.01)
    expected = pixelwise.complexity(recipe, 32, 64)
    assert costs.of(tmp_path / "again", "h", (32, 64)) == Cost(expected.parameters, expected.macs, (32, 64))
    assert costs.of(tmp_path / "nowhere", "other", None) == UNKNOWN
