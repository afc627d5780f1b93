"""The training of a prepared run, to its last checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from pixelwise.datasets.samples import Dataset
from pixelwise.errors import StoppedError
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.pairs import EvaluationPair
from pixelwise.models import SegmentationModel
from pixelwise.observer import Observer
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import Environment
from pixelwise.records.log import EvaluationRecord
from pixelwise.records.pictures import forget_after
from pixelwise.records.run_folder import CHECKPOINTS
from pixelwise.records.status import keeping_status
from pixelwise.storage.atomic import remove_leftovers
from pixelwise.training.batches import TrainingPairs
from pixelwise.training.bookkeeping import out_of_patience
from pixelwise.training.decoded_cache import keep_decoded
from pixelwise.training.distillation.kept import keep_taught
from pixelwise.training.features.kept import keep_features
from pixelwise.training.log import NoLog, RunLog
from pixelwise.training.loop import train_loop
from pixelwise.training.optimization.adapters import is_divided
from pixelwise.training.optimization.statistics import StatisticsRenewal
from pixelwise.training.pictures.batch import draw_batch
from pixelwise.training.pictures.predictions import PredictedImages
from pixelwise.training.setup import PreparedRun
from pixelwise.training.signals import StopRequest, stop_on_signals
from pixelwise.training.trackers.following import Followers
from pixelwise.training.trackers.tracker import TrackedRun


def work(prepared: PreparedRun, run: Path, environment: Environment, observer: Observer, ranks: Ranks = ALONE) -> None:
    """Load the data and train to the end.

    Args:
        prepared: The run, at its beginning or restored.
        run: The run folder, locked by this process.
        environment: The recorded environment of the run.
        observer: Receives phases, progress, the status after every step, and warnings.
        ranks: The processes that train together; the first one writes.

    Raises:
        As `train_loop`.
    """
    model, sharding = prepared.state.model, environment.arguments.shard
    prepared.state.share(ranks, divided=is_divided(sharding, model, ranks))
    if not ranks.first:
        _work(prepared, run, environment, observer, ranks)
        return
    with keeping_status(run, observer, "training") as watched:
        _work(prepared, run, environment, watched, ranks)


def _work(prepared: PreparedRun, run: Path, environment: Environment, observer: Observer, ranks: Ranks) -> None:
    recipe, dataset, facts, state = prepared.recipe, prepared.dataset, prepared.facts, prepared.state
    if ranks.first:
        remove_leftovers(run)
        remove_leftovers(run / CHECKPOINTS)
    pairs = TrainingPairs(dataset, prepared.samples, recipe)
    views: TrainingPairs | None = None
    if state.progress.step < prepared.steps and not out_of_patience(recipe.selection, state.progress):
        views = keep_features(pairs, recipe, state, observer) if recipe.data.cache_features else None
        if views is None:
            keep_decoded(pairs, recipe, facts.largest_image, observer)
            if state.teachers is not None and recipe.distillation.cache_views:
                views = keep_taught(pairs, recipe, state, state.teachers, observer)
        if ranks.first:
            with _drawing(observer):
                forget_after(run, state.progress.evaluated_step)
                draw_batch(run, pairs, recipe)
        observer.phase("training")
    if recipe.selection.statistics_images:
        state.renew_statistics = StatisticsRenewal(recipe, pairs, ranks)
    tracked = TrackedRun(
        folder=run,
        recipe=recipe,
        environment=environment,
        data=facts,
        steps=prepared.steps,
        done=state.progress.step,
    )
    weights = facts.class_weights
    # From here on a signal means "finish the step and save"; until now there was nothing to save.
    with stop_on_signals() as stop:
        train_loop(
            recipe,
            state,
            views or pairs,
            RunLog(tracked, observer, Followers(run, environment.trackers, steps=prepared.steps))
            if ranks.first
            else NoLog(tracked, observer),
            class_weights=None if weights is None else torch.tensor(weights, device=state.device),
            evaluate=_evaluator(recipe, dataset, run, observer, ranks),
            stop=stop,
            observer=observer,
        )


@contextlib.contextmanager
def _drawing(observer: Observer) -> Iterator[None]:
    """Context in which an error only means that pictures are missing, since nothing else depends on them."""
    try:
        yield
    except Exception as error:
        observer.warn("W505", f"no picture for the live page: {type(error).__name__}: {error}")


def _evaluator(
    recipe: Recipe, dataset: Dataset, run: Path, observer: Observer, ranks: Ranks
) -> Callable[[SegmentationModel, int, StopRequest], EvaluationRecord]:
    chosen = protocol(recipe.selection.protocol or recipe.evaluation.protocols[0])
    split = recipe.selection.split

    def evaluate(model: SegmentationModel, step: int, stop: StopRequest) -> EvaluationRecord:
        def progress(done: int, total: int) -> None:
            observer.progress(done, total)
            if stop:  # the score of a part of the images must not be mistaken for a result
                raise StoppedError("I074", f"the evaluation of {split} was stopped after {done} of {total} images")

        observer.phase("evaluating")
        pictures = PredictedImages(run, dataset, split, step)

        def see(pair: EvaluationPair, predicted: Tensor) -> None:
            with _drawing(observer):
                pictures.see(pair, predicted)

        scored = evaluate_model(
            model,
            dataset,
            split,
            chosen,
            input_size=recipe.evaluation.input_size,
            batch_size=recipe.evaluation.batch_size,
            precision=recipe.precision,
            see=see,
            ranks=ranks,
            progress=progress,
        )
        pictures.gather(ranks)
        if ranks.first:
            with _drawing(observer):
                pictures.save()
        return EvaluationRecord(
            step=step,
            split=split,
            protocol=chosen.name,
            miou=scored.miou,
            pixel_accuracy=scored.pixel_accuracy,
            per_class_iou=tuple(scored.per_class_iou),
        )

    return evaluate
