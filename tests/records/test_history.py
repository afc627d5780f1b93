from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pixelwise.errors import CheckpointError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import to_plain
from pixelwise.records.history import (
    Change,
    History,
    PastPart,
    experiment_hash,
    read_history,
    run_hash,
    write_history,
)

SHORT = apply_overrides(recipe("enet-camvid"), ["schedule.epochs=4"])
LONG = apply_overrides(recipe("enet-camvid"), ["schedule.epochs=8"])
PART = PastPart(
    until=40,
    recipe_hash=SHORT.hash(),
    recipe=to_plain(SHORT),
    changes=(Change(field="schedule.epochs", before=4, after=8),),
    lr=(1e-5, 5e-4),
)


def test_without_a_history_the_hash_is_the_recipes():
    assert experiment_hash(LONG, History()) == LONG.hash()


def test_with_a_history_it_is_made_of_all_recipes_and_steps():
    expected = hashlib.sha256(json.dumps([[["", 40, SHORT.hash()]], LONG.hash()], separators=(",", ":")).encode())
    assert experiment_hash(LONG, History(parts=(PART,))) == expected.hexdigest()
    later = PastPart(until=50, recipe_hash=SHORT.hash())
    assert experiment_hash(LONG, History(parts=(later,))) != expected.hexdigest()


def test_stopped_before_the_new_recipe_was_written_the_run_is_still_undisturbed():
    assert experiment_hash(SHORT, History(parts=(PART,))) == SHORT.hash()


def test_a_stage_of_another_length_counts():
    stage = PastPart(stage="encoder", recipe_hash=SHORT.hash())
    assert experiment_hash(SHORT, History(parts=(stage,))) != SHORT.hash()


def test_a_history_is_read_back_and_removed(tmp_path: Path):
    history = History(parts=(PastPart(stage="encoder", recipe_hash="ab"), PART))
    write_history(tmp_path, history)
    assert read_history(tmp_path) == history
    assert run_hash(tmp_path, LONG) == experiment_hash(LONG, history)
    write_history(tmp_path, History())
    assert list(tmp_path.iterdir()) == []
    write_history(tmp_path, History())
    assert read_history(tmp_path) == History()


def test_a_damaged_history_is_not_taken_for_none(tmp_path: Path):
    (tmp_path / "history.json").write_text("{", encoding="utf-8", newline="\n")
    with pytest.raises(CheckpointError) as caught:
        run_hash(tmp_path, LONG)
    assert caught.value.code == "K423"


def test_parts_in_words():
    assert PART.in_words == (
        "resumed at step 40 with schedule.epochs=8 (was 4): the learning rate goes from 1e-05 to 0.0005"
    )
    stage = PastPart(stage="encoder", changes=(Change(field="schedule.epochs", before=4, after=8),))
    assert stage.in_words == "stage 'encoder' was trained with schedule.epochs=4, not 8"


def test_the_overrides_of_a_change_can_be_given_again():
    changes = (
        Change(field="schedule.epochs", before=4),
        Change(field="schedule.iterations", after=90),
        Change(field="selection.patience", before=3),
    )
    assert PastPart(until=9, changes=changes).overrides == ("schedule.iterations=90", "selection.patience=none")
