"""`pixelwise.check`: audit of a data set before training, on request with a page and a recipe file, or in parts."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.api.default_observer import is_read_here, observer_or_display
from pixelwise.datasets.auditing.checking import Checked, examined
from pixelwise.datasets.auditing.examining import ExaminedPart, examine_part
from pixelwise.datasets.auditing.options import CheckOptions
from pixelwise.datasets.auditing.shards.units import divide
from pixelwise.datasets.auditing.shards.work import Brief, Job, open_worker
from pixelwise.datasets.findings import finding
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import Observer
from pixelwise.options import chosen
from pixelwise.prediction.receipts.shares import parse_share
from pixelwise.prediction.shards.progress import UnitsProgress
from pixelwise.recipes.asking import DEFAULT_RECIPE
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import Overrides, apply_overrides, words_of
from pixelwise.reports.audit.page import write_check_page
from pixelwise.reports.audit.terminal import print_check, print_part, print_written
from pixelwise.storage import printable, write_text
from pixelwise.storage.caches import cache_home
from pixelwise.storage.stores.addresses import address_of, place_of, with_access
from pixelwise.training.sampling.draws import drawn_once, drawn_samples
from pixelwise.training.settings.holding import unfit_settings


def check(
    path: str | os.PathLike[str],
    overrides: Overrides = (),
    options: CheckOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> Checked:
    """Examine every image and mask of a data set, and report what is wrong, in which files, and how to fix it.

    Settings of the recipe that cannot have their effect on this data, such as a warm-up longer than the run, are
    reported beside the findings. Nothing is written into the folder of the data set. Called without an observer on a
    terminal, it also prints what it found; a notebook shows it as the value of the call.

    With `engine="ray"`, the workers of Ray examine the files, on one machine or many, which share the cache folder:
    `$XDG_CACHE_HOME/pixelwise`. What is found is that of one process.

    Args:
        path: Folder of the data set.
        overrides: Changes to the recipe that the data is checked against, such as `data.exif=ignore`.
        options: Options of the check; None for the defaults.
        observer: Receives the number of images examined so far. None shows it on a terminal or in a notebook.
        **changes: Single fields of `CheckOptions`.

    Returns:
        The findings; `refused` says whether there are errors to fix before training.

    Raises:
        DataError: D222, there is no data set in the folder; others, it cannot be opened.
        RecipeError: The recipe or an override is wrong; R205, `write` is the recipe file itself; R240, Ray is not
            installed; R251, options exclude each other; R252, Ray is too small.
        ResourceError: S601, the disk is full.
    """
    options = chosen(CheckOptions, options, changes)
    options.refuse_contradictions()
    base = options.recipe and Path(options.recipe).resolve()
    if options.write is not None and options.write.resolve() == base:
        raise RecipeError(
            "R205",
            f"`write` is {printable(options.write)}, the recipe file that the data is checked against; the new file "
            "would be its own base",
            "choose another file for `write`",
        )
    with observer_or_display(observer) as watcher:
        words = words_of(overrides)
        place = place_of(path)
        ahead = _by_workers(place, words, options, watcher) if options.engine == "ray" else None
        found = examined(place, words, recipe=options.recipe, fresh=options.fresh, observer=watcher, ahead=ahead)
        checked = _with_settings(found)
    if options.html is not None:
        write_check_page(checked, options.html)
    if options.write is not None:
        write_text(options.write, checked.data_file())
    if observer is None and is_read_here():
        print_check(checked, as_json=False)
        print_written(checked, options.html, options.write)
    return checked


def check_part(
    path: str | os.PathLike[str],
    shard: str,
    overrides: Overrides = (),
    options: CheckOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> ExaminedPart:
    """Examine one of N parts of a data set, as one job of an array; `check` then finds what all of them examined.

    The parts are pairs that follow each other in the order of splits and ids. What is learnt goes to the cache folder,
    which the jobs share: `$XDG_CACHE_HOME/pixelwise`. A job that is started again goes on where it was stopped. Nothing
    is concluded from a part: `check` does that, and says what is wrong.

    Args:
        path: Folder of the data set, the same for all jobs.
        shard: The part, numbered from 0: `0/8` is the first of eight.
        overrides: Changes to the recipe that the data is checked against, as for `check`.
        options: Options of the check, of which only `recipe` goes with parts; None for the defaults.
        observer: Receives the number of images examined so far. None shows it on a terminal or in a notebook.
        **changes: Single fields of `CheckOptions`.

    Returns:
        Which pairs the part has, and how many of them were examined now.

    Raises:
        DataError: D222, there is no data set in the folder; others, it cannot be opened.
        RecipeError: The recipe or an override is wrong; R251, an option is about the whole data set; R260, `shard` is
            no part.
    """
    options, share = chosen(CheckOptions, options, changes), parse_share(shard)
    options.refuse_contradictions()
    if options.engine != "here":
        raise RecipeError(
            "R251",
            f"`shard` is a part for one job of an array, but `engine` {options.engine} divides the images itself",
            "leave one of them out",
        )
    whole = [name for name in ("fresh", "html", "write") if getattr(options, name)]
    if whole:
        raise RecipeError(
            "R251",
            f"`{whole[0]}` does not go with `shard`: it is about the whole data set, of which a part tells nothing",
            f"give `{whole[0]}` to the check without `shard` that follows when all parts are done",
        )
    data = apply_overrides(find_recipe(options.recipe or DEFAULT_RECIPE), words_of(overrides)).data
    with observer_or_display(observer) as watcher:
        found = examine_part(place_of(path), data, share.of, observer=watcher)
    if observer is None and is_read_here():
        print_part(found, as_json=False)
    return found


def _by_workers(
    path: Path, overrides: Sequence[str], options: CheckOptions, observer: Observer
) -> Callable[[Dataset], list[Path]]:
    """What has the workers of Ray examine a data set; it returns the files whose content changed unnoticed."""
    data = apply_overrides(find_recipe(options.recipe or DEFAULT_RECIPE), overrides).data
    address = address_of(path)
    place, given = (path.absolute(), ()) if address is None else (path, (with_access(address),))

    def ahead(dataset: Dataset) -> list[Path]:
        # Imported here: Ray takes seconds to import, and is not a package that everybody has.
        from pixelwise.prediction.shards.ray_engine import over_ray

        job = Job(place, data, options.fresh, cache_home(), given)
        total = sum(map(len, dataset.splits.values()))
        progress, changed = UnitsProgress(observer, 0, total), []
        with contextlib.closing(over_ray(divide(total), functools.partial(open_worker, job), Brief, options)) as briefs:
            for brief in briefs:
                changed += [Path(os.fsdecode(file)) for file in brief.changed]
                progress.unit_done(brief.pairs)
        return changed

    return ahead


def _with_settings(checked: Checked) -> Checked:
    """The result with the settings of the recipe that do not fit the data."""
    images = checked.usable_pairs.get(checked.recipe.data.train_split, 0)
    if checked.refused or not images:
        return checked
    sizes = checked.audit.sizes
    with contextlib.suppress(DataError):  # training says it
        usable = checked.dataset.without(checked.audit.unusable)
        images = len(drawn_samples(usable, checked.recipe, sizes.largest))
    unfit = unfit_settings(checked.recipe, images, drawn_once(sizes.usual, checked.recipe))
    settings = tuple(finding(one.code, one.message, fix=one.fix) for one in unfit)
    return msgspec.structs.replace(checked, settings=settings)
