import subprocess
import sys

import pytest

from pixelwise.errors import RecipeError
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.options import chosen


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"boundary": False, "calibration": True}, ["--no-boundary", "--calibration"]),
        ({"metrics": ("a", "b")}, ["--metric", "a", "--metric", "b"]),
        ({"group": "^0"}, ["--group", "^0"]),
        ({"device": "cpu"}, []),  # the same numbers, elsewhere
        ({"shard": "0/3", "output": "out"}, []),  # the same numbers, by others
    ],
)
def test_the_words_of_a_command_line_ask_for_the_same(changes: dict, words: list[str]):
    assert chosen(EvaluateOptions, None, changes).words() == words


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match=r"boundry.*boundary"):
        chosen(EvaluateOptions, None, {"boundry": True})


def test_options_are_read_without_torch():
    script = (
        "import sys; import pixelwise.evaluation.options, pixelwise.prediction.options; "
        "sys.exit(bool({'torch', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_who_needs_receipts():
    for options in ({"shard": "0/3"}, {"engine": "ray", "workers": 2, "gpus_per_worker": 0.5}, {"output": "out"}):
        assert EvaluateOptions(**options).by_units
    assert not EvaluateOptions(devices=2).by_units
    assert EvaluateOptions(shard="1/3").share == (1, 3)
    assert EvaluateOptions().share is None


@pytest.mark.parametrize(
    "options",
    [{"workers": 2}, {"address": "auto"}, {"gpus_per_worker": 1}, {"shard": "0/2", "engine": "ray"},
     {"shard": "0/2", "devices": 2}, {"output": "out", "devices": 2}],
)  # fmt: skip
def test_options_that_exclude_each_other(options: dict):
    with pytest.raises(RecipeError) as caught:
        _ = EvaluateOptions(**options).by_units
    assert caught.value.code == "R251"
