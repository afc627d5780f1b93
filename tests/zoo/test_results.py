import math

import msgspec
import pytest
from reports.zoo_cases import make_recipe, make_result, write_result

from pixelwise.errors import DataError
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.schema.recipe import Data
from pixelwise.records.result import TrainingCost
from pixelwise.records.seeds.folder import SeedsRecord, write_seeds
from pixelwise.zoo.results import read_results, reproduces, results_folders, separated, summarize

RECIPE = make_recipe()


def test_a_result_like_the_published_one_is_comparable():
    measured = summarize(RECIPE, [make_result(RECIPE, 59.5)])
    assert measured is not None
    assert (measured.kind, measured.remarks) == ("comparable", ())
    assert measured.percent == pytest.approx(59.5)


@pytest.mark.parametrize(
    ("percent", "is_reproduced"), [(58.99, False), (58.994, False), (59.0, True), (58.996, True), (75.0, True)]
)
def test_one_point_below_the_published_number_still_reproduces_it(percent, is_reproduced):
    assert reproduces(RECIPE, summarize(RECIPE, [make_result(RECIPE, percent)])) == is_reproduced


def test_seeds_are_averaged_and_not_chosen():
    second = msgspec.structs.replace(RECIPE, sampling=msgspec.structs.replace(RECIPE.sampling, seed=7))
    measured = summarize(RECIPE, [make_result(RECIPE, 61.0), make_result(second, 55.0, "b.json")])
    assert measured is not None
    assert measured.percent == pytest.approx(58.0)
    assert len(measured.remarks) == 1
    assert "2 runs: 55.00, 61.00" in measured.remarks[0]
    assert not reproduces(RECIPE, measured)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "val"}, ("split val", "test")),
        ({"protocol": "native"}, ("protocol native", "camvid-480x360")),
        ({"input_size": (180, 240)}, ("input 240x180", "480x360")),
        ({"variant": "data.mask_resize=nearest"}, ("with data.mask_resize=nearest",)),
        ({"input_size": None}, ("input of each image's own size", "480x360")),
    ],
)
def test_another_split_protocol_or_size_is_shown_and_reproduces_nothing(changes, words):
    measured = summarize(RECIPE, [make_result(RECIPE, 99.0, **changes)])
    assert measured is not None
    assert measured.kind == "trained"
    assert [part for part in words if part not in measured.remarks[0]] == []
    assert not reproduces(RECIPE, measured)


def cost(steps: int, planned: int | None) -> TrainingCost:
    return TrainingCost(steps=steps, seconds=1.0, peak_memory_bytes=1, planned_steps=planned)


@pytest.mark.parametrize(
    ("schedule", "training", "words"),
    [
        ({"epochs": 300}, cost(3700, 11100), "trained for 100 of 300 epochs"),
        ({"epochs": 300}, cost(3718, 11100), "trained for 100.5 of 300 epochs"),
        ({"epochs": 300}, cost(11099, 11100), "trained for 11099 of 11100 steps"),  # not 300 of 300 epochs
        ({"epochs": None, "iterations": 80}, cost(79, 80), "trained for 79 of 80 steps"),
        ({"epochs": 300}, cost(11100, 11100), None),
        ({"epochs": 300}, cost(100, None), None),  # a result of an earlier version
    ],
)
def test_a_training_that_is_not_finished_reproduces_nothing(
    schedule: dict[str, int | None], training: TrainingCost, words: str | None
):
    recipe = make_recipe(schedule=msgspec.structs.replace(RECIPE.schedule, **schedule))
    measured = summarize(recipe, [make_result(recipe, 99.0, training=training)])
    assert measured is not None
    assert measured.kind == ("trained" if words else "comparable")
    assert measured.remarks == ((f"Not comparable with the published score: {words}.",) if words else ())
    assert reproduces(recipe, measured) == (words is None)


def test_a_finished_training_comes_before_an_unfinished_one_and_a_longer_one_before_a_shorter():
    recipe = make_recipe(schedule=msgspec.structs.replace(RECIPE.schedule, epochs=4))
    half = make_result(recipe, 50.0, "half", training=cost(20, 40))
    most = make_result(recipe, 40.0, "most", training=cost(30, 40))
    whole = make_result(recipe, 30.0, "whole", training=cost(40, 40))
    for given, expected in (([half, most], 40.0), ([half, most, whole], 30.0)):
        measured = summarize(recipe, given)
        assert measured is not None
        assert measured.percent == pytest.approx(expected)


