from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused, refuses

from pixelwise.recipes.schema.training import (
    Checkpoints,
    Ema,
    Group,
    Optimizer,
    Precision,
    Sampling,
    Schedule,
    Selection,
    Stage,
)


def group(**fields: Any) -> Group:
    return Group(**{"pattern": "^head", **fields})


def optimizer(**fields: Any) -> Optimizer:
    return Optimizer(**{"lr": 0.1, **fields})


def schedule(**fields: Any) -> Schedule:
    return Schedule(**{"epochs": 10, **fields})


def steps(**fields: Any) -> Schedule:
    return Schedule(**fields)


def sampling(**fields: Any) -> Sampling:
    return Sampling(**{"batch_size": 2, **fields})


def selection(**fields: Any) -> Selection:
    return Selection(**{"every_epochs": 1, **fields})


# What makes it; field; how its refusal names it; what is accepted, up to the ends; what is refused, just beyond them.
LIMITS: list[tuple[Any, str, str, list[Any], list[Any]]] = [
    (group, "lr", "lr of the group '^head'", [0, 10], [-0.1]),
    (group, "weight_decay", "weight_decay of the group '^head'", [None, 0, 0.1], [-0.1]),
    (optimizer, "lr", "optimizer.lr", [1e-9, 5], [0, -1, math.nan]),
    (optimizer, "lr_batch", "optimizer.lr_batch", [None, 1, 8], [0]),
    (optimizer, "layer_decay", "optimizer.layer_decay", [0.01, 1], [0, 1.01, -0.5]),
    (optimizer, "clip_norm", "optimizer.clip_norm", [None, 0.1], [0, -1]),
    (optimizer, "momentum", "optimizer.momentum", [0, 0.99], [1, -0.1]),
    (optimizer, "betas", "optimizer.betas", [(0, 0), (0.9, 0.999)], [(1, 0.9), (0.9, 1), (-0.1, 0.9)]),
    (optimizer, "weight_decay", "optimizer.weight_decay", [0, 0.1], [-0.1, math.nan]),
    (steps, "epochs", "schedule.epochs", [1, 300], [0, -1]),
    (steps, "iterations", "schedule.iterations", [1, 300], [0, -1]),
    (schedule, "milestones", "schedule.milestones", [(), (1,), (3, 7)], [(0,), (7, 3), (3, 3), (-1, 4)]),
    (schedule, "step_epochs", "schedule.step_epochs", [1], [0]),
    (schedule, "gamma", "schedule.gamma", [0.01, 2], [0, -1]),
    (schedule, "power", "schedule.power", [0.01, 2], [0, -1]),
    (schedule, "min_lr_ratio", "schedule.min_lr_ratio", [0, 1], [-0.1, 1.1]),
    (schedule, "min_lr", "schedule.min_lr", [None, 0, 2.0], [-1e-6]),
    (schedule, "rise", "schedule.rise", [0.01, 0.99], [0, 1, -0.1]),
    (schedule, "start_divisor", "schedule.start_divisor", [1, 25], [0.9]),
    (schedule, "end_divisor", "schedule.end_divisor", [1, 25], [0.9]),
    (schedule, "warmup_ratio", "schedule.warmup_ratio", [0, 1], [-0.1, 1.1]),
    (schedule, "warmup_iterations", "schedule.warmup_iterations", [0, 5], [-1]),
    (schedule, "warmup_epochs", "schedule.warmup_epochs", [0, 5], [-1]),
    (schedule, "warmup_share", "schedule.warmup_share", [0, 0.99], [-0.1, 1]),
    (Ema, "decay", "ema.decay", [0.001, 0.9999], [0, 1, -0.5]),
    (Ema, "ramp", "ema.ramp", [None, 0.5], [0, -1]),
    (Sampling, "batch_size", "sampling.batch_size", [1, 8], [0]),
    (sampling, "accumulate", "sampling.accumulate", [1, 8], [0]),
    (sampling, "seed", "sampling.seed", [0, 8], [-1]),
    (Selection, "every_epochs", "selection.every_epochs", [0, 5], [-1]),
    (selection, "patience", "selection.patience", [None, 1], [0]),
    (selection, "min_delta", "selection.min_delta", [0, 0.1], [-0.1]),
    (Checkpoints, "keep", "checkpoints.keep", [2, 9], [1, 0]),
    (Checkpoints, "every_minutes", "checkpoints.every_minutes", [0.01], [0, -5]),
    (Checkpoints, "every_steps", "checkpoints.every_steps", [None, 1], [0]),
]


@pytest.mark.parametrize(("make", "field", "name", "good", "bad"), LIMITS, ids=[case[2] for case in LIMITS])
def test_values_are_accepted_up_to_the_ends_of_their_range(
    make: Any, field: str, name: str, good: list[Any], bad: list[Any]
):
    for value in good:
        assert getattr(make(**{field: value}), field) == value
    for value in bad:
        refuses(make, field, value, name=name)


