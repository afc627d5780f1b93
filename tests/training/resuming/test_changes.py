"""A change on resuming becomes history exactly if an undisturbed run would have been another one up to there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import CheckpointError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import Part, Recipe, fields_with
from pixelwise.recipes.schema.roles import Role, is_in
from pixelwise.records.run_folder import write_recipe
from pixelwise.training.resuming.changes import (
    RESUMABLE_CHANGES,
    Course,
    past_parts,
    past_stages,
    refuse_other_experiment,
)

PER_EPOCH = 10
BASE = apply_overrides(
    recipe("unet-resnet18"), ["schedule.warmup_iterations=0", "selection.weights=last", "selection.every_epochs=0"]
)


def with_(*overrides: str) -> Recipe:
    return apply_overrides(BASE, overrides)


def untils(done: Recipe, wanted: Recipe, step: int, longest_stale: int = 0) -> list[int]:
    course = Course(step, PER_EPOCH, longest_stale)
    return [part.until for part in past_parts((), done, wanted, course)]


def test_more_epochs_of_a_decay_are_history():
    four, eight = with_("schedule.epochs=4"), with_("schedule.epochs=8")
    (part,) = past_parts((), four, eight, Course(40, PER_EPOCH))
    assert (part.until, part.recipe_hash) == (40, four.hash())
    assert [(one.field, one.before, one.after) for one in part.changes] == [("schedule.epochs", 4, 8)]
    # Step 40 had (1 - 39/40)^0.9 of the rate 0.001, and step 41 has (1 - 40/80)^0.9 of it.
    assert part.lr == pytest.approx((0.001 * (1 / 40) ** 0.9, 0.001 * 0.5**0.9))


@pytest.mark.parametrize(
    ("kind", "step", "history"),
    [
        ("schedule.kind=poly", 0, []),  # nothing was trained
        ("schedule.kind=poly", 1, []),  # the first step has the full rate, whatever the length
        ("schedule.kind=poly", 2, [2]),
        ("schedule.kind=cosine", 30, [30]),
        ("schedule.kind=one-cycle", 1, []),
        ("schedule.kind=one-cycle", 2, [2]),
        ("schedule.kind=constant", 40, []),
        ("schedule.kind=step", 40, []),
    ],
)
def test_only_a_course_that_would_be_another_is_history(kind: str, step: int, history: list[int]):
    assert untils(with_("schedule.epochs=4", kind), with_("schedule.epochs=8", kind), step) == history


def test_during_a_warm_up_of_fixed_length_the_length_of_training_makes_no_difference():
    warm = ("schedule.warmup_iterations=5",)
    assert untils(with_("schedule.epochs=4", *warm), with_("schedule.epochs=8", *warm), 6) == []
    assert untils(with_("schedule.epochs=4", *warm), with_("schedule.epochs=8", *warm), 7) == [7]


def test_the_same_length_in_steps_is_the_same_course():
    assert untils(with_("schedule.epochs=4"), with_("schedule.iterations=40"), 30) == []


def test_use_of_the_machine_is_no_history():
    assert (
        untils(with_("schedule.epochs=4"), with_("schedule.epochs=4", "data.workers=3", "checkpoints.keep=5"), 30) == []
    )


def test_the_evaluation_at_the_old_end_matters_if_it_can_select_the_weights():
    constant = ("schedule.kind=constant", "selection.every_epochs=3")
    best = (*constant, "selection.weights=best")
    assert untils(with_("schedule.epochs=4", *best), with_("schedule.epochs=8", *best), 40) == [40]
    assert untils(with_("schedule.epochs=4", *best), with_("schedule.epochs=8", *best), 39) == []
    assert untils(with_("schedule.epochs=4", *constant), with_("schedule.epochs=8", *constant), 40) == []
    # Step 60 is evaluated in a longer run, too.
    assert untils(with_("schedule.epochs=6", *best), with_("schedule.epochs=8", *best), 60) == []


@pytest.mark.parametrize(
    ("before", "after", "longest", "history"),
    [("3", "5", 3, []), ("3", "none", 3, []), ("5", "3", 2, []), ("5", "3", 3, [40]), ("none", "3", 4, [40])],
)
def test_less_patience_matters_if_an_undisturbed_run_would_have_ended(
    before: str, after: str, longest: int, history: list[int]
):
    always = ("schedule.epochs=8", "selection.every_epochs=1")
    done, wanted = (with_(*always, f"selection.patience={patience}") for patience in (before, after))
    assert untils(done, wanted, 40, longest) == history


def test_changes_one_after_the_other():
    two, four, eight = (with_(f"schedule.epochs={epochs}") for epochs in (2, 4, 8))
    first = past_parts((), two, four, Course(20, PER_EPOCH))
    # Resumed again before the next step, the middle recipe trained nothing.
    assert [part.until for part in past_parts(first, four, eight, Course(20, PER_EPOCH))] == [20]
    assert past_parts(first, four, eight, Course(20, PER_EPOCH))[0].changes[0].after == 8
    # Back to the recipe of all that was trained.
    assert past_parts(first, four, two, Course(20, PER_EPOCH)) == ()
    second = past_parts(first, four, eight, Course(30, PER_EPOCH))
    assert [(part.until, part.recipe_hash) for part in second] == [(20, two.hash()), (30, four.hash())]
    # Resumed without a change it stays.
    assert past_parts(second, eight, eight, Course(60, PER_EPOCH)) == second
    # Put back by damaged checkpoints: to step 25, and before the first change.
    assert [part.until for part in past_parts(second, eight, eight, Course(25, PER_EPOCH))] == [20, 25]
    assert [part.until for part in past_parts(second, eight, eight, Course(15, PER_EPOCH))] == [15]
    assert past_parts(second, eight, eight, Course(0, PER_EPOCH)) == ()


LENGTHS = st.integers(1, 6)
KINDS = st.sampled_from(["constant", "step", "poly", "cosine"])


def rate(kind: str, length: int, warm: int, step: int) -> float:
    """Learning rate by the formulas of the schema, for a decay that begins after the warm-up."""
    if step < warm:
        return step / warm
    t = min(1.0, (step - warm) / max(1, length * PER_EPOCH - warm))
    if kind == "poly":
        return (1 - t) ** 0.9
    if kind == "cosine":
        import math

        return 0.5 * (1 + math.cos(math.pi * t))
    return 1.0 if kind == "constant" else 0.1 ** (step // PER_EPOCH // 2)


@pytest.mark.heavy
@settings(max_examples=60, deadline=None)
@given(
    kind=KINDS, warm=st.sampled_from([0, 3, 15]), resumes=st.lists(st.tuples(LENGTHS, st.integers(0, 60)), min_size=1)
)
def test_a_run_without_history_has_the_rates_of_an_undisturbed_one(
    kind: str, warm: int, resumes: list[tuple[int, int]]
):
    fixed = (f"schedule.kind={kind}", f"schedule.warmup_iterations={warm}", "schedule.step_epochs=2")
    length, rates = 6, []
    current, parts = with_("schedule.epochs=6", *fixed), ()
    for after, more in resumes:
        while len(rates) < min(length * PER_EPOCH, more):
            rates.append(rate(kind, length, warm, len(rates)))
        if after * PER_EPOCH < len(rates):
            continue  # refused: it would end before the steps it has done
        wanted = with_(f"schedule.epochs={after}", *fixed)
        parts = past_parts(parts, current, wanted, Course(len(rates), PER_EPOCH))
        current, length = wanted, after
        undisturbed = [rate(kind, length, warm, step) for step in range(len(rates))]
        assert (parts == ()) == (undisturbed == rates)
        assert [part.until for part in parts] == sorted({part.until for part in parts})


def leaves(part: Any, prefix: str = "") -> list[str]:
    found = []
    for field in msgspec.structs.fields(part):
        value = getattr(part, field.name)
        nested = isinstance(value, Part | Spec)
        found += leaves(value, f"{prefix}{field.name}.") if nested else [f"{prefix}{field.name}"]
    return found


OTHER: dict[str, Any] = {"schedule.iterations": None, "selection.weights": "best", "selection.every_epochs": 0}


def test_every_field_of_a_recipe_is_resumable_history_or_refused():
    # A field without a role is refused, so a new one is on the safe side until somebody decides otherwise.
    free = set(fields_with(Role.OPERATIONAL))
    history = set(fields_with(Role.LENGTH))
    assert history == {"schedule.epochs", "schedule.iterations", "selection.patience"}
    assert free == {"data.workers", "data.cache", "checkpoints"}
    assert set(RESUMABLE_CHANGES) == free | history
    names = leaves(recipe("unet-resnet18"))
    assert len(names) > 100
    allowed = fields_with(Role.CLAIM, Role.TEXT, Role.DISPLAY, Role.PLACE, Role.MOVABLE)
    for name in names:
        changed = replaced(recipe("unet-resnet18"), name.split("."))
        if is_in(name, (*RESUMABLE_CHANGES, *allowed)):
            refuse_other_experiment(recipe("unet-resnet18"), changed)
            continue
        with pytest.raises(CheckpointError) as caught:
            refuse_other_experiment(recipe("unet-resnet18"), changed)
        assert caught.value.code == "K430"
        assert name in caught.value.message


def replaced(part: Any, path: list[str]) -> Any:
    """A copy with another value at the path, whatever it means: `force_setattr` passes by the checks of values."""
    value = getattr(part, path[0])
    new = replaced(value, path[1:]) if path[1:] else {"other": "value"}
    copied = msgspec.structs.replace(part)
    msgspec.structs.force_setattr(copied, path[0], new)
    return copied


def test_a_stage_of_another_length_is_history(tmp_path: Path):
    staged = with_(
        "schedule.epochs=4",
        'stages=[{name="first", overrides=["optimizer.lr=0.01"]}, {name="second", overrides=["schedule.epochs=2"]}]',
    )
    assert past_stages(tmp_path, staged) == ()
    for name, overrides in (("first", ["optimizer.lr=0.01"]), ("second", ["schedule.epochs=2"])):
        folder = tmp_path / "stages" / name
        folder.mkdir(parents=True)
        write_recipe(folder, apply_overrides(with_("schedule.epochs=4"), overrides))
    assert past_stages(tmp_path, staged) == ()
    (part,) = past_stages(tmp_path, apply_overrides(staged, ["schedule.epochs=8"]))
    assert part.in_words == "stage 'first' was trained with schedule.epochs=4, not 8"


def test_a_teacher_may_move_but_its_weights_may_not_change():
    begun = with_("teacher=runs/a", f"teacher_sha256=[{'ab' * 32}]")
    moved = apply_overrides(begun, ["teacher=runs/b"])
    assert moved.distillation.teacher_sha256 == ()
    refuse_other_experiment(begun, moved)
    for changes in ([f"teacher_sha256=[{'cd' * 32}]"], ["match=channels"], ["distillation=none"]):
        with pytest.raises(CheckpointError, match=r"distillation\.") as caught:
            refuse_other_experiment(begun, apply_overrides(begun, changes))
        assert caught.value.code == "K430"
