import shlex
from pathlib import Path

import msgspec
import numpy as np
import pytest
from compared_runs import (
    BAD,
    GOOD,
    OTHER,
    compared,
    counts,
    drawn,
    ids_of,
    iou_of,
    refused,
    scored_run,
)

from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.evaluation.comparison.comparing import compare_runs, pair_of
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.folds.division import Division, write_division
from pixelwise.records.result import TrainingCost, load_result
from pixelwise.records.seeds.folder import SeedsRecord, write_seeds


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return scored_run(tmp_path / "old", counts(BAD, 1)), scored_run(tmp_path / "new", counts(GOOD, 2), overrides=OTHER)


def test_the_better_run_is_named_only_where_the_interval_says_so(two: tuple[Path, Path], tmp_path: Path):
    found = compared(*two)
    (pair,) = found.pairs
    expected = iou_of(counts(GOOD, 2)) - iou_of(counts(BAD, 1))
    assert pair.miou.value == pytest.approx(expected.mean())
    assert [one.value for one in pair.per_class.values()] == pytest.approx(list(expected))
    assert found.verdict.startswith("new is better than old: mIoU +")
    assert compared(*two[::-1]).verdict == found.verdict
    assert [side.name for side in found.sides] == ["new", "old"]
    assert [side.letters for side in found.sides] == ["a", "b"]
    assert (found.images, found.units) == (30, 30)
    alike = scored_run(tmp_path / "alike", counts(GOOD, 3), overrides=("optimizer.lr=0.3",))
    assert compared(two[1], alike).verdict.startswith("not separated: alike has ")
    assert found == compared(*two)


def test_three_sides_have_letters(two: tuple[Path, Path], tmp_path: Path):
    alike = scored_run(tmp_path / "alike", counts(GOOD, 3), overrides=("optimizer.lr=0.3",))
    found = compared(*two, alike)
    assert {side.name: side.letters for side in found.sides} == {"new": "a", "alike": "a", "old": "b"}
    assert {side.name: side.separated for side in found.sides} == {"new": False, "alike": False, "old": True}
    assert len(found.pairs) == 3
    assert "not separated from it: " in found.verdict


def test_runs_that_differ_in_their_seed_alone_are_one_side(tmp_path: Path, two: tuple[Path, Path]):
    more = [scored_run(tmp_path / f"old-{seed}", counts(BAD, seed + 10), seed) for seed in (1, 2)]
    found = compared(two[0], *more, two[1])
    assert {side.name: side.seeds for side in found.sides} == {"old*": (0, 1, 2), "new": (0,)}
    side = next(side for side in found.sides if len(side.runs) == 3)
    scores = [iou_of(counts(BAD, seed)).mean() for seed in (1, 11, 12)]
    assert side.miou.value == pytest.approx(np.mean(scores))
    assert side.deviation == pytest.approx(np.std(scores, ddof=1))
    assert any("new is a single run" in remark for remark in found.remarks)
    assert len(compared(two[0], *more, each=True).sides) == 3
    alone = compared(two[0], *more)
    assert alone.pairs == ()
    assert alone.verdict.endswith("over 3 runs")


def test_a_copy_counts_once(tmp_path: Path, two: tuple[Path, Path]):
    copy = scored_run(tmp_path / "copy", counts(BAD, 1))
    found = compared(two[0], copy, two[1])
    assert sum(len(side.runs) for side in found.sides) == 2
    assert "holds the same weights" in found.remarks[0]
    with pytest.raises(RecipeError) as caught:
        compared(two[0], copy)
    assert caught.value.code == "R300"
    assert compared(two[0], copy, each=True).pairs[0].miou.p == 1


