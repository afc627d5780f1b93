"""The training loop, readable from top to bottom.

A step with a non-finite loss or gradient changes nothing: no weight, no batch-norm statistic, no moving average. Five
such steps in a row end the run. Everything is a function of the recipe, the data and the state, so a run that was
killed and resumed computes the same as an uninterrupted one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from torch import Tensor

from pixelwise.errors import PixelwiseError, ResourceError, StoppedError
from pixelwise.models import SegmentationModel
from pixelwise.observer import Observer
from pixelwise.ranks.joining import has_lost_others
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.log import EvaluationRecord
from pixelwise.storage import printable
from pixelwise.training.batches import TrainingPairs, loader_processes, training_batches
from pixelwise.training.bookkeeping import Books
from pixelwise.training.log import RunLog
from pixelwise.training.memory import memory_explained
from pixelwise.training.optimization.optimizers import set_learning_rates
from pixelwise.training.precision import training_outputs
from pixelwise.training.signals import StopRequest
from pixelwise.training.state import TrainingState
from pixelwise.training.step import train_step
from pixelwise.training.together.agreement import NOTHING, Loaded, agree
from pixelwise.training.together.division import Division


def train_loop(
    recipe: Recipe,
    state: TrainingState,
    pairs: TrainingPairs,
    log: RunLog,
    *,
    class_weights: Tensor | None,
    evaluate: Callable[[SegmentationModel, int, StopRequest], EvaluationRecord],
    stop: StopRequest,
    observer: Observer,
) -> None:
    """Train from `state` to the end of the schedule, or until `selection.patience` is exhausted.

    Args:
        recipe: The resolved recipe.
        state: State of the run, fresh or restored; training runs on the device of its model. The processes that share
            it agree before every step on what one of them alone knows: a signal, an error, whether anything is
            labelled, the time to save. The first one writes.
        pairs: Pairs of the training split.
        log: Log of the run; checkpoints go into its run folder.
        class_weights: Class weights (K,) on the model's device, or None.
        evaluate: Scores a model on the selection split, given the number of steps done and the stop request. Raises
            `StoppedError` if it was stopped before its end.
        stop: Set by signals; obeyed at step boundaries, after saving.
        observer: Receives the status after every step, and every score.

    Raises:
        StoppedError: The run was asked to stop; the state is saved.
        DivergedError: T501, five non-finite steps in a row; the batch is saved.
        DataError: A training file can no longer be read.
        ResourceError: S605, a step needs more memory than is available.
    """
    ranks = state.ranks
    division = Division.of(recipe, ranks)
    books = Books(recipe, state, log, len(pairs), division, [sample.id for sample in pairs.samples])
    progress, device = state.progress, state.device
    batches = training_batches(
        pairs,
        recipe,
        start=progress.step,
        steps=books.steps,
        workers=loader_processes(recipe, device),
        warn=books.warn,
        pin=device.type == "cuda",
        division=division,
    )
    own_batches = division.batches(recipe.sampling.accumulate)
    network = state.sharded or training_outputs(state.model, recipe.precision, ranks)
    was_over = books.at_end() and not (books.evaluation_due() or books.renewal_due())
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(log.finish)
        # Ends the loader's processes in every case.
        cleanup.callback(batches.close)
        books.begin()
        # If an error ends the loop early, the state is saved first.
        cleanup.enter_context(saved_on_failure(books.save))
        while True:
            # A signal that only this process has got must not keep it from an evaluation of all.
            if books.evaluation_due() and not (stop and ranks.world == 1):
                books.judge()
                books.note_memory()
                try:
                    with state.to_score() as scored:
                        state.renew(scored, lambda: bool(stop))
                        evaluation = evaluate(scored, progress.step, stop)
                    books.evaluated(evaluation)
                    observer.scored(books.score())
                except StoppedError:
                    if not ranks.agree([int(bool(stop))])[0]:  # raised by the observer, not by a signal
                        books.save()
                        raise
            if books.renewal_due():
                with state.to_score() as last:
                    state.renew(last)
                books.renewed()
            ending = books.at_end()
            books.speed.waiting()
            loaded = NOTHING if ending or stop else Loaded.of(batches, own_batches)
            books.speed.working()
            agreed = agree(ranks, stop, loaded, recipe, late=books.late())
            if agreed.signal is not None:
                stop.signal = agreed.signal
                books.save()
                raise stop.error(printable(log.run.folder), progress.step)
            if ending:
                if not was_over:
                    books.end()
                break

            state.model.at(progress.step, books.steps)
            lr = set_learning_rates(state.optimizer, recipe, progress.step, books.per_epoch)
            with memory_explained(recipe, device):
                outcome = train_step(
                    recipe,
                    state,
                    network,
                    loaded.batches,
                    class_weights,
                    division=division,
                    labelled=agreed.labelled,
                )
            books.speed.done(ranks.world * sum(len(batch.ids) for batch in loaded.batches))
            books.took(lr, outcome, loaded.batches)
            if books.save_due(agreed.late):
                books.save()
            observer.step(books.status(lr))


@contextlib.contextmanager
def saved_on_failure(save: Callable[[], None]) -> Iterator[None]:
    """Call `save` when the block fails with an error that the user can resolve before resuming."""
    try:
        yield
    except (StoppedError, ResourceError):
        raise  # already saved, or there is no space to save
    except PixelwiseError as error:
        try:
            save()
        except RuntimeError as lost:  # what only the others have cannot be saved without them
            if not has_lost_others(lost):
                raise
        raise error
