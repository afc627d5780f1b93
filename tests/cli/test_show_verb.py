"""`pixelwise show`: a recipe in full, as TOML, JSON or with its sources."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import to_plain


def test_show_prints_toml_that_reads_back(run_cli: Callable, tmp_path):
    code, stdout, _ = run_cli(["show", "enet-camvid", "optimizer.lr=0.02"])
    assert code == 0
    (tmp_path / "again.toml").write_text(stdout)
    again = run_cli(["show", tmp_path / "again.toml"])
    assert again.stdout == stdout
    assert "lr = 0.02" in stdout


def test_show_explains_where_values_come_from_in_toml_that_reads_back(run_cli: Callable, tmp_path):
    code, stdout, _ = run_cli(["show", "enet-camvid", "optimizer.lr=0.02", "--explain"])
    assert code == 0
    assert "lr = 0.02 # changed here (was 0.0005)" in stdout
    (tmp_path / "again.toml").write_text(stdout)
    assert (
        run_cli(["show", tmp_path / "again.toml"]).stdout
        == run_cli(["show", "enet-camvid", "optimizer.lr=0.02"]).stdout
    )


def test_every_value_is_shown_in_toml_and_in_json(run_cli: Callable):
    changes = ["sampling.seed=3", "optimizer.lr=0.02"]
    expected = to_plain(apply_overrides(recipe("enet-camvid"), changes))
    as_json = run_cli(["show", "enet-camvid", *changes, "--json"])
    assert as_json.code == 0
    assert json.loads(as_json.stdout) == json.loads(json.dumps(expected))
    shown = tomllib.loads(run_cli(["show", "enet-camvid", *changes]).stdout)
    assert (shown["sampling"]["seed"], shown["optimizer"]["lr"]) == (3, 0.02)
    assert set(shown["optimizer"]) == {key for key, value in expected["optimizer"].items() if value is not None}


def test_a_file_is_shown_like_a_recipe_of_the_catalogue(run_cli: Callable, tmp_path: Path):
    (tmp_path / "mine.toml").write_text('base = "enet-camvid"\n[optimizer]\nlr = 0.25\n', "utf-8")
    shown = json.loads(run_cli(["show", tmp_path / "mine.toml", "--json"]).stdout)
    assert (shown["name"], shown["optimizer"]["lr"]) == ("mine", 0.25)


def test_sources_are_comments_which_json_cannot_hold(run_cli: Callable):
    refused = run_cli(["show", "enet-camvid", "--explain", "--json"])
    assert (refused.code, refused.stdout) == (2, "")
    assert "--json" in refused.stderr


def test_sources_are_shown_only_where_they_are_asked_for(run_cli: Callable):
    plain, explained = run_cli(["show", "town-demo"]).stdout, run_cli(["show", "town-demo", "--explain"]).stdout
    assert " # " not in plain
    assert " # " in explained
    assert tomllib.loads(plain) == tomllib.loads(explained)