def test_images_of_a_series_are_drawn_together(tmp_path: Path):
    # Twelve series of five images that are equal: the images say five times less than their number.
    ids = [f"{name}_{frame}" for name in ids_of(12, "s{}") for frame in range(5)]
    accuracies = (GOOD + BAD) / 2, GOOD
    runs = [
        scored_run(
            tmp_path / f"r{number}", counts(one, number, 12).repeat(5, axis=0), ids=ids,
            overrides=(f"optimizer.lr=0.{number + 1}",),
        )
        for number, one in enumerate(accuracies)
    ]  # fmt: skip
    found, by_image = compared(*runs), compared(*runs, group=".*")
    assert (found.images, found.units, by_image.units) == (60, 12, 60)
    assert "12 groups were drawn" in found.remarks[0]
    together, alone = (one.pairs[0].miou.interval for one in (found, by_image))
    assert together is not None
    assert alone is not None
    assert together[1] - together[0] == pytest.approx((alone[1] - alone[0]) * 5**0.5, rel=0.25)
    few = [f"{name}_{frame}" for name in ("north", "south") for frame in range(15)]
    pair = [scored_run(tmp_path / n, counts(GOOD, i), ids=few, overrides=(f"optimizer.lr=0.{i}",))
            for i, n in ((1, "a"), (2, "b"))]  # fmt: skip
    assert any("show 2 series" in remark for remark in compared(*pair).remarks)
    assert compared(*pair, group="north|south").units == 2


def test_what_cannot_be_compared_is_refused_with_a_way_out(tmp_path: Path, two: tuple[Path, Path]):
    matrices = counts(GOOD, 4)
    protocol = scored_run(tmp_path / "protocol", matrices, protocol="camvid-480x360")
    error = refused(two[0], protocol)
    assert error.code == "R301"
    assert "old is scored on val under native" in error.message
    assert "protocol is scored on val under camvid-480x360" in error.message
    assert f"pixelwise evaluate {protocol} --split val --protocol native" in error.help
    data = scored_run(tmp_path / "data", matrices, data_fingerprint="other", data="/elsewhere")
    error = refused(data, two[0])
    assert error.code == "R302"
    assert f"pixelwise evaluate {two[0]} --data /elsewhere --split val --protocol native" in error.help
    classes = scored_run(tmp_path / "classes", drawn(np.random.default_rng(0), np.full((30, 2), 9), GOOD[:2]))
    assert refused(two[0], classes).code == "R303"
    assert "hut of the first alone" in refused(two[0], classes).message
    labels = scored_run(tmp_path / "labels", matrices + 1)
    assert refused(two[0], labels).code == "R303"
    assert refused(two[0]).code == "R300"
    assert refused(*two, split="test").code == "R301"
    (evaluation_folder(two[1], "val", "native") / "images.jsonl").unlink()
    assert refused(*two).code == "R304"
    with pytest.raises(CheckpointError):
        compared(two[0], tmp_path)


def test_another_question_that_all_have_answered_is_taken(tmp_path: Path, two: tuple[Path, Path]):
    for number, run in enumerate(two):
        scored_run(run, counts(GOOD, number), split="test", overrides=(f"optimizer.lr=0.{number + 1}",))
    (evaluation_folder(two[1], "val", "native") / "result.json").unlink()
    assert compared(*two).split == "test"
    assert compared(*two, split="test").split == "test"


def test_the_pair_of_two_results(two: tuple[Path, Path]):
    folders = evaluation_folder(two[0], "val", "native"), evaluation_folder(two[1], "val", "native")
    results = load_result(folders[0]), load_result(folders[1])
    found = pair_of(("old", "new"), results, folders)
    assert found is not None
    assert found.miou.value == compare_runs(two, CompareOptions()).pairs[0].miou.value
    assert found.miou.separated
    (folders[0] / "images.jsonl").unlink()
    assert pair_of(("old", "new"), results, folders) is None


def test_sides_of_runs_that_are_numbered_in_turn_are_told_apart(tmp_path: Path):
    runs = [
        scored_run(tmp_path / f"r-{i}", counts((BAD, GOOD)[i % 2], i), i, overrides=(OTHER if i % 2 else ()))
        for i in range(4)
    ]
    found = compared(*runs)
    assert {side.name: len(side.runs) for side in found.sides} == {"r-0 and 1 more": 2, "r-1 and 1 more": 2}
    assert {side.letters for side in found.sides} in ({"a", "b"}, {"a"})
    (row, *_) = found.tables()[-1].rows
    assert row[1] != row[2]


def test_half_a_training_is_no_seed_of_a_whole_one(tmp_path: Path):
    half, whole, ended = (
        TrainingCost(steps=steps, seconds=1, peak_memory_bytes=1, planned_steps=planned)
        for steps, planned in ((50, 100), (100, 100), (70, 70))
    )
    runs = [
        scored_run(tmp_path / name, counts(GOOD, seed), seed, training=cost)
        for seed, (name, cost) in enumerate((("h0", half), ("h1", half), ("whole", whole), ("ended", ended)))
    ]
    found = compared(*runs)
    assert {len(side.runs) for side in found.sides} == {2}
    assert [side.seeds for side in sorted(found.sides, key=lambda side: side.seeds)] == [(0, 1), (2, 3)]
    said = [remark for remark in found.remarks if "50 of 100 steps" in remark]
    assert [str(run) in " ".join(said) for run in runs] == [True, True, False, False]