@pytest.mark.parametrize(
    ("published", "is_separated", "words"),
    [
        (57.0, False, "inside: the two are not separated"),
        (56.99, True, "outside: the two are separated"),
        (62.0, False, "inside: the two are not separated"),
        (62.01, True, "outside: the two are separated"),
        (62.004, False, "inside: the two are not separated"),  # which the table shows as 62.00
    ],
)
def test_a_published_score_outside_the_interval_is_separated(published: float, is_separated: bool, words: str):
    recipe = make_recipe(published={"miou_percent": published})
    measured = summarize(recipe, [make_result(recipe, 59.0, miou_interval=(0.57, 0.62))])
    assert measured is not None
    assert measured.interval == pytest.approx((57.0, 62.0))
    assert separated(recipe, measured) is is_separated
    assert [f"over the images is 57.00 to 62.00; the published score is {words}" in measured.remarks[0]] == [True]


def test_what_cannot_be_compared_is_neither_separated_nor_not():
    without = summarize(RECIPE, [make_result(RECIPE, 59.0)])
    on_val = summarize(RECIPE, [make_result(RECIPE, 59.0, split="val", miou_interval=(0.5, 0.6))])
    unscored = make_recipe(published={"miou_percent": None})
    unknown = summarize(unscored, [make_result(unscored, 59.0, miou_interval=(0.5, 0.6))])
    one_without = [make_result(RECIPE, 59.0), make_result(RECIPE, 58.0, "b", miou_interval=(0.5, 0.6))]
    for recipe, measured in ((RECIPE, None), (RECIPE, without), (RECIPE, on_val), (unscored, unknown)):
        assert separated(recipe, measured) is None
    assert separated(RECIPE, summarize(RECIPE, one_without)) is None


def test_the_interval_of_several_runs_covers_images_and_seeds():
    # By hand: images (n = 3): the percentiles are those of a normal distribution, so that half the width of 1.600304 at
    # 1.959964 is 0.816497, times the root of 3 / 2 a standard error of 1 point. Seeds: 57 and 61, variance 8, of their
    # mean 4. Together 5, with 25 / (1 / 2 + 16 / 1) = 1.515152 degrees of freedom,
    # where SciPy's t.ppf(0.975) is 5.933118; times the root of 5 this is 13.26686.
    half = 0.01600304
    runs = [
        make_result(RECIPE, percent, str(percent), miou_interval=(percent / 100 - half, percent / 100 + half))
        for percent in (57.0, 61.0)
    ]
    measured = summarize(RECIPE, runs)
    assert measured is not None
    assert measured.interval == pytest.approx((59.0 - 13.26686, 59.0 + 13.26686), abs=1e-3)
    assert "over the images and seeds is 45.73 to 72.27" in measured.remarks[-1]
    same = summarize(RECIPE, [make_result(RECIPE, 60.0, name, miou_interval=(0.6, 0.6)) for name in "ab"])
    assert same is not None
    assert same.interval == pytest.approx((60.0, 60.0))
    # Of two series, the interval is as wide as Student's, 12.706205 with one degree of freedom: a variance of 0.015863.
    # Together with 4 it has 1.007931 degrees of freedom, where SciPy's t.ppf(0.975) is 12.472355.
    of_series = [msgspec.structs.replace(one, result=msgspec.structs.replace(one.result, drawn=2)) for one in runs]
    series = summarize(RECIPE, of_series)
    assert series is not None
    assert series.interval == pytest.approx((59.0 - 24.994123, 59.0 + 24.994123), abs=1e-3)
    assert "over the 2 series of images and seeds is 34.01 to 83.99" in series.remarks[-1]


def test_comparable_results_come_before_all_others():
    measured = summarize(
        RECIPE,
        [
            make_result(RECIPE, 99.0, "b.json", split="val"),
            make_result(RECIPE, 50.0),
            make_result(RECIPE, 98.0, "c", step=0),
        ],
    )
    assert measured is not None
    assert (measured.kind, measured.percent) == ("comparable", pytest.approx(50.0))


def test_without_a_comparable_result_the_nearest_one_is_shown():
    both = make_result(RECIPE, 70.0, "b.json", split="a", protocol="native")
    one = make_result(RECIPE, 65.0, "c.json", split="val")
    measured = summarize(RECIPE, [both, one])
    assert measured is not None
    assert measured.percent == pytest.approx(65.0)


@pytest.mark.heavy
def test_a_changed_recipe_says_nothing_about_the_published_one():
    changed = make_recipe(schedule=msgspec.structs.replace(RECIPE.schedule, epochs=2))
    measured = summarize(RECIPE, [make_result(changed, 99.0)])
    assert measured is not None
    assert measured.kind == "other"
    assert len(measured.remarks) == 1
    assert "recipe" in measured.remarks[0]
    assert not reproduces(RECIPE, measured)


def test_weights_that_were_not_trained_here_reproduce_nothing():
    measured = summarize(RECIPE, [make_result(RECIPE, 60.0, step=0)])
    assert measured is not None
    assert (measured.kind, len(measured.remarks)) == ("other", 1)
    assert "weights" in measured.remarks[0]


def test_results_of_other_recipes_and_without_a_score_do_not_count():
    other = make_recipe("row-2")
    assert summarize(RECIPE, [make_result(other, 60.0), make_result(RECIPE, math.nan)]) is None


