import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema.recipe import Schedule
from pixelwise.training.optimization.schedules import learning_rate, learning_rate_of_group, lr_factor, warmup_steps


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


@given(
    step=st.integers(0, 500),
    kind=st.sampled_from(["constant", "step", "poly", "cosine", "one-cycle"]),
    warmup=st.integers(0, 600),
    form=st.sampled_from(["linear", "proportional", "exponential", "constant"]),
    decay_from=st.sampled_from(["warm-up", "start"]),
    per=st.sampled_from(["iteration", "epoch"]),
)
def test_factors_stay_between_0_and_1(step: int, kind: str, warmup: int, form: str, decay_from: str, per: str):
    settings: dict[str, Any] = {"kind": kind, "warmup": form, "decay_from": decay_from, "per": per}
    warmup = 0 if kind == "one-cycle" else warmup
    schedule = Schedule(iterations=500, warmup_iterations=warmup, warmup_ratio=0.01, **settings)
    assert 0 <= lr_factor(schedule, step, 10) <= 1


def test_milestones_in_epochs_as_ti_trains_cityscapes():
    schedule = Schedule(epochs=250, kind="step", milestones=(100, 200), gamma=0.25)
    assert factors(schedule, [0, 999, 1000, 1999, 2000, 2499]) == pytest.approx([1, 1, 0.25, 0.25, 0.0625, 0.0625])


@pytest.mark.parametrize(
    ("kind", "later"),
    [
        ("step", [1.0, 1.0, 0.25]),
        ("cosine", [0.5 * (1 + math.cos(math.pi * epoch / 60)) for epoch in (6, 29, 30)]),
    ],
)
def test_tis_warm_up_takes_five_epochs_and_the_decay_counts_them(kind: str, later: list[float]):
    settings: dict[str, Any] = {"kind": kind, "per": "epoch", "warmup": "proportional", "decay_from": "start"}
    schedule = Schedule(epochs=60, milestones=(30, 50), gamma=0.25, warmup_epochs=5, warmup_ratio=1e-3, **settings)
    assert factors(schedule, [0, 9, 10, 19, 20, 40, 50, 59]) == pytest.approx([1e-3, 1e-3, 0.2, 0.2, 0.4, 0.8, 1, 1])
    assert factors(schedule, [60, 299, 300]) == pytest.approx(later)


def test_erfnets_rate_is_constant_within_an_epoch():
    schedule = Schedule(epochs=150, kind="poly", power=0.9, per="epoch")
    assert factors(schedule, [0, 9, 10, 19, 1490]) == pytest.approx(
        [1, 1, (149 / 150) ** 0.9, (149 / 150) ** 0.9, (1 / 150) ** 0.9]
    )


def test_united_perceptions_warm_up_arrives_one_step_early_and_its_decay_began_with_the_first_step():
    # Theirs: 1500 iterations from 1e-6 of the rate, which iteration 1499 has in full.
    schedule = Schedule(
        iterations=160_000, kind="poly", power=1.0, warmup_iterations=1499, warmup_ratio=1e-6, decay_from="start"
    )
    found = factors(schedule, [0, 1, 1499, 1500, 159_999])
    slope = (1 - 1e-6) / 1499
    assert found == pytest.approx([1e-6, 1e-6 + slope, 1.0, 1 - 1500 / 160_000, 1 / 160_000])


def test_poly_equals_pytorchs_polynomial_lr_to_the_last_steps():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.02)
    theirs = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=30, power=0.9)
    expected = []
    for _ in range(30):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    schedule = Schedule(epochs=3, kind="poly", power=0.9)
    assert [learning_rate(schedule, 0.02, step, 10) for step in range(30)] == pytest.approx(expected, rel=1e-9)


def test_one_cycle_equals_pytorchs():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=50, pct_start=0.2, div_factor=10, final_div_factor=100
    )
    expected = []
    for step in range(50):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < 49:
            theirs.step()
    schedule = Schedule(iterations=50, kind="one-cycle", rise=0.2, start_divisor=10, end_divisor=100)
    assert [learning_rate(schedule, 0.5, step, 10) for step in range(50)] == pytest.approx(expected)


