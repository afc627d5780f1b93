"""What processes agree on before a step."""

from __future__ import annotations

import signal

import pytest
import torch

from pixelwise.errors import DataError, PixelwiseError
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.catalog import recipe
from pixelwise.training.batches import Batch
from pixelwise.training.signals import StopRequest
from pixelwise.training.together.agreement import NOTHING, Agreed, Loaded, agree
from tests.ranks.processes import in_ranks

RECIPE = recipe("unet-resnet18")


def loaded(label: int) -> Loaded:
    return Loaded([Batch(torch.zeros(1, 2, 2, 3, dtype=torch.uint8), torch.full((1, 2, 2), label), None, ["a"])])


def asked(number: signal.Signals | None) -> StopRequest:
    stop = StopRequest()
    stop.signal = number
    return stop


def test_one_process_agrees_with_itself():
    assert agree(ALONE, asked(None), loaded(3), RECIPE, late=True) == Agreed(None, labelled=True, late=True)
    assert agree(ALONE, asked(signal.SIGINT), NOTHING, RECIPE, late=False) == Agreed(signal.SIGINT, False, False)
    assert not agree(ALONE, asked(None), loaded(255), RECIPE, late=False).labelled


def test_an_error_takes_the_place_of_batches():
    def failing():
        yield from loaded(1).batches
        raise DataError("D101", "b.png cannot be read", "look at it")

    batches = failing()
    assert Loaded.of(batches, 1).error is None
    found = Loaded.of(batches, 1)
    assert found.batches == []
    with pytest.raises(DataError, match=r"b\.png"):
        agree(ALONE, asked(None), found, RECIPE, late=False)


def test_what_one_process_knows_all_know():
    def work(ranks: Ranks) -> list[Agreed | str]:
        second = ranks.rank == 1
        known: list[Agreed | str] = [
            agree(ranks, asked(signal.SIGTERM if second else None), NOTHING, RECIPE, late=False),
            agree(ranks, asked(None), loaded(1 if second else 255), RECIPE, late=False),
            # The clock of the first process alone counts.
            agree(ranks, asked(None), loaded(255), RECIPE, late=second),
            agree(ranks, asked(None), loaded(255), RECIPE, late=not second),
        ]
        own = Loaded([], DataError("D101", "b.png cannot be read", "look at it")) if second else loaded(1)
        try:
            agree(ranks, asked(None), own, RECIPE, late=False)
        except PixelwiseError as error:
            known.append(f"{error.code} {error.message}")
        return known

    expected = [
        Agreed(signal.SIGTERM, False, False), Agreed(None, True, False), Agreed(None, False, False),
        Agreed(None, False, True), "D101 b.png cannot be read",
    ]  # fmt: skip
    assert in_ranks(2, work) == [expected] * 2
