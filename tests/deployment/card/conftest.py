from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pixelwise.deployment.card.card import DeployCard, make_card
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import RECIPE
from pixelwise.runtimes.targets import TARGETS, find_target
from pixelwise.storage import write_text


@pytest.fixture(scope="session")
def card(small_run: Path, small_town: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DeployCard, Path]:
    """A card of ONNX and of a target whose package is missing, without latencies; do not write into its folder."""
    output = tmp_path_factory.mktemp("cards") / "card"
    missing = msgspec.structs.replace(
        find_target("torch-export"), name="missing", label="Missing", packages=("not_installed_anywhere",)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TARGETS, "missing", missing)
        made = make_card(
            small_run, output, targets=("onnx", "missing"), data=small_town, split="val", rounds=0, max_miou_drop=0.5
        )
    return made, output


@pytest.fixture
def trained_in_8_bits(small_recipe: Recipe, tmp_path: Path) -> Path:
    """A run folder with the files that plans read."""
    write_text(tmp_path / "8bit" / RECIPE, to_toml(msgspec.structs.replace(small_recipe, quantization="x86-8bit")))
    return tmp_path / "8bit"
