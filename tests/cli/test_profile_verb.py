import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_network_is_profiled_at_a_size(run_cli: Callable):
    found = run_cli(["profile", "town-demo", "--size", "48x32", "--steps", "2", "--json"])
    assert found.code == 0, found.stderr
    profile = json.loads(found.stdout)
    assert (profile["complexity"]["height"], profile["complexity"]["width"]) == (32, 48)
    assert profile["runs"] == 2


@pytest.mark.heavy
def test_the_training_of_a_run_is_profiled_on_its_own_data(run_cli: Callable, tiny_run: Path, tmp_path: Path):
    found = run_cli(["profile", tiny_run, "--train", "--steps", "2", "--output", tmp_path / "profile.png"])
    assert found.code == 0, found.stderr
    assert "backward" in found.stdout
    assert re.search(r"\d+ %", found.stdout.splitlines()[-1])  # the share of the slowest part
    assert (tmp_path / "profile.png").stat().st_size > 5000


@pytest.mark.heavy
def test_the_crop_of_training_can_be_given(run_cli: Callable, tiny_recipe: Path, tiny_data: Path):
    arguments = ["profile", tiny_recipe, "--train", "--data", tiny_data, "--steps", "1", "--size", "32x24", "--json"]
    profile = json.loads(run_cli(arguments).stdout)
    assert (profile["height"], profile["width"], profile["steps"]) == (24, 32, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["profile", "town-demo", "--size", "32"], "WIDTHxHEIGHT"),
        (["profile", "town-demo", "--output", "a.png"], "error[R251]: --output"),
        (["profile", "town-demo", "--train", "--output", "a.txt"], "error[R217]: --output"),
        (["profile", "town-dem"], "error[R200]"),
    ],
)
def test_mistakes_are_explained(run_cli: Callable, arguments: list[str], words: str):
    found = run_cli(arguments)
    assert found.code == 2
    assert words in " ".join(found.stderr.replace("│", " ").split())


def test_training_takes_the_number_of_classes_from_its_data(run_cli: Callable):
    found = run_cli(["profile", "town-demo", "--train", "--classes", "5"])
    assert found.code == 2
    assert "error[R251]: --classes" in found.stderr
