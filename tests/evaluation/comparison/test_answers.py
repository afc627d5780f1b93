"""Cross-validations that are compared: by all images, each by the network that has not seen it."""

import math
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from compared_runs import (
    BAD,
    GOOD,
    OTHER,
    THREE,
    compared,
    counts,
    ids_of,
    refused,
    scored_folds,
    scored_run,
    two_cross_validations,
)

from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.folds.division import HELD_OUT
from pixelwise.records.result import TrainingCost, load_result, save_result
from pixelwise.records.scores import CalibrationBin


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return two_cross_validations(tmp_path)


def test_all_images_are_compared_as_if_one_network_had_predicted_them(two: tuple[Path, Path], tmp_path: Path):
    whole = [
        scored_run(tmp_path / "old-whole", counts(BAD, 1)),
        scored_run(tmp_path / "new-whole", counts(GOOD, 2), overrides=OTHER),
    ]
    found, expected = compared(*two), compared(*whole)
    assert (found.split, found.protocol, found.images, found.units) == ("out-of-fold", "native", 30, 30)
    assert found.pairs[0].miou == expected.pairs[0].miou
    assert list(found.pairs[0].per_class.values()) == list(expected.pairs[0].per_class.values())
    assert [side.miou for side in found.sides] == [side.miou for side in expected.sides]
    assert found.verdict.startswith("new is better than old: mIoU +")
    assert found.remarks[0] == "Each image was scored by the network of a cross-validation that has not seen it."
    assert "further cross-validations with another `--seed` measure it" in found.remarks[1]
    assert found.tables()[0].title == "out-of-fold, native, 30 images"


def test_other_folds_of_the_same_images_are_compared_and_said(two: tuple[Path, Path], tmp_path: Path):
    halves = [range(15), range(15, 30)]
    other = scored_folds(tmp_path / "halves", counts(GOOD, 2), halves, overrides=OTHER)
    found = compared(two[0], other)
    assert found.pairs[0].miou == compared(*two).pairs[0].miou
    assert "not divided into the same folds (2 and 3 folds)" in " ".join(found.remarks)
    turned = scored_folds(tmp_path / "turned", counts(GOOD, 2), THREE[::-1], overrides=OTHER)
    assert "same folds" not in " ".join(compared(two[0], turned).remarks)
    shifted = [range(10), range(10, 20), range(20, 30)]
    again = scored_folds(tmp_path / "shifted", counts(GOOD, 2), shifted, overrides=OTHER)
    assert "into the same folds, so" in " ".join(compared(two[0], again).remarks)


def test_cross_validations_that_differ_in_their_seed_alone_are_one_side(two: tuple[Path, Path], tmp_path: Path):
    again = scored_folds(tmp_path / "old-2", counts(BAD, 3), THREE, seed=1)
    found = compared(*two, again)
    best, other = found.sides
    assert (best.runs, best.seeds) == ((str(two[1]),), (0,))
    assert (other.runs, other.seeds) == ((str(two[0]), str(again)), (0, 1))
    assert other.deviation is not None
    assert len(compared(*two, again, each=True).sides) == 3
    # Half as many folds see fewer images: that is another experiment.
    halves = scored_folds(tmp_path / "halves", counts(BAD, 3), [range(15), range(15, 30)], seed=2)
    assert len(compared(*two, halves).sides) == 3


def test_what_no_fold_divides_is_drawn_as_a_whole(tmp_path: Path):
    ids = [f"{'north' if place % 3 else 'south'}{place % 5}-{name}" for place, name in enumerate(ids_of(30))]
    pair = [
        scored_folds(tmp_path / name, counts(GOOD, seed), THREE, ids=ids, group="^[a-z]+[0-9]", overrides=(change,))
        for seed, (name, change) in enumerate((("a", "optimizer.lr=0.1"), ("b", "optimizer.lr=0.2")))
    ]
    found = compared(*pair)
    assert found.units == len({id[:6] for id in ids}) == 10
    assert found.remarks[0] == "Images of one group may be alike, so the 10 groups were drawn, not the 30 images."
    assert compared(*pair, group="north|south").units == 2
    plain = scored_folds(tmp_path / "plain", counts(GOOD, 4), THREE, ids=ids, overrides=OTHER)
    assert compared(plain, pair[0]).units == compared(pair[0], plain).units == 10
    # A group that several folds hold parts of is one unit, in which a class is labelled if it is in any part.
    one = compared(*pair, group="^[a-z]+").pairs[0]
    assert one.miou.interval is not None


def test_groups_of_both_are_drawn_as_a_whole_in_either_order(tmp_path: Path):
    # Ten groups by the first letter, six by the second: what is equal modulo 10 or modulo 6 hangs together modulo 2.
    ids = [f"{'abcdefghij'[place % 10]}{'nopqrs'[place % 6]}-{name}" for place, name in enumerate(ids_of(30))]
    groups = {"^[a-j]": 10, "^.([n-s])": 6}
    one, other = (
        scored_folds(tmp_path / f"{units}", counts(GOOD, units), THREE, ids=ids, group=group, overrides=OTHER[:place])
        for place, (group, units) in enumerate(groups.items())
    )
    first, second = compared(one, other), compared(other, one)
    assert first.units == second.units == 2
    assert first.pairs[0].miou.interval is not None
    for group, units in groups.items():
        assert compared(one, other, group=group).units == units


