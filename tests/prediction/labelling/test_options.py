import subprocess
import sys

import pytest

from pixelwise.errors import RecipeError
from pixelwise.options import chosen
from pixelwise.prediction.labelling.options import PrelabelOptions


@pytest.mark.parametrize("sure", [-0.1, 1.5])
def test_a_probability_is_between_0_and_1(sure: float):
    with pytest.raises(RecipeError) as refused:
        chosen(PrelabelOptions, None, {"sure": sure})
    assert refused.value.code == "R260"


def test_options_do_not_import_torch():
    code = "import sys, pixelwise.prediction.labelling.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
