from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pixelwise.errors import RecipeError
from pixelwise.training.folds.options import CrossvalOptions, refuse_other_changes, refuse_useless
from pixelwise.training.options import ResumeOptions, TrainOptions


def test_a_fold_is_trained_with_the_options_of_all_and_changes_of_its_own():
    options = CrossvalOptions(folds=3, epochs=4, overrides=("optimizer.lr=0.1",), threads=1)
    own = options.of_fold(("evaluation.split=x",))
    assert type(own) is TrainOptions
    assert (own.epochs, own.threads, own.overrides) == (4, 1, ("optimizer.lr=0.1", "evaluation.split=x"))


def test_options_are_recorded_as_plain_values():
    options = CrossvalOptions(folds=3, begin=Path("runs/first"), size=(32, 48), group="^a")
    again = msgspec.convert(options.recorded(), CrossvalOptions, dec_hook=lambda kind, value: kind(value))
    assert again == options


def test_options_of_no_use_are_refused(monkeypatch: pytest.MonkeyPatch):
    refuse_useless(CrossvalOptions())
    with pytest.raises(RecipeError, match="`evaluate` is false") as caught:
        refuse_useless(CrossvalOptions(evaluate=False))
    assert caught.value.code == "R310"
    with pytest.raises(RecipeError, match="`seeds` trains several runs on the same images"):
        refuse_useless(CrossvalOptions(seeds=(2,)))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="cannot be started by a launcher"):
        refuse_useless(CrossvalOptions())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (ResumeOptions(epochs=9), "schedule.epochs=9"),
        (ResumeOptions(overrides=("data.workers=2",)), "data.workers=2"),
        (ResumeOptions(devices=2), "`devices`"),
        (ResumeOptions(evaluate=False), "`evaluate`"),
    ],
)
def test_what_folds_have_in_common_does_not_change(options: ResumeOptions, named: str):
    refuse_other_changes(ResumeOptions(data=Path("elsewhere"), device="cpu"))
    with pytest.raises(RecipeError, match=named) as caught:
        refuse_other_changes(options)
    assert caught.value.code == "R310"
