from pathlib import Path

import numpy as np
import pytest
from compared_runs import drawn, ids_of, iou_of, scored_run

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.evaluation.comparison.comparing import compare_runs, pair_of
from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.result import load_result

GOOD, BAD = np.array([0.9, 0.8, 0.8]), np.array([0.6, 0.8, 0.5])
OTHER = ("optimizer.lr=0.5",)


def counts(accuracy: np.ndarray, seed: int, images: int = 30) -> np.ndarray:
    truth = np.random.default_rng(0).integers(1, 500, (images, 3))
    return drawn(np.random.default_rng(seed), truth, accuracy)


def compared(*paths: Path, **options) -> Comparison:
    return compare_runs(paths, CompareOptions(**{"resamples": 300, **options}))


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


def refused(*paths: Path, **options) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        compared(*paths, **options)
    return caught.value


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
