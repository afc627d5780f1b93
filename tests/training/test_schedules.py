import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.recipes.schema import Schedule
from pixelwise.training.schedules import lr_factor, total_steps


def factors(schedule: Schedule, steps: list[int], per_epoch: int = 10) -> list[float]:
    return [lr_factor(schedule, step, per_epoch) for step in steps]


def test_step_divides_by_ten_every_so_many_epochs():
    schedule = Schedule(epochs=300, kind="step", step_epochs=100)
    assert factors(schedule, [0, 999, 1000, 1999, 2000]) == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_poly_by_hand():
    schedule = Schedule(iterations=100, kind="poly", power=0.9, min_lr_ratio=0.01)
    assert factors(schedule, [0, 50, 100]) == pytest.approx([1, 0.01 + 0.99 * 0.5**0.9, 0.01])


def test_cosine_by_hand():
    assert factors(Schedule(iterations=100, kind="cosine"), [0, 50, 100]) == pytest.approx([1, 0.5, 0])


def test_warm_up_rises_linearly_and_the_rest_starts_full():
    schedule = Schedule(iterations=110, kind="poly", warmup_iterations=10, warmup_ratio=0.1)
    assert factors(schedule, [0, 5, 10]) == pytest.approx([0.1, 0.55, 1.0])


def test_length_in_epochs_and_in_iterations():
    assert total_steps(Schedule(epochs=3), 37) == 111
    assert total_steps(Schedule(iterations=5), 37) == 5


@given(
    step=st.integers(0, 500),
    kind=st.sampled_from(["constant", "step", "poly", "cosine"]),
    warmup=st.integers(0, 600),
)
def test_factors_stay_between_nothing_and_the_base_rate(step: int, kind: str, warmup: int):
    schedule = Schedule(iterations=500, kind=kind, warmup_iterations=warmup)  # type: ignore[arg-type]
    assert 0 <= lr_factor(schedule, step, 10) <= 1
