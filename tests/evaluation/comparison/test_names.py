from pathlib import Path

import pytest

from pixelwise.evaluation.comparison.names import names_of
from pixelwise.records.seeds.folder import SeedsRecord, write_seeds


@pytest.mark.parametrize(
    ("sides", "names"),
    [
        (("x/a",), ["a"]),
        (("x/a", "y/a"), ["x/a", "y/a"]),
        (("x/a-0 x/a-1", "x/b-0 x/b-1"), ["a-*", "b-*"]),
        (("x/a-0 x/a-1", "y/a-0 y/a-1"), ["x/a-*", "y/a-*"]),
        # Two recipes in turn, as `runs/NAME-1`, `-2`, ... are numbered.
        (("x/a-1 x/a-3", "x/a-2 x/a-4"), ["a-1 and 1 more", "a-2 and 1 more"]),
        (("x/a-1 x/a-3", "x/a-2"), ["a-1 and 1 more", "a-2"]),
        (("x/a y/a", "z/a"), ["a and 1 more", "a"]),
        (("a\n", "a\\n"), ["a\\n (1)", "a\\n (2)"]),  # different names that are shown alike
    ],
)
def test_names_are_short_and_of_one_side(sides: tuple[str, ...], names: list[str]):
    assert names_of([[Path(path) for path in side.split(" ")] for side in sides]) == names


def test_a_folder_of_seeds_names_its_runs_if_they_are_one_side(tmp_path: Path):
    runs = [tmp_path / f"seed-{seed}" for seed in range(3)]
    for run in runs:
        run.mkdir()
        (run / "recipe.toml").write_text("")
    write_seeds(tmp_path, SeedsRecord(seeds=(0, 1, 2)))
    assert names_of([runs]) == [tmp_path.name]
    assert names_of([runs[:2], runs[2:]]) == ["seed-0 and 1 more", "seed-2"]