def test_one_run_by_two_paths_is_one_run(tmp_path: Path, two: tuple[Path, Path]):
    (tmp_path / "link").symlink_to(two[0], target_is_directory=True)
    found = compared(two[0], two[0] / ".." / "old", tmp_path / "link", two[1], each=True)
    assert [side.name for side in found.sides] == ["new", "old"]
    assert "is all there is" in refused(two[0], tmp_path / "link").message


def test_the_same_seed_twice_is_said(tmp_path: Path, two: tuple[Path, Path]):
    again = scored_run(tmp_path / "old-again", counts(BAD, 5))
    assert any("old* has several runs of seed 0" in remark for remark in compared(*two, again).remarks)
    assert not any("several runs" in remark for remark in compared(*two, again, each=True).remarks)


def test_counts_of_another_evaluation_are_not_compared(two: tuple[Path, Path], tmp_path: Path):
    later = scored_run(tmp_path / "later", counts(GOOD, 9))
    folders = [evaluation_folder(run, "val", "native") for run in (later, two[1])]
    (folders[1] / "images.jsonl").write_bytes((folders[0] / "images.jsonl").read_bytes())
    with pytest.raises(DataError) as caught:
        compared(*two)
    assert caught.value.code == "D240"
    assert str(folders[1]) in caught.value.message


def test_classes_may_be_in_another_order(tmp_path: Path, two: tuple[Path, Path]):
    order = [2, 0, 1]
    matrices = counts(GOOD, 2)
    result = load_result(evaluation_folder(two[1], "val", "native"))
    other = scored_run(
        tmp_path / "other", matrices[:, order][:, :, order], overrides=OTHER, weights_sha256=result.weights_sha256,
        per_class=tuple(result.per_class[k] for k in order),
    )  # fmt: skip
    straight, turned = compared(*two), compared(two[0], other)
    assert list(turned.pairs[0].per_class) == ["grass", "path", "hut"]
    assert turned.pairs[0].per_class == straight.pairs[0].per_class
    assert [side.per_class for side in turned.sides] == [side.per_class for side in straight.sides]


def test_groups_that_change_nothing_or_leave_nothing_are_said(two: tuple[Path, Path], tmp_path: Path):
    assert any("No two images are of one group ('.+')" in remark for remark in compared(*two, group=".+").remarks)
    assert "is found in none of the 30 image names" in refused(*two, group="zzz").message
    alone = compared(*two, group="i")
    assert (alone.units, alone.pairs[0].miou.interval) == (1, None)
    assert next(remark for remark in alone.remarks if "ntervals" in remark).startswith("All 30 images are of one group")
    assert "Intervals are over" not in " ".join(alone.remarks)
    single = [scored_run(tmp_path / f"s{i}", counts(GOOD, i, 1), overrides=(f"optimizer.lr=0.{i}",)) for i in (1, 2)]
    assert compared(*single).remarks[0].startswith("There is one image")
    assert compared(*single).verdict.endswith("without an interval")


def test_other_options_and_other_data_are_said(tmp_path: Path):
    runs = [
        scored_run(
            tmp_path / f"r{i}", counts(GOOD, i), overrides=(f"optimizer.lr=0.{i}",), own_data=own,
            variant="data.mask_resize=nearest",
        )
        for i, own in ((1, True), (2, False))
    ]  # fmt: skip
    said = " ".join(compared(*runs).remarks)
    assert "other options than the protocol's: data.mask_resize=nearest." in said
    assert f"Trained on other data than what was scored: {runs[1]}." in said


def words_of(error: RecipeError, place: int = 0) -> list[str]:
    return shlex.split(error.help.split("`")[1 + 2 * place])


