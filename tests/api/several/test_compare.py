from pathlib import Path

import numpy as np
import pytest
from compared_runs import drawn, scored_run

import pixelwise
from pixelwise.errors import RecipeError


def test_a_comparison_is_returned_and_written(tmp_path: Path):
    truth = np.full((20, 3), 100)
    runs = [
        scored_run(
            tmp_path / name, drawn(np.random.default_rng(0), truth, np.full(3, accuracy)),
            overrides=(f"optimizer.lr={accuracy}",),
        )
        for name, accuracy in (("a", 0.6), ("b", 0.9))
    ]  # fmt: skip
    found = pixelwise.compare(runs, tmp_path / "x.html", resamples=200)
    assert isinstance(found, pixelwise.Comparison)
    assert found.resamples == 200
    assert found.verdict in (tmp_path / "x.html").read_text("utf-8")
    assert pixelwise.compare(runs, tmp_path / "y", format="md") == pixelwise.compare(runs)
    assert (tmp_path / "y").read_text("utf-8").startswith("**b is better than a")
    with pytest.raises(RecipeError) as caught:
        pixelwise.compare(runs, "s3://bucket/x.html")
    assert caught.value.code == "R294"
    with pytest.raises(RecipeError):
        pixelwise.compare(runs[0])