def test_a_fold_that_was_scored_again_on_other_masks_counts_as_the_cross_validation_has_it(
    two: tuple[Path, Path], tmp_path: Path
):
    expected = compared(*two)
    for run in two:
        usual = evaluation_folder(run / "fold-0", HELD_OUT, "native")
        for name in ("held-out-native-photos-0a1b2c3d", "held-out-native-later"):
            again = shutil.copytree(usual, usual.with_name(name))
            result = load_result(again)
            matrix = tuple(tuple(2 * cell for cell in row) for row in result.confusion_matrix)
            changed = msgspec.structs.replace(result, confusion_matrix=matrix, data_fingerprint="corrected")
            save_result(changed, (), again)
    found = compared(*two)
    assert found.pairs[0].miou == expected.pairs[0].miou


def test_images_of_split_folders_are_grouped_by_their_own_names(tmp_path: Path):
    ids = [f"{'train' if place % 2 else 'val'}/{place % 10}x{name}" for place, name in enumerate(ids_of(30))]
    pair = [
        scored_folds(
            tmp_path / f"{seed}", counts(GOOD, seed), THREE, ids=ids, group="^.x", overrides=(f"name=n{seed}",)
        )
        for seed in (1, 2)
    ]
    assert compared(*pair, each=True).units == 10


def test_calibration_is_that_of_all_pixels_and_boundaries_are_left_out(two: tuple[Path, Path], tmp_path: Path):
    # Two bins: 10 pixels, 5 right, confidence 8 in all; 30 pixels, 30 right, confidence 27. ECE (3 + 3) / 40.
    bins = [((10, 5, 8.0),), ((20, 20, 18.0),), ((10, 10, 9.0),)]
    empty = (0, 0, 0.0)
    for run in two:
        for fold, ((own,), place) in enumerate(zip(bins, (0, 1, 1), strict=True)):
            rescored(run / f"fold-{fold}", [own if place == 0 else empty, own if place == 1 else empty])
    found = compared(*two)
    assert [side.calibration_error for side in found.sides] == pytest.approx([6 / 40, 6 / 40])
    assert [side.boundary_miou for side in found.sides] == [None, None]


def rescored(fold: Path, bins: list[tuple[int, int, float]]) -> None:
    """Write calibration bins, a boundary IoU and a cost into the result of a fold."""
    place = evaluation_folder(fold, "held-out", "native")
    cost = TrainingCost(steps=5, seconds=1.0, peak_memory_bytes=1, planned_steps=5)
    changed = msgspec.structs.replace(
        load_result(place),
        calibration=tuple(CalibrationBin(*one) for one in bins),
        calibration_error=0.5,
        boundary_miou=0.7,
        training=cost,
    )
    save_result(changed, (), place)


def test_the_networks_together_are_compared_with_a_run_on_other_data(two: tuple[Path, Path], tmp_path: Path):
    elsewhere = {"split": "test", "data_fingerprint": "new", "own_data": False, "data": "/new"}
    run = scored_run(tmp_path / "run", counts(GOOD, 2))
    for path, seed in ((run, 4), (two[0], 5)):
        scored_run(path, counts(GOOD, seed), **elsewhere)
    (two[0] / "recipe.toml").unlink()
    (two[0] / "environment.json").unlink()
    for pair in ((run, two[0]), (two[0], run)):
        found = compared(*pair)
        assert (found.split, found.images) == ("test", 30)
        assert "has not seen it" not in " ".join(found.remarks)
    error = refused(two[0], two[1], split="test")
    assert f"pixelwise evaluate {two[1]} --data FOLDER --split test" in (error.help or "")


def test_what_is_not_finished_or_not_right_is_said(two: tuple[Path, Path], tmp_path: Path):
    place = evaluation_folder(two[1] / "fold-1", "held-out", "native")
    kept = (place / "images.jsonl").read_text()
    (place / "images.jsonl").write_text("".join(kept.splitlines(keepends=True)[:-1]))
    with pytest.raises((DataError, RecipeError)):
        compared(*two)
    (place / "images.jsonl").unlink()
    error = refused(*two)
    assert (error.code, str(place) in error.message) == ("R304", True)
    (place / "result.json").unlink()
    with pytest.raises(CheckpointError, match="fold-1 of its 3 folds is not trained and scored") as caught:
        compared(*two)
    assert caught.value.help == f"continue with: pixelwise resume {two[1]}"


def test_a_mean_of_unlabelled_images_is_not_a_number(tmp_path: Path):
    pair = [
        scored_folds(tmp_path / name, np.zeros((4, 3, 3), np.int64), [range(2), range(2, 4)], overrides=(change,))
        for name, change in (("a", "optimizer.lr=0.1"), ("b", "optimizer.lr=0.2"))
    ]
    found = compared(*pair)
    assert all(side.miou.value is None or math.isnan(side.miou.value) for side in found.sides)
