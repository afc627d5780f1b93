from pathlib import Path

import msgspec
import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Group, Optimizer, Schedule
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.history import History
from pixelwise.records.log import AnyRecord, Log, SkippedRecord, StepRecord
from pixelwise.records.standing import Standing
from pixelwise.reports.run.procedure import (
    decay_in_words,
    optimizer_in_words,
    procedures,
    schedule_in_words,
    trained_in_words,
    unreached_rate,
)
from pixelwise.reports.run.records import RunRecords


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(epochs=8, kind="constant"), "8 epochs, a constant rate"),
        (Schedule(epochs=300, kind="step", step_epochs=100), "300 epochs, rate multiplied by 0.1 every 100 epochs"),
        (
            Schedule(epochs=120, kind="step", milestones=(60, 90), gamma=0.25, per="epoch"),
            "120 epochs, rate multiplied by 0.25 at epoch 60 and 90, changing once per epoch",
        ),
        (Schedule(iterations=500, power=1.0), "500 steps, linearly down to 0"),
        (Schedule(iterations=500, min_lr_ratio=0.01), "500 steps, (1 - t)^0.9 down to 1 % of the rate"),
        (Schedule(epochs=250, kind="cosine", min_lr=1e-6), "250 epochs, half a cosine down to 1e-06"),
        (
            Schedule(epochs=2, kind="one-cycle"),
            "2 epochs, one cycle: up from 1/25 within 30 % of the steps, down to 1/250000",
        ),
        (
            Schedule(epochs=2, kind="constant", warmup_iterations=100),
            "2 epochs, a constant rate, after a linear warm-up of 100 steps from 0",
        ),
        (
            Schedule(epochs=2, kind="constant", warmup_share=0.05),
            "2 epochs, a constant rate, after a linear warm-up of 5 % of the steps from 0",
        ),
        (
            Schedule(epochs=9, kind="cosine", warmup="proportional", warmup_epochs=5, warmup_ratio=1e-3),
            "9 epochs, half a cosine down to 0, after a proportional warm-up of 5 epochs from at least 0.1 % of the "
            "rate",
        ),
        (
            Schedule(epochs=9, kind="constant", warmup="constant", warmup_epochs=1, warmup_ratio=0.1),
            "9 epochs, a constant rate, after 1 epoch at 10 % of the rate",
        ),
        (
            Schedule(epochs=9, power=1, warmup_iterations=9, warmup_ratio=0.25, decay_from="start"),
            "9 epochs, linearly down to 0, after a linear warm-up of 9 steps from 25 % of the rate (counted as part of "
            "the decay)",
        ),
    ],
)
def test_a_schedule_reads_as_a_sentence(schedule: Schedule, words: str):
    assert schedule_in_words(schedule) == words


def test_the_learning_rate_is_that_of_the_whole_batch():
    one = apply_overrides(recipe("segformer-b0-cityscapes"), ["sampling.batch_size=4", "sampling.accumulate=1"])
    assert optimizer_in_words(one) == "adamw, betas 0.9 and 0.999, learning rate 3e-05 (6e-05 for 8 images per step)"


def test_weight_decay_says_what_decays():
    assert decay_in_words(Optimizer(lr=1)) == "none"
    alone = Optimizer(lr=1, weight_decay=0.05)
    assert decay_in_words(alone) == "0.05 on weights, but not on biases, normalisation or slopes"
    coupled = Optimizer(kind="sgd", lr=1, weight_decay=5e-4, decay_all=True)
    assert decay_in_words(coupled) == "0.0005 on all parameters, added to the gradient"
    assert decay_in_words(Optimizer(lr=1, groups=(Group(pattern="x", weight_decay=0.1),))).startswith("0 on weights")


def test_groups_have_their_rates_and_the_rest_comes_last():
    (one,) = procedures(recipe("segformer-b0-cityscapes"))
    assert one.name == ""
    head, norms, others = one.groups
    assert tuple(head) == (r"names that match ^head\.", "10", "0.0006", "0.01")
    assert norms.decay == "0"
    assert tuple(others) == ("all others", "1", "6e-05", "0.01")


def test_parameters_without_a_learning_rate_are_frozen():
    still = msgspec.structs.replace(
        recipe("unet-resnet18"), optimizer=Optimizer(lr=1, groups=(Group(pattern="e", lr=0.0),))
    )
    assert procedures(still)[0].groups[0].rate == "frozen"


def test_stages_come_before_what_begins_with_them():
    first, second = procedures(recipe("erfnet-cityscapes"))
    assert (first.name, second.name) == ("Stage 1: encoder", "Stage 2, starting from the result of encoder")
    assert "model.part=encoder" in dict(first.facts)["Overrides"]
    assert "Overrides" not in dict(second.facts)


def as_logged(records: list[AnyRecord], images: int, *overrides: str) -> RunRecords:
    """Records of a run of 8 steps that was trained on so many images."""
    base = ["sampling.batch_size=4", "sampling.drop_last=false", "schedule.epochs=4", *overrides]
    return RunRecords(
        folder=Path("run"),
        recipe=apply_overrides(recipe("unet-resnet18"), base),
        environment=Environment(),
        history=History(),
        data=DataFacts(images={"train": images}),
        log=Log(tuple(records)),
        evaluations=(),
        training_seconds=None,
        standing=Standing(state="finished"),
    )


def steps(*rates: float) -> list[AnyRecord]:
    return [StepRecord(step=step, epoch=1, loss=1.0, lr=rate) for step, rate in enumerate(rates, start=1)]


def test_what_was_trained_is_counted_in_images():
    assert trained_in_words(as_logged(steps(*[0.001] * 8), 8)) == "8 steps, 4 epochs of 8 images"
    # The last batch of one image is dropped.
    assert trained_in_words(as_logged(steps(*[0.001] * 8), 9)) == "8 steps, 4 epochs of 8 of the 9 images"
    assert trained_in_words(as_logged(steps(0.001), 16)) == "1 step, 0.2 epochs of 16 images"
    skipped = [*steps(0.001), SkippedRecord(step=2)]
    assert trained_in_words(as_logged(skipped, 8)) == "2 steps, 1 epoch of 8 images"
    assert trained_in_words(as_logged(steps(0.001), 0)) == "1 step"


def test_a_learning_rate_that_was_never_reached_is_said():
    assert unreached_rate(as_logged(steps(0.0, 0.00025), 8)) == "at most 0.00025 of 0.001"
    assert unreached_rate(as_logged(steps(0.0, 0.00095), 8)) == ""
    assert unreached_rate(as_logged([], 8)) == ""


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["teacher=runs/a"], "match logits at temperature 1 with weight 1, beside the labels"),
        (
            ["teacher=[a, b]", "match=channels", "distillation.weight=3", "with_labels=false", "views=flip"],
            "match channels at temperature 4 with weight 3, without labels; the average of 2 teachers; "
            "mirror images seen too",
        ),
    ],
)
def test_what_is_learned_from_teachers_is_said(overrides: list[str], words: str):
    alone = recipe("unet-resnet18")
    assert "Distillation" not in dict(procedures(alone)[-1].facts)
    assert dict(procedures(apply_overrides(alone, overrides))[-1].facts)["Distillation"] == words
