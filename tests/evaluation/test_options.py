import subprocess
import sys

import pytest

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
