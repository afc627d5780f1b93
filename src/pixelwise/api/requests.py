"""Checks of a request before PyTorch is imported, so that a mistyped name or path is refused at once.

The functions that do the work check everything again, and more. These only look for what is wrong most often: names,
overrides, folders. They import nothing heavy, and what they import is imported when they are called.
"""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pixelwise.checkpoints.hub.resolving import here, refuse_to_continue, run_path
from pixelwise.errors import CheckpointError, DataError
from pixelwise.recipes.asking import Named
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import address_of, place_of
from pixelwise.storage.stores.containers import names_containers

if TYPE_CHECKING:
    from pixelwise.checkpoints.hub.options import PushOptions
    from pixelwise.deployment.card.options import DeployOptions
    from pixelwise.deployment.export.options import ArtefactOptions, ExportOptions
    from pixelwise.evaluation.options import EvaluateOptions
    from pixelwise.prediction.options import PredictOptions
    from pixelwise.profiling.options import ProfileOptions
    from pixelwise.serving.options import ServeOptions
    from pixelwise.training.folds.options import CrossvalOptions
    from pixelwise.training.options import ResumeOptions, TrainOptions

SPLITS = ("train", "val", "test", "all")
"""Names that somebody who gives them for a folder most likely means as splits."""
AnyPath = str | os.PathLike[str]


def check_training(recipe: Named, data: AnyPath | None, output: AnyPath | None, options: TrainOptions) -> None:
    """Refuse a training that cannot begin; the arguments are those of `pixelwise.train`.

    Raises:
        RecipeError: R200 to R205, R261 or R262, the recipe or an override is wrong; R213, `output` holds a run; R270,
            there is no such tracker; R305, `seeds` are fewer than two.
        CheckpointError: K405, there is no such weights file; K420, `begin` or a teacher is not a run; K454, a teacher
            is an encoder, but classes are to be compared.
        DataError: D222, the data folder does not exist, or none is given.
    """
    from pixelwise.machine.launched import is_first
    from pixelwise.recipes.files import find
    from pixelwise.recipes.overrides import apply_overrides
    from pixelwise.records.run_folder import is_continued, refuse_occupied
    from pixelwise.training.trackers.tracker import require_trackers

    options.refuse_contradictions(options.device)
    options.require_output(output)
    _ = options.several_seeds()
    overrides = options.all_overrides()
    resolved = apply_overrides(recipe if isinstance(recipe, Recipe) else find(recipe), overrides)
    require_trackers(options.track)
    if output is not None and is_first() and not is_continued(Path(output)):
        refuse_occupied(Path(output))
    if options.begin is not None:
        check_run(options.begin)
    for teacher in resolved.distillation.teachers:
        _check_teacher(teacher, resolved.distillation.match)
    _check_weights(options.weights)
    _check_data(resolved, data)


def check_cross_validation(
    recipe: Named, data: AnyPath | None, output: AnyPath | None, options: CrossvalOptions
) -> None:
    """Refuse a cross-validation that cannot begin; the arguments are those of `pixelwise.crossval`.

    Raises:
        RecipeError: As `check_training`; R310, an option is of no use.
        CheckpointError: As `check_training`.
        DataError: As `check_training`.
    """
    from pixelwise.training.folds.options import refuse_useless

    refuse_useless(options)
    # A fold has a folder of its own, so that its processes need not be told one.
    check_training(recipe, data, output, msgspec.structs.replace(options, devices=None, nodes="1", rendezvous=None))
    options.refuse_contradictions(options.device)


def _check_teacher(teacher: str, match: str) -> None:
    """Refuse a teacher that is no run; of features, names of encoders are looked up later, by timm."""
    from pixelwise.training.distillation.kinds import may_be_encoder, refuse_encoder, teacher_path

    if match == "features":
        return
    refuse_encoder(teacher, match)
    try:
        check_run(teacher_path(teacher))
    except CheckpointError as error:
        if error.code != "K420" or not may_be_encoder(teacher):
            raise
        help = f"{error.help}; if it is an encoder of timm, it can teach feature maps: distillation.match=features"
        raise CheckpointError(error.code, error.message, help) from None


def check_resuming(run: AnyPath, data: AnyPath | None, options: ResumeOptions) -> None:
    """Refuse to continue what is not a run, or with changes that make it another experiment.

    Raises:
        CheckpointError: K420, `run` is not a run folder; K430, a change would make it another experiment.
        RecipeError: R201 to R203, R261 or R262, an override is wrong; R238, options for several processes contradict
            each other.
        DataError: D222, the data folder does not exist.
    """
    from pixelwise.recipes.overrides import apply_overrides
    from pixelwise.records.folds.cross_validation import is_cross_validation
    from pixelwise.records.seeds.folder import is_seeds, runs_within
    from pixelwise.training.folds.options import refuse_other_changes
    from pixelwise.training.resuming.changes import refuse_other_experiment

    refuse_to_continue(run)
    options.refuse_contradictions(options.device or "auto")
    if is_cross_validation(Path(run)):
        refuse_other_changes(options)
        _check_folder(data)
        return
    overrides = options.all_overrides()
    for one in runs_within(Path(run)) if is_seeds(Path(run)) else (Path(run),):
        recipe = check_run(one, [data])
        refuse_other_experiment(recipe, apply_overrides(recipe, overrides))
    _check_folder(data)


