"""Results on disk, and how they relate to a published row."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.recipes.schema.recipe import Recipe, Role, with_fields_of
from pixelwise.recipes.sizes import Size
from pixelwise.records.evaluations import changes_of, result_files
from pixelwise.records.result import RESULT, Result, load_result
from pixelwise.records.run_folder import is_run, read_recipe
from pixelwise.records.seeds.folder import is_seeds, runs_within
from pixelwise.records.showing import drawn_units
from pixelwise.storage import printable

TOLERATED_POINTS = 1.0
"""A result reproduces the published one if it is at most this many percentage points below it."""
TRIED_SEEDS = 100
"""A result outside a run folder identifies its recipe by hash alone; seeds below this one are tried to match it."""
_LEVEL = 0.95
"""Confidence of the intervals in results, and of those derived from them."""
DEFAULT_RESULTS = Path("benchmarks/results")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A result and where it was found.

    Attributes:
        source: Name of the result file, or of the run folder.
        recipe: Recipe of the run; None for a file outside a run folder, or if the run's recipe is not the one scored.
    """

    result: Result
    source: str
    recipe: Recipe | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The measured mIoU of one row.

    Attributes:
        percent: Mean mIoU of `runs`, in percent.
        interval: 95 % confidence interval of `percent` over the images, and over the seeds of several runs; None if a
            run has none.
        runs: The results averaged, all with the same split, protocol, input size and kind.
        kind: `comparable`: this recipe, trained here and scored as published; `trained`: this recipe, scored
            differently; `other`: a changed recipe, or weights that were not trained here.
        remarks: Caveats, as sentences.
    """

    percent: float
    interval: tuple[float, float] | None = None
    runs: tuple[Found, ...]
    kind: Literal["comparable", "trained", "other"]
    remarks: tuple[str, ...]


def results_folders(given: Sequence[Path] | None) -> list[Path]:
    """The paths to read results from: the given ones, or else `benchmarks/results` if it exists."""
    if given:
        return list(given)
    return [DEFAULT_RESULTS] if DEFAULT_RESULTS.is_dir() else []


def read_results(paths: Iterable[Path]) -> list[Found]:
    """All results below the given paths; the same weights scored the same way count once.

    Args:
        paths: Each one a `result.json`, a folder of such files, a run folder, a folder of runs of several seeds, or a
            folder of these.

    Raises:
        DataError: D240, a path does not exist or holds no results, or a file in it is not a result.
    """
    found: dict[tuple, Found] = {}
    for path in paths:
        files = _result_files(path)
        if not files:
            raise DataError(
                "D240",
                f"{printable(path)}: no results in this folder",
                "give a run folder, or a folder of result files",
            )
        for file in files:
            one = _read(file)
            of = one.result
            if of.own_data is False:
                continue  # the score of other data says nothing about the recipe's row
            key = (of.recipe, of.recipe_hash, of.weights_sha256, of.split, of.protocol, of.input_size, changes_of(of))
            found.setdefault(key, one)
    return list(found.values())


def _result_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if is_run(path):
        return result_files(path)
    if is_seeds(path):
        return [file for run in runs_within(path) for file in result_files(run)]
    folders = [folder for folder in path.iterdir() if folder.is_dir()]
    runs = [run for folder in folders for run in runs_within(folder) or (folder,)]
    return sorted(
        [*path.glob("*.json"), *path.glob(f"*/{RESULT}"), *(file for run in runs for file in result_files(run))]
    )


def _read(file: Path) -> Found:
    result = load_result(file)
    run = file.parent.parent.parent
    if file.name == RESULT and is_run(run):
        return Found(result=result, source=printable(run.resolve().name), recipe=_recipe_of(run, result))
    return Found(result=result, source=printable(file.name))


def _recipe_of(run: Path, result: Result) -> Recipe | None:
    """The recipe of a run folder, if it can be read and is the one that was scored."""
    try:
        recipe = read_recipe(run)
    except RecipeError:
        return None
    return recipe if recipe.hash() == result.recipe_hash else None


def summarize(recipe: Recipe, results: Sequence[Found]) -> Measured | None:
    """Average the results that belong to a recipe's row; None if there are none.

    Results comparable with the published score are preferred, then other results of the unchanged recipe, then any.
    Several results are averaged, never selected by score.
    """
    ours = [one for one in results if one.result.recipe == recipe.name and not math.isnan(one.result.miou)]
    for kind, belongs in (("comparable", _is_comparable), ("trained", _is_trained), ("other", _is_any)):
        groups: dict[tuple[str, str, Size | None, float, str], list[Found]] = {}
        for one in ours:
            if belongs(recipe, one):
                of = one.result
                condition = (of.split, of.protocol, of.input_size, -_share_trained(of), changes_of(of))
                groups.setdefault(condition, []).append(one)
        if groups:
            # Of several conditions, the ones nearest to the published conditions.
            runs = groups[
                min(
                    groups,
                    key=lambda group: (len(_differences(recipe, groups[group][0].result)), group[3], str(group)),
                )
            ]
            measured = Measured(
                percent=statistics.fmean(100 * one.result.miou for one in runs),
                interval=_interval([one.result for one in runs]),
                runs=tuple(runs),
                kind=kind,  # type: ignore[arg-type]
                remarks=(),
            )
            return msgspec.structs.replace(measured, remarks=tuple(_remarks(recipe, measured)))
    return None


def reproduces(recipe: Recipe, measured: Measured | None) -> bool:
    """Whether a comparable result is better than the published one, or at most `TOLERATED_POINTS` below it."""
    published = recipe.published.miou_percent if recipe.published else None
    if measured is None or published is None or measured.kind != "comparable":
        return False
    # Rounded as the table shows them, so that the table never contradicts itself.
    return round(measured.percent, 2) >= round(published - TOLERATED_POINTS, 2)


def separated(recipe: Recipe, measured: Measured | None) -> bool | None:
    """Whether the published mIoU is outside the interval of a comparable result; None if that cannot be told."""
    published = recipe.published.miou_percent if recipe.published else None
    if measured is None or published is None or measured.interval is None or measured.kind != "comparable":
        return None
    # Rounded as the remark shows them.
    low, high = (round(end, 2) for end in measured.interval)
    return not low <= round(published, 2) <= high


def _variance_over_images(result: Result) -> float:
    """The variance of a score from the choice of images, with n - 1 in the denominator, from its interval."""
    from pixelwise.metrics.significance import t_quantile

    low, high = result.miou_interval or (math.nan, math.nan)
    number = max(2, result.drawn or result.images)
    if result.drawn is not None:
        return ((high - low) / 2 / t_quantile(_LEVEL, number - 1)) ** 2
    # Results of earlier versions have plain percentiles, which are those of a normal distribution.
    return ((high - low) / 2 / t_quantile(_LEVEL, math.inf)) ** 2 * number / (number - 1)


def _interval(results: Sequence[Result]) -> tuple[float, float] | None:
    """95 % interval of the mean of the mIoU, in percent; None if a result has none.

    For several runs, the variances over images and over seeds are added, as `pixelwise compare` does. The scores of
    single images are not in the results, so the variance over images is that of one run, which is no less than that of
    their mean. It follows from the interval of the result.
    """
    if any(one.miou_interval is None for one in results):
        return None
    if len(results) == 1:
        low, high = results[0].miou_interval or (math.nan, math.nan)
        return 100 * low, 100 * high
    # Here, because its package needs NumPy, and most tables hold no two runs of a row.
    from pixelwise.metrics.significance import t_quantile

    mean = statistics.fmean(one.miou for one in results)
    images = max(2, min(one.drawn or one.images for one in results))
    variance = statistics.fmean(map(_variance_over_images, results))
    parts = [
        (variance, images - 1),
        (statistics.variance(one.miou for one in results) / len(results), len(results) - 1),
    ]
    variance = sum(part for part, _ in parts)
    if variance > 0:
        # Degrees of freedom of Welch and Satterthwaite.
        freedom = variance**2 / sum(part**2 / freedom for part, freedom in parts)
        reach = t_quantile(_LEVEL, freedom) * math.sqrt(variance)
    else:
        reach = 0.0
    return 100 * max(0.0, mean - reach), 100 * min(1.0, mean + reach)


def _share_trained(score: Result) -> float:
    """How much of its training a network had, 0..1; 1 if that is not known."""
    return 1.0 if score.training is None else score.training.share


def _is_comparable(recipe: Recipe, one: Found) -> bool:
    published = recipe.published
    if published is None or not _is_trained(recipe, one):
        return False
    return not _differences(recipe, one.result)


def _is_trained(recipe: Recipe, one: Found) -> bool:
    return one.result.step > 0 and _is_same_recipe(recipe, one)


def _is_any(recipe: Recipe, one: Found) -> bool:
    return True


def _is_same_recipe(recipe: Recipe, one: Found) -> bool:
    """Whether a result belongs to this very recipe; no page gives a seed, so the seed is ignored."""
    if one.result.recipe_hash == recipe.hash():
        return True
    if one.recipe is not None:
        return with_fields_of(one.recipe, recipe, Role.CHANCE, Role.TOLERANCE).hash() == recipe.hash()
    return any(_with_seed(recipe, seed).hash() == one.result.recipe_hash for seed in range(TRIED_SEEDS))


def _with_seed(recipe: Recipe, seed: int) -> Recipe:
    return msgspec.structs.replace(recipe, sampling=msgspec.structs.replace(recipe.sampling, seed=seed))


def _differences(recipe: Recipe, score: Result) -> list[str]:
    """How the conditions of a score differ from those of the published one."""
    published = recipe.published
    if published is None:
        return []
    found = []
    if score.split != published.split:
        found.append(f"split {score.split} instead of {published.split}")
    if score.protocol != published.protocol:
        found.append(f"protocol {score.protocol} instead of {published.protocol}")
    known = PROTOCOLS.get(published.protocol)
    size = (known.input_size if known else None) or recipe.evaluation.input_size
    if changes := changes_of(score):
        found.append(f"with {changes}")
    if not found and score.input_size != size:
        found.append(f"input {_size(score.input_size)} instead of {_size(size)}")
    training = score.training
    if training is not None and training.share < 1:
        epochs = recipe.schedule.epochs
        done = "" if epochs is None else f"{training.share * epochs:.4g}"
        found.append(
            f"trained for {training.steps} of {training.planned_steps} steps"
            if done in ("", f"{epochs}")
            else f"trained for {done} of {epochs} epochs"
        )
    return found


def _remarks(recipe: Recipe, measured: Measured) -> list[str]:
    found, runs = [], measured.runs
    first = runs[0].result
    differences = _differences(recipe, first)
    if differences:
        found.append(f"Not comparable with the published score: {', '.join(differences)}.")
    if measured.kind == "other":
        changed = not all(_is_same_recipe(recipe, one) for one in runs)
        found.append(
            "The recipe was changed, so this says nothing about the published one."
            if changed
            else "The weights were not trained here."
        )
    if len(runs) > 1:
        scores = sorted(100 * one.result.miou for one in runs)
        found.append(f"Mean of {len(runs)} runs: {', '.join(f'{value:.2f}' for value in scores)}.")
    apart = separated(recipe, measured)
    if apart is not None and measured.interval is not None:
        low, high = measured.interval
        over = drawn_units(first) + (" and seeds" if len(runs) > 1 else "")
        place = "outside: the two are separated" if apart else "inside: the two are not separated"
        found.append(f"The 95 % interval over the {over} is {low:.2f} to {high:.2f}; the published score is {place}.")
    return found


def _size(size: Size | None) -> str:
    return f"{size[1]}x{size[0]}" if size else "of each image's own size"
