"""What processes do that carry out a call: they begin it, or go on with it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pixelwise.api.process import continuing
from pixelwise.api.together import Call
from pixelwise.training.options import ResumeOptions, TrainOptions


def call(function: str, run: Path | None) -> Call:
    options = TrainOptions(evaluate=False, epochs=7)
    return Call(function, ("unet", None, run), {"options": options}, address="", key=b"", run=run)


@pytest.mark.parametrize(("function", "begun"), [("train", False), ("resume", True), ("evaluate", True)])
def test_a_call_that_is_carried_out_as_it_is(function: str, begun: bool, tiny_run: Path, tmp_path: Path):
    asked = call(function, tiny_run if begun else tmp_path)
    assert continuing(asked) is asked


def test_a_training_that_earlier_processes_have_begun_goes_on(tiny_run: Path):
    asked = call("train", tiny_run)
    expected = msgspec.structs.replace(
        asked, function="resume", arguments=(tiny_run,), keywords={"options": ResumeOptions(evaluate=False)}
    )
    assert continuing(asked) == expected