def test_the_pattern_of_a_group_is_a_regular_expression():
    assert Group(pattern=r"^encoder\.stages\.\d+\.").pattern == r"^encoder\.stages\.\d+\."
    for pattern in ("[a", "(", "*a"):
        error = refused(Group, pattern=pattern)
        assert error.code == "R203"
        assert f"optimizer.groups: '{pattern}'" in error.message


@given(milestones=st.lists(st.integers(-1, 6), max_size=5))
def test_milestones_are_epochs_that_grow(milestones: list[int]):
    if milestones == sorted(set(milestones)) and all(epoch > 0 for epoch in milestones):
        assert schedule(milestones=tuple(milestones)).milestones == tuple(milestones)
    else:
        refuses(schedule, "milestones", tuple(milestones), name="schedule.milestones")


@pytest.mark.parametrize("given", [{}, {"epochs": 3, "iterations": 40}])
def test_the_length_of_training_is_given_once(given: dict[str, int]):
    error = refused(Schedule, **given)
    assert error.code == "R203"
    assert f"schedule.epochs is {given.get('epochs')} " in error.message
    assert f"schedule.iterations is {given.get('iterations')};" in error.message


def test_a_warm_up_is_given_in_steps_or_in_epochs():
    error = refused(schedule, warmup_iterations=20, warmup_epochs=3)
    assert error.code == "R203"
    assert "schedule.warmup_iterations is 20 " in error.message
    assert "schedule.warmup_epochs is 3;" in error.message
    assert error.help == "set schedule.warmup_epochs=0"
    error = refused(schedule, warmup_iterations=20, warmup_share=0.1)
    assert "schedule.warmup_iterations is 20 and schedule.warmup_share is 0.1;" in error.message


def test_an_exponential_rise_cannot_start_from_nothing():
    assert schedule(warmup="exponential", warmup_ratio=0.001).warmup == "exponential"
    for form in ("linear", "proportional", "constant"):
        assert schedule(warmup=form, warmup_ratio=0).warmup == form
    error = refused(schedule, warmup="exponential")
    assert error.code == "R203"
    assert "schedule.warmup is exponential" in error.message
    assert "schedule.warmup_ratio is 0.0;" in error.message


@pytest.mark.parametrize("warmup", [{"warmup_iterations": 5}, {"warmup_epochs": 1}, {"warmup_share": 0.1}])
def test_one_cycle_has_a_rise_of_its_own(warmup: dict[str, Any]):
    assert schedule(kind="one-cycle").kind == "one-cycle"
    for kind in ("constant", "step", "poly", "cosine"):
        assert schedule(kind=kind, **warmup).kind == kind
    error = refused(schedule, kind="one-cycle", **warmup)
    assert error.code == "R203"
    assert "schedule.kind is one-cycle" in error.message
    (name,) = warmup
    assert f"schedule.{name}=0" in error.help


def test_only_a_compiled_network_is_recorded():
    for compiled, recorded in ((False, False), (True, False), (True, True)):
        assert Precision(compile=compiled, cuda_graphs=recorded).cuda_graphs == recorded
    error = refused(Precision, cuda_graphs=True)
    assert error.code == "R203"
    assert "precision.cuda_graphs" in error.message
    assert "precision.compile=true" in error.help


def test_the_best_weights_and_patience_need_evaluations():
    assert Selection().weights == "last"
    assert selection(weights="best").weights == "best"
    assert selection(patience=3).patience == 3
    for fields, said in (({"weights": "best"}, "'best'"), ({"patience": 3}, "selection.patience is 3")):
        error = refused(Selection, every_epochs=0, **fields)
        assert error.code == "R203"
        assert said in error.message
        assert "selection.every_epochs is 0" in error.message
        assert "selection.every_epochs=1" in error.help


def test_evaluations_follow_a_protocol_that_there_is():
    assert selection(protocol="cityscapes-2048x1024").protocol == "cityscapes-2048x1024"
    assert selection().protocol is None
    error = refused(selection, protocol="cityscapes-2048x1023")
    assert error.code == "R204"
    assert "'cityscapes-2048x1023'" in error.message


@pytest.mark.parametrize("name", ["aux", "com1", "../a", "a/b", "A", ""])
def test_a_stage_has_a_name_that_a_folder_can_have_on_every_system(name: str):
    error = refused(Stage, name=name)
    assert error.code == "R203"
    assert f"stages: '{name}'" in error.message


@pytest.mark.parametrize("name", ["encoder-1", "0", "float"])
def test_small_letters_digits_and_hyphens_name_a_stage(name: str):
    assert Stage(name=name, overrides=("optimizer.lr=1",)).name == name