def check_scoring(
    run: AnyPath, data: AnyPath | None, protocols: Sequence[str] | None, options: EvaluateOptions
) -> None:
    """Refuse an evaluation of what is not a run or an artefact, or with unknown protocols, metrics or folders.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        RecipeError: R201 to R204 or R262, an override or a protocol is wrong; R225, there is no such metric;
            R238 or R251, options contradict each other; R260, there is no such part of the images.
        DataError: D222, the data folder does not exist.
    """
    from pixelwise.evaluation.asking import Asked
    from pixelwise.metrics.metric import METRICS
    from pixelwise.recipes.protocols import protocol
    from pixelwise.records.seeds.folder import runs_within
    from pixelwise.runtimes import is_artefact

    options.refuse_contradictions(options.device)
    _ = options.by_units, options.share
    run = run_path(run)
    asked = Asked(overrides=options.overrides)
    for one in () if is_artefact(run) else runs_within(Path(run)) or (Path(run),):
        asked.changed(check_network(one, [data]))
    for name in protocols or ():
        protocol(name)
    for name in options.metrics:
        METRICS.find(name)
    if data is not None and os.fspath(data) in SPLITS and not os.path.lexists(data):
        raise DataError(
            "D222", f"{os.fspath(data)}: does not exist", f"a split is named with an option: --split {os.fspath(data)}"
        )
    _check_folder(data)


def check_predicting(run: AnyPath, paths: Iterable[str], output: AnyPath, options: PredictOptions) -> None:
    """Refuse to predict with what is not a run or an artefact, or for images that do not exist.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        DataError: D223, there is no such file or folder.
        RecipeError: R251, options exclude each other; R260, there is no such part of the images.
    """
    _ = options.share, options.writes_tars(output)
    check_prelabelling(run, paths)


def check_prelabelling(run: AnyPath, paths: Iterable[str]) -> None:
    """Refuse to predict with what is not a run or an artefact, or for images that do not exist.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        DataError: D223, there is no such file or folder.
    """
    from pixelwise.prediction.inputs import refuse_missing
    from pixelwise.runtimes import is_artefact

    run = run_path(run)
    if not is_artefact(run):
        check_network(run, paths)
    refuse_missing(paths)


def check_pushing(run: AnyPath, repository: str, options: PushOptions) -> None:
    """Refuse to publish what is not a run or an artefact, or under a name that the hub does not accept.

    Raises:
        CheckpointError: K420, `run` is not a run folder; K490, `repository` is no name of a repository.
        RecipeError: R251, samples are asked for without a licence of the data.
    """
    from pixelwise.checkpoints.hub.addresses import require_repository
    from pixelwise.runtimes import is_artefact

    require_repository(repository.removeprefix("hub://"))
    options.refuse_contradictions()
    run = run_path(run)
    if not is_artefact(run):
        check_run(run)


def check_serving(run: AnyPath, options: ServeOptions) -> None:
    """Refuse to serve what is not a run or an artefact, or to serve strangers without a token.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        RecipeError: R260, the token or the name is malformed; R290, other computers could reach the server without a
            token.
    """
    from pixelwise.runtimes import is_artefact

    options.refuse_open_doors()
    run = run_path(run)
    if not is_artefact(run):
        check_run(run)


def check_profiling(model: AnyPath, overrides: Sequence[str], options: ProfileOptions) -> None:
    """Refuse to profile what is neither a recipe nor a run.

    Raises:
        RecipeError: R200 to R205 or R262, the recipe or an override is wrong; R250, there is no such runtime; R251,
            options exclude each other.
        DataError: D222, the data folder does not exist.
    """
    from pixelwise.profiling.runtimes import refuse_unknown_runtime
    from pixelwise.profiling.subjects import recipe_of

    options.refuse_contradictions(overrides)
    for name in options.runtimes:
        refuse_unknown_runtime(name)
    if not options.runtimes:
        recipe_of(model, overrides)
    _check_folder(options.data)


def check_exporting(source: AnyPath, options: ExportOptions) -> None:
    """Refuse to export what has no weights, to an unknown format, or with images that do not exist.

    Raises:
        CheckpointError: K420, `source` is a folder, but not a run.
        RecipeError: R200 or R205, there is no such recipe; R241, it is neither a run nor a recipe, or a recipe without
            `weights="none"`; R250, there is no such target; R251, an option is for another target.
        DataError: D222 or D223, a folder of data or of images does not exist.
    """
    from pixelwise.deployment.export.options import require_source
    from pixelwise.recipes.files import find

    source = here(source)
    require_source(os.fspath(source), options.weights)
    if options.weights == "none":
        find(source)
    else:
        check_run(source)
    options.refuse_runtime()
    _check_artefacts([options.format], options)


