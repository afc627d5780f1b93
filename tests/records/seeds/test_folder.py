from pathlib import Path

import pytest

import pixelwise
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.records.run_folder import refuse_occupied
from pixelwise.records.seeds.folder import is_seeds, read_seeds, record, run_of, runs_within, write_seeds


def test_what_the_folder_says(tmp_path: Path):
    recipe = pixelwise.recipe("enet-camvid")
    assert not is_seeds(tmp_path)
    assert runs_within(tmp_path) == ()
    write_seeds(tmp_path, record(recipe, (3, 0), ["optimizer.lr=0.5"], "/photos", {"threads": 1}))
    found = read_seeds(tmp_path)
    assert (found.seeds, found.overrides, found.data, found.options) == (
        (3, 0), ("optimizer.lr=0.5",), "/photos", {"threads": 1}
    )  # fmt: skip
    assert found.resolved(tmp_path) == recipe
    assert runs_within(tmp_path) == ()
    for seed in (0, 3, 7):
        run_of(tmp_path, seed).mkdir()
        (run_of(tmp_path, seed) / "recipe.toml").touch()
    assert runs_within(tmp_path) == (tmp_path / "seed-3", tmp_path / "seed-0")


def test_another_run_is_refused_in_it(tmp_path: Path):
    write_seeds(tmp_path, record(pixelwise.recipe("unet"), (0, 1), [], None, {}))
    with pytest.raises(RecipeError) as caught:
        refuse_occupied(tmp_path)
    assert caught.value.code == "R213"
    (tmp_path / "seeds.json").write_text("{")
    with pytest.raises(CheckpointError) as damaged:
        runs_within(tmp_path)
    assert damaged.value.code == "K423"
