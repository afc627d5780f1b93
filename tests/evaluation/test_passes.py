from __future__ import annotations

from pathlib import Path

import pytest
from evaluation.color_model import GreyModel, write_dataset
from evaluation.shards.subjects import random_pairs

from pixelwise.errors import DataError
from pixelwise.evaluation import passes
from pixelwise.evaluation.passes import Pass, ScoringOptions
from pixelwise.recipes.protocols import PROTOCOLS


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Images of two sizes, in batches of up to three, four of which are a block."""
    monkeypatch.setattr(passes, "BLOCK", 4)
    dataset = write_dataset(tmp_path, random_pairs(14))
    return Pass(GreyModel(), dataset, "val", (PROTOCOLS["native"],), ScoringOptions(batch_size=3))


def places(scoring: Pass, chosen: range, failed: list[int] | None = None) -> list[list[int]]:
    note = None if failed is None else lambda place, _: failed.append(place)
    with scoring.batches(chosen, note) as batches:
        return [[one.place for one in batch] for batch in batches]


def test_batches_end_where_sizes_change_and_at_the_same_places_in_every_part(whole: Pass):
    together = places(whole, range(14))
    assert together == [[0, 1, 2], [3, 4], [5, 6, 7], [8, 9], [10, 11], [12], [13]]
    assert places(whole, range(12)) + places(whole, range(12, 14)) == together


def test_a_bad_image_is_an_error_or_told(whole: Pass):
    whole.samples[6].image_path.write_bytes(b"no image")
    with pytest.raises(DataError):
        places(whole, range(14))
    failed: list[int] = []
    assert places(whole, range(5, 8), failed) == [[5, 7]]
    assert failed == [6]