def test_min_lr_is_the_same_rate_for_all_groups():
    # SwiftNet: 4e-4 for the decoder, 1e-4 for the encoder, both end at 1e-6.
    schedule = Schedule(epochs=250, kind="cosine", per="epoch", min_lr=1e-6)
    ends = [learning_rate(schedule, base, 2499, 10) for base in (4e-4, 1e-4)]
    near_end = 0.5 * (1 + math.cos(math.pi * 249 / 250))
    assert ends == pytest.approx([1e-6 + 399e-6 * near_end, 1e-6 + 99e-6 * near_end])
    assert learning_rate(schedule, 0.0, 5, 10) == 0.0
    assert learning_rate(schedule, 1e-7, 2000, 10) == pytest.approx(1e-7)


def test_warm_up_in_epochs_rises_at_every_step_where_the_rate_is_per_iteration():
    schedule = Schedule(epochs=12, kind="poly", power=1.0, warmup_epochs=2)
    assert factors(schedule, [0, 5, 10, 20, 70]) == pytest.approx([0, 0.25, 0.5, 1, 0.5])


def test_shapes_of_the_warm_up():
    def form(name: str) -> list[float]:
        schedule = Schedule(iterations=50, kind="constant", warmup_iterations=4, warmup_ratio=0.0001, warmup=name)  # type: ignore[arg-type]
        return factors(schedule, [0, 1, 2, 4])

    assert form("proportional") == pytest.approx([0.0001, 0.25, 0.5, 1])
    assert form("exponential") == pytest.approx([1e-4, 1e-3, 1e-2, 1])
    assert form("constant") == pytest.approx([1e-4, 1e-4, 1e-4, 1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"milestones": (10, 10)}, r"schedule\.milestones is \[10, 10\]"),
        ({"milestones": (0, 10)}, r"schedule\.milestones is \[0, 10\]"),
        ({"warmup_iterations": 1, "warmup_epochs": 1}, r"schedule\.warmup_iterations is 1.*schedule\.warmup_epochs"),
        ({"kind": "one-cycle", "warmup_epochs": 1}, r"schedule\.kind is one-cycle"),
        ({"warmup": "exponential"}, r"schedule\.warmup_ratio is 0\.0"),
        ({"rise": 1.0}, r"schedule\.rise is 1\.0"),
        ({"min_lr": -1.0}, r"schedule\.min_lr is -1\.0"),
    ],
)
def test_contradictory_schedules_are_refused(settings: dict, words: str):
    with pytest.raises(RecipeError, match=f"R203.*{words}"):
        Schedule(epochs=10, **settings)


def test_the_first_step_of_every_published_recipe_has_a_rate():
    entries = [entry for entry in map(recipe, list_recipes()) if entry.published is not None]
    rates = {entry.name: learning_rate(entry.schedule, 1.0, 0, 100) for entry in entries}
    assert rates
    # As in their originals, the warm-ups of EoMT and PMT begin at 0.
    from_nothing = {name for name in rates if name.startswith(("eomt-", "pmt-"))}
    assert {name for name, rate in rates.items() if rate == 0} == from_nothing
    assert rates["segformer-b0-cityscapes"] == pytest.approx(1e-6)
    assert rates["enet-camvid"] == 1.0


def test_a_warm_up_with_ratio_0_begins_at_a_rate_of_0():
    assert learning_rate(Schedule(epochs=1, warmup_iterations=10), 1.0, 0, 100) == 0.0


@pytest.mark.parametrize(("steps", "share", "warm"), [(100, 0.05, 5), (27, 0.05, 1), (19, 0.05, 0), (1, 0.9, 0)])
def test_a_warm_up_by_share_grows_with_the_run(steps: int, share: float, warm: int):
    schedule = Schedule(iterations=steps, kind="constant", warmup_share=share)
    assert warmup_steps(schedule, 10) == warm
    rates = [learning_rate(schedule, 1.0, step, 10) for step in range(steps)]
    assert rates == [step / warm if step < warm else 1.0 for step in range(steps)]


def test_a_group_with_its_own_warm_up_begins_later_and_ends_with_the_others():
    schedule = Schedule(iterations=110, power=1.0, warmup_iterations=5)
    rates = [learning_rate_of_group(schedule, 2.0, step, 10, (10, 20)) for step in (0, 9, 10, 20, 30, 70, 110)]
    # 80 steps of decay remain after 10 steps of nothing and 20 of warm-up.
    assert rates == pytest.approx([0, 0, 0, 1, 2, 1, 0])
    by_epochs = Schedule(epochs=11, power=1.0, warmup_share=0.1)
    assert learning_rate_of_group(by_epochs, 2.0, 70, 10, (10, 20)) == pytest.approx(1)
