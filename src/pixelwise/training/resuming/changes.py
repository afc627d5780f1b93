"""Changes of the recipe with which a run is resumed: which are possible, and whether they make it another experiment.

A change that an undisturbed run would not show, such as more epochs at a constant learning rate or during a warm-up of
fixed length, leaves no trace: the resumed run equals a run of the new recipe. Any other becomes part of its history.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.errors import CheckpointError
from pixelwise.recipes.lengths import total_steps
from pixelwise.recipes.overrides import flat_fields
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.recipe import Recipe, Role, fields_with, to_plain
from pixelwise.recipes.schema.roles import is_in
from pixelwise.records.history import Change, PastPart, run_hash
from pixelwise.records.run_folder import is_run, read_recipe
from pixelwise.training.optimization.schedules import base_learning_rate, learning_rate, lr_shape
from pixelwise.training.stages import STAGES, stage_recipe

RESUMABLE_CHANGES = fields_with(Role.LENGTH, Role.OPERATIONAL)
"""Fields that may change when a run is resumed; all others are refused (K430), since no schedule connects them."""
OPERATIONAL = fields_with(Role.OPERATIONAL)
"""Fields among them that concern only the use of the machine."""

NOT_COMPARABLE = "the result is not that of a run with these settings from its first step, and its recipe hash says so"


class Course(NamedTuple):
    """The facts about a run so far that decide whether a change would have made a difference.

    Attributes:
        step: Number of steps done.
        steps_per_epoch: Number of optimizer steps per epoch.
        longest_stale: Largest number of evaluations in a row without an improvement.
    """

    step: int
    steps_per_epoch: int
    longest_stale: int = 0


def differences(before: Recipe, after: Recipe) -> list[Change]:
    """The fields in which two recipes differ, by name."""
    old, new = flat_fields(before), flat_fields(after)
    keys = sorted({*old, *new})
    return [Change(field=key, before=old.get(key), after=new.get(key)) for key in keys if old.get(key) != new.get(key)]


def refuse_other_experiment(recipe: Recipe, changed: Recipe) -> None:
    """Refuse changes of anything but length, use of the machine, texts, colours, paths and the published claim.

    A teacher of another place has no hash until `with_teachers` has read its weights, and held them against the run's.

    Raises:
        CheckpointError: K430, with the fields and their values.
    """
    allowed = (*RESUMABLE_CHANGES, *fields_with(Role.CLAIM, Role.TEXT, Role.DISPLAY, Role.PLACE, Role.MOVABLE))
    taught = changed.distillation
    unread = ("distillation.teacher_sha256",) if taught.teachers and not taught.teacher_sha256 else ()
    forbidden = [one for one in differences(recipe, changed) if not is_in(one.field, (*allowed, *unread))]
    if forbidden:
        shown = "; ".join(f"{one.field}: {one.before} -> {one.after}" for one in forbidden)
        raise CheckpointError(
            "K430",
            f"these changes would make it another experiment: {shown}",
            f"`resume` can change {', '.join(RESUMABLE_CHANGES)}; start a new run to change anything else",
        )


def past_parts(past: Sequence[PastPart], current: Recipe, wanted: Recipe, course: Course) -> tuple[PastPart, ...]:
    """The parts of a run that an undisturbed run of `wanted` would not have in common with it.

    Args:
        past: The run's own parts so far, in order.
        current: The recipe after the last of them, with which the run was trained up to `course.step`.
        wanted: The recipe from there on.
        course: Facts about the run so far.

    Returns:
        The parts in order; empty if the run so far equals the beginning of an undisturbed run of `wanted`.
    """
    trained: list[tuple[int, Recipe]] = []
    for until, recipe in (*((part.until, from_plain(part.recipe)) for part in past), (course.step, current)):
        # A damaged checkpoint may have put the run back before an earlier change, and no step may lie between two.
        end = min(until, course.step)
        if end > (trained[-1][0] if trained else 0):
            trained.append((end, recipe))
    while trained:
        begin = trained[-2][0] if len(trained) > 1 else 0
        end, recipe = trained[-1]
        if not _same_course(recipe, wanted, range(begin, end), course):
            break
        trained.pop()
    if not trained:
        return ()
    following = [*(recipe for _, recipe in trained[1:]), wanted]
    return tuple(
        PastPart(
            until=until,
            recipe_hash=recipe.hash(),
            recipe=to_plain(recipe),
            changes=tuple(one for one in differences(recipe, after) if is_in(one.field, fields_with(Role.LENGTH))),
            lr=_rates(recipe, after, until, course.steps_per_epoch),
        )
        for (until, recipe), after in zip(trained, following, strict=True)
    )


def past_stages(run: Path, wanted: Recipe) -> tuple[PastPart, ...]:
    """The stages of a run that were trained with another length than its recipe gives them.

    A stage that had begun keeps its own length when the run is resumed with another one.

    Args:
        run: The run folder.
        wanted: The recipe of the run.
    """
    found = []
    for stage in wanted.stages:
        folder = run / STAGES / stage.name
        if not is_run(folder):
            continue
        trained = read_recipe(folder)
        changes = [
            one
            for one in differences(trained, stage_recipe(wanted, stage))
            if is_in(one.field, fields_with(Role.LENGTH))
        ]
        if changes:
            hashed = run_hash(folder, trained)
            found.append(PastPart(stage=stage.name, recipe_hash=hashed, changes=tuple(changes)))
    return tuple(found)


def _same_course(done: Recipe, wanted: Recipe, steps: range, course: Course) -> bool:
    """Whether steps trained under `done` equal those of `wanted`: learning rates, evaluations that matter, no end."""
    per_epoch = course.steps_per_epoch
    schedules = done.schedule, wanted.schedule
    if schedules[0] != schedules[1]:
        for step in steps:
            first, second = (lr_shape(schedule, step, per_epoch) for schedule in schedules)
            if first != second:
                return False
    lengths = [total_steps(schedule, per_epoch) for schedule in schedules]
    selection = wanted.selection
    if selection.every_epochs and (selection.weights == "best" or selection.patience is not None):
        # The end of a run is evaluated whatever the interval; an undisturbed longer run goes past it.
        off_grid = lengths[0] % (selection.every_epochs * per_epoch) != 0
        if steps.stop == lengths[0] != lengths[1] and off_grid:
            return False
    before, after = done.selection.patience, selection.patience
    if after is None or (before is not None and after >= before):
        return True
    # With less patience, an undisturbed run might have ended earlier.
    return course.longest_stale < after


def _rates(before: Recipe, after: Recipe, step: int, steps_per_epoch: int) -> tuple[float, float] | None:
    """Base learning rates of the last step of one recipe and the next one of another, if there is one."""
    if step >= total_steps(after.schedule, steps_per_epoch):
        return None
    old, new = (
        learning_rate(recipe.schedule, base_learning_rate(recipe.optimizer, recipe.sampling), at, steps_per_epoch)
        for recipe, at in ((before, step - 1), (after, step))
    )
    return old, new