def test_the_way_out_names_paths_that_a_shell_takes(tmp_path: Path, two: tuple[Path, Path]):
    plain = scored_run(tmp_path / "a b[1]", counts(GOOD, 4), overrides=OTHER)
    end = ["--split", "val", "--protocol", "native"]
    varied = scored_run(tmp_path / "varied", counts(GOOD, 4), overrides=OTHER, variant="'data.x=a b'", data="/d e")
    assert words_of(refused(varied, plain)) == ["pixelwise", "evaluate", str(plain), "data.x=a b", *end]
    elsewhere = scored_run(tmp_path / "e", counts(GOOD, 4), data_fingerprint="f2", data="/d e", own_data=False)
    assert words_of(refused(elsewhere, plain)) == ["pixelwise", "evaluate", str(plain), "--data", "/d e", *end]
    # The first one is on generated data, so it is the first one that can be scored on the other's.
    assert words_of(refused(plain, elsewhere)) == ["pixelwise", "evaluate", str(plain), "--data", "/d e", *end]
    changed = scored_run(tmp_path / "changed", counts(GOOD, 4), data_fingerprint="f3", data="/d e")
    error = refused(elsewhere, changed)
    for place, run in enumerate((elsewhere, changed)):
        assert words_of(error, place) == ["pixelwise", "evaluate", str(run), "--data", "/d e", *end]
    labels = refused(two[0], scored_run(tmp_path / "labels", counts(GOOD, 4) + 1))
    assert "30 images with" in labels.message
    assert words_of(labels, 1)[-1] == "native"
    assert "data.label_map={...}" in words_of(labels, 1)


def test_no_run_of_a_folder_has_begun(tmp_path: Path, two: tuple[Path, Path]):
    (tmp_path / "seeds").mkdir()
    write_seeds(tmp_path / "seeds", SeedsRecord(seeds=(0, 1)))
    with pytest.raises(CheckpointError) as caught:
        compared(two[0], tmp_path / "seeds")
    assert caught.value.code == "K421"


def test_folds_are_compared_on_images_that_none_was_trained_on(tmp_path: Path, two: tuple[Path, Path]):
    folds = []
    for number in (0, 1):
        fold = scored_run(
            tmp_path / "cv" / f"fold-{number}", counts(GOOD, 4), data_fingerprint=f"f{number}", own_data=True
        )
        write_division(fold, Division(learned={"train": ("a",)}, held_out=("b",)))
        folds.append(fold)
    for pair in (folds, (two[0], folds[0]), (folds[1], two[0])):
        error = refused(*pair)
        assert "is a fold of a cross-validation" in error.message
        assert error.help.count("--data FOLDER") == 2


def test_classes_that_differ_are_said_although_they_make_the_data_another_one(tmp_path: Path, two: tuple[Path, Path]):
    result = load_result(evaluation_folder(two[0], "val", "native"))
    renamed = tuple(msgspec.structs.replace(one, name=f"{one.name}s") for one in result.per_class)
    other = scored_run(tmp_path / "renamed", counts(GOOD, 4), data_fingerprint="f9", per_class=renamed)
    with pytest.raises(RecipeError, match="do not have the same classes") as caught:
        compared(two[0], other)
    assert caught.value.code == "R303"


def test_a_folder_of_seeds_of_which_one_has_begun_says_how_to_go_on(tmp_path: Path):
    folder = tmp_path / "a b"
    scored_run(folder / "seed-0", counts(GOOD, 4))
    write_seeds(folder, SeedsRecord(seeds=(0, 1)))
    error = refused(folder)
    assert "1 of 2 runs has begun" in error.message
    assert error.help == f"`pixelwise resume '{folder}'` trains the others"


def test_what_the_seeds_alone_say_is_said_where_nothing_can_be_drawn(tmp_path: Path):
    runs = [scored_run(tmp_path / f"seed-{seed}", counts(GOOD, seed)[:1], seed) for seed in (1, 2, 3)]
    found = compared(*runs)
    (side,) = found.sides
    assert found.tables()[0].title == "val, native, 1 image"
    assert side.miou.interval is None
    assert side.seeds_interval is not None
    low, high = (f"{100 * end:.2f}" for end in side.seeds_interval)
    assert f"the mean mIoU of {side.name} is in {low} to {high} % (95 %)" in " ".join(found.remarks)


def test_nothing_is_said_of_intervals_where_nothing_is_labelled(tmp_path: Path):
    runs = [scored_run(tmp_path / f"run-{seed}", np.zeros((30, 3, 3), np.int64), seed) for seed in (1, 2)]
    assert any("nothing to score" in remark for remark in compared(*runs).remarks)
    assert not any("Intervals are" in remark for remark in compared(*runs).remarks)
