import math

from results import miniature

from pixelwise.evaluation.comparing import RunComparison
from pixelwise.pages.comparing import signed, verdict_of


def comparison(interval: tuple[float, float] | None, **changes: str) -> RunComparison:
    return RunComparison(
        names=("a", "b"), results=(miniature(), miniature(**changes)), miou=0.1, per_class={}, images={},
        image_miou=0.1, image_interval=interval, recipe=(), remarks=(),
    )  # fmt: skip


def test_a_verdict_needs_an_interval_without_zero():
    assert verdict_of(comparison((0.01, 0.2))).startswith("a is better")
    assert verdict_of(comparison((-0.2, -0.01))).startswith("b is better")
    assert "do not tell" in verdict_of(comparison((-0.01, 0.2)))
    assert "do not tell" in verdict_of(comparison((0.0, 0.2)))
    assert "nothing is said" in verdict_of(comparison(None))
    assert "mean over the images" in verdict_of(comparison((0.01, 0.2)))
    assert "better:" not in verdict_of(comparison((0.01, 0.2), split="other"))
    assert "better:" not in verdict_of(comparison((0.01, 0.2), variant="data.exif=ignore"))


def test_signs():
    assert [signed(value) for value in (0.0184, -0.5, math.nan)] == ["+1.84", "\u221250.00", "n/a"]