def test_a_row_without_a_published_number_cannot_be_reproduced():
    unscored = make_recipe(published={"miou_percent": None})
    assert not reproduces(unscored, summarize(unscored, [make_result(unscored, 60.0)]))


def test_results_are_found_in_files_folders_and_runs(tmp_path):
    write_result(tmp_path / "files" / "a.json", make_result(RECIPE, 50.0))
    write_result(tmp_path / "files" / "b.json", make_result(RECIPE, 51.0, "b"))
    run = tmp_path / "runs" / "first"
    write_result(run / "evaluations" / "test-x" / "result.json", make_result(RECIPE, 52.0, "c"))
    (run / "recipe.toml").write_text(to_toml(RECIPE))
    (run / "environment.json").write_text("{}")
    assert [one.source for one in read_results([tmp_path / "files"])] == ["a.json", "b.json"]
    assert [one.source for one in read_results([tmp_path / "files" / "b.json"])] == ["b.json"]
    assert [one.source for one in read_results([run])] == ["first"]
    assert [one.source for one in read_results([tmp_path / "runs"])] == ["first"]
    assert len(read_results([tmp_path / "files", run])) == 3


def test_the_same_weights_scored_alike_count_once(tmp_path):
    write_result(tmp_path / "a.json", make_result(RECIPE, 50.0))
    write_result(tmp_path / "copy.json", make_result(RECIPE, 50.0))
    assert [one.source for one in read_results([tmp_path, tmp_path / "a.json"])] == ["a.json"]


def test_what_changes_no_score_is_no_other_condition(tmp_path):
    words = "data.workers=2 'data.allow=[\"D220\"]' --group '^[^_]+'"
    alike, other = (make_result(RECIPE, 50.0, "a", variant=one) for one in (words, f"data.exif=ignore {words}"))
    for name, one in (("a", make_result(RECIPE, 50.0, "a")), ("b", alike), ("c", other)):
        write_result(tmp_path / f"{name}.json", one)
    assert [one.source for one in read_results([tmp_path])] == ["a.json", "c.json"]
    measured = summarize(RECIPE, [alike])
    assert measured is not None
    assert measured.kind == "comparable"


def test_runs_of_several_seeds_are_found(tmp_path):
    folder = tmp_path / "runs" / "seeds"
    for seed in (0, 1):
        run = folder / f"seed-{seed}"
        recipe = apply_overrides(RECIPE, [f"sampling.seed={seed}"])
        write_result(run / "evaluations" / "t" / "result.json", make_result(recipe, 60.0 + seed, f"{seed}"))
        (run / "recipe.toml").write_text(to_toml(recipe))
    write_seeds(folder, SeedsRecord(seeds=(0, 1, 2)))
    (folder / "summary.json").write_text("{}")
    for path in (folder, folder.parent):
        found = read_results([path])
        assert [one.source for one in found] == ["seed-0", "seed-1"]
        assert [one.recipe is not None for one in found] == [True, True]


def test_a_run_folder_with_a_large_seed_is_still_the_same_recipe(tmp_path):
    changed = apply_overrides(RECIPE, ["sampling.seed=123456", 'data.allow=["D220"]'])
    write_result(tmp_path / "run" / "evaluations" / "t" / "result.json", make_result(changed, 60.0))
    (tmp_path / "run" / "recipe.toml").write_text(to_toml(changed))
    measured = summarize(RECIPE, read_results([tmp_path / "run"]))
    assert measured is not None
    assert measured.kind == "comparable"
    other = msgspec.structs.replace(changed, data=Data(dataset="camvid", exif="ignore"))
    write_result(tmp_path / "run" / "evaluations" / "t" / "result.json", make_result(other, 60.0))
    (tmp_path / "run" / "recipe.toml").write_text(to_toml(other))
    measured = summarize(RECIPE, read_results([tmp_path / "run"]))
    assert measured is not None
    assert measured.kind == "other"


@pytest.mark.parametrize("content", ['{"miou": 1}', "no"])
def test_a_file_that_is_not_a_result_is_an_error(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=r"a\.json") as caught:
        read_results([tmp_path])
    assert caught.value.code == "D240"


def test_a_path_without_results_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError) as caught:
            read_results([path])
        assert caught.value.code == "D240"
        assert str(path) in caught.value.message


def test_results_are_looked_for_in_the_benchmarks_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert results_folders(None) == []
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    assert [str(path) for path in results_folders(None)] == ["benchmarks/results"]
    assert results_folders([tmp_path]) == [tmp_path]


def test_scores_of_other_data_say_nothing_about_the_row(tmp_path):
    own, other = (make_result(RECIPE, percent, own_data=own) for percent, own in ((59.0, True), (99.0, False)))
    write_result(tmp_path / "a.json", other)
    write_result(tmp_path / "b.json", own)
    assert [round(100 * one.result.miou) for one in read_results([tmp_path])] == [59]
