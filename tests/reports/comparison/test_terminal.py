import io
import re

import pytest

from pixelwise.evaluation.comparison.comparison import ClassScore, Comparison, Pair, Side
from pixelwise.evaluation.comparison.estimates import Estimate
from pixelwise.reports.comparison.terminal import print_comparison
from pixelwise.reports.terminals import Console

CHANGE = Estimate(value=-0.12345, interval=(-0.23456, -0.01234), p=0.01, adjusted=0.01)


def shown(names: tuple[str, ...], width: int) -> str:
    score = Estimate(value=0.51234, interval=(0.41234, 0.61234))
    sides = tuple(
        Side(
            name=name, runs=(name,) * 3, seeds=(0, 1, 2), recipe="r", miou=score, runs_miou=(0.5,) * 3, deviation=0.01,
            seeds_interval=None, per_class=(ClassScore(name="vegetation and a long name", iou=score),),
            boundary_miou=0.3, calibration_error=0.1, letters="ab",
        )
        for name in names
    )  # fmt: skip
    classes = {"vegetation and a long name": CHANGE}
    pairs = tuple(Pair(first=names[0], second=name, miou=CHANGE, per_class=classes) for name in names[1:])
    found = Comparison(
        split="val", protocol="native", data_fingerprint="f", images=9, units=9, resamples=9, sides=sides, pairs=pairs,
        remarks=("A sentence that is so long that it does not fit into a line of eighty columns, and goes on.",),
    )  # fmt: skip
    text = io.StringIO()
    print_comparison(found, Console(width=width, file=text, highlight=False))
    return text.getvalue()


@pytest.mark.parametrize(
    "names", [("a", "b"), ("runs/a-name-of-quite-some-length", "runs/another-name-of-some-length")]
)
def test_eighty_columns_hold_all_numbers(names: tuple[str, ...]):
    text = shown(names, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert len(re.findall(r"51\.23 +41\.23 to 61\.23 +3 +1\.00 +30\.00 +10\.00", text)) == 2
    assert "-12.35 [-23.46, -1.23]" in text
    assert text.count("*") >= 2


def test_many_sides_fit_too():
    text = shown(tuple(f"a-long-name-{number}" for number in range(12)), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("separated") >= 11
    left_out = int(re.findall(r"(\d+) more columns, for which there is no room: --format csv", text)[0])
    (heading,) = (line for line in text.splitlines() if line.startswith("class"))
    assert len(heading.split()) - 1 + left_out == 12
    assert "more column" not in shown(("a", "b"), 80)