def check_deploying(run: AnyPath, options: DeployOptions) -> None:
    """Refuse to deploy what is not a run, to unknown formats, or with images that do not exist.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        RecipeError: R250, there is no such target.
        DataError: D222 or D223, a folder of data or of images does not exist.
    """
    check_run(run)
    _check_artefacts(options.targets, options)


def _check_artefacts(targets: Iterable[str], options: ArtefactOptions) -> None:
    from pixelwise.runtimes.targets import find_target

    for name in targets:
        find_target(name)
    _check_folder(options.data)
    if options.images is not None and not Path(options.images).is_dir():
        where = printable(Path(options.images))
        raise DataError("D223", f"{where}: {_state(options.images)}", "give a folder with images as `images`")


def check_run(run: AnyPath, others: Iterable[AnyPath | None] = ()) -> Recipe:
    """The recipe of a run folder.

    Args:
        run: The run folder.
        others: Other paths of the same request, one of which may be the run that is meant.

    Raises:
        CheckpointError: K420, it is not a run folder; the help names one that is.
        RecipeError: Its recipe cannot be read.
    """
    from pixelwise.records.run_folder import is_run, read_recipe, several_runs

    folder = run_path(run)
    try:
        return read_recipe(folder)
    except CheckpointError as error:
        if error.code != "K420":
            raise
        swapped = next((one for one in others if one is not None and is_run(Path(one))), None)
        if swapped is not None:
            raise CheckpointError(
                "K420", error.message, f"name the run first: {printable(Path(swapped))} {printable(folder)}"
            ) from None
        near = "" if several_runs(folder) else _runs_near(folder)
        raise CheckpointError("K420", f"{error.message}{near}", error.help) from None


def check_network(run: AnyPath, others: Iterable[AnyPath | None] = ()) -> Recipe:
    """As `check_run`, but the folder of a cross-validation is one, too: its networks predict together.

    Raises:
        CheckpointError: As `check_run`; K421, no fold has begun.
        RecipeError: As `check_run`.
    """
    from pixelwise.records.folds.cross_validation import FoldRuns, is_cross_validation, read_cross_validation
    from pixelwise.records.run_folder import is_run

    folder = Path(run)
    if not is_cross_validation(folder):
        return check_run(run, others)
    first = next(filter(is_run, FoldRuns(folder, read_cross_validation(folder)).folders), None)
    if first is None:
        where = printable(folder)
        way = f"continue with: pixelwise resume {shlex.quote(where)}"
        raise CheckpointError("K421", f"{where}: no fold has begun", way)
    return check_run(first, others)


def _runs_near(folder: Path) -> str:
    """`; did you mean 'runs/unet-1'?`: run folders beside a folder that is none, or below it."""
    from pixelwise.records.run_folder import is_run
    from pixelwise.suggestions import did_you_mean

    below = sorted(path.parent for path in folder.glob("*/recipe.toml"))[:3] if folder.is_dir() else []
    if below:
        return f"; it holds the runs {', '.join(map(printable, below))}"
    places = [place for place in (folder.parent, Path("runs")) if place.is_dir()]
    beside = dict.fromkeys(path for place in places for path in sorted(place.iterdir()) if is_run(path))
    named = {path.name: path for path in beside}
    if folder.name in named:
        return f"; did you mean '{printable(named[folder.name])}'?"
    return did_you_mean(os.fspath(folder), [os.fspath(path) for path in beside])


def _check_data(recipe: Recipe, data: AnyPath | None) -> None:
    from pixelwise.datasets.opening import require_folder

    require_folder(recipe.data, None if data is None else place_of(data))


def _check_folder(data: AnyPath | None) -> None:
    if data is not None and address_of(data) is None and not Path(data).is_dir() and not names_containers(Path(data)):
        raise DataError(
            "D222", f"{printable(Path(data))}: {_state(data)}", "give the folder that holds images and masks"
        )


def _state(path: AnyPath) -> str:
    return "is not a folder" if os.path.lexists(path) else "does not exist"


def _check_weights(weights: str | None) -> None:
    """Refuse the path of a file that does not exist; names of timm and of hubs are looked up later."""
    if weights is None or glob.has_magic(weights):
        return
    path = Path(weights).expanduser()
    if (weights.startswith((".", "~", os.sep)) or path.suffix in (".pth", ".pt", ".safetensors")) and not path.exists():
        raise CheckpointError(
            "K405",
            f"initialize.encoder names the file {printable(path)}, but there is no such file",
            "check the path; names of timm's weights have no slash, for example resnet18.a1_in1k, and "
            "initialize.encoder=none begins with random weights",
        )
