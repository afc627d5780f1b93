"""The training loop, readable from top to bottom.

A step with a non-finite loss or gradient changes nothing: no weight, no batch-norm statistic, no
average. Five in a row end the run. Everything that happens is a function of the recipe, the data and
the state, so a run that was killed and resumed computes what an uninterrupted one computes.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import safetensors.torch
import torch
from torch import Tensor

from pixelwise.errors import DivergedError, PixelwiseError, ResourceError, StoppedError
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.models import SegmentationModel
from pixelwise.recipes.schema.recipe import Recipe, Selection
from pixelwise.records.run_folder import CHECKPOINTS
from pixelwise.storage import printable, write_bytes
from pixelwise.training.batches import Batch, TrainingPairs, training_batches
from pixelwise.training.log import RunLog
from pixelwise.training.optimizers import set_learning_rates
from pixelwise.training.order import steps_per_epoch
from pixelwise.training.precision import bfloat16_caution, head_logits
from pixelwise.training.schedules import total_steps
from pixelwise.training.signals import StopRequest
from pixelwise.training.state import Progress, TrainingState
from pixelwise.training.step import Outcome, train_step

MAX_BAD_STEPS = 5


class Taken(NamedTuple):
    """A step that was taken: its number, learning rate, outcome and batches."""

    step: int
    lr: float
    outcome: Outcome
    batches: list[Batch]


class Evaluated(NamedTuple):
    """What an evaluation during training reports."""

    split: str
    protocol: str
    miou: float
    pixel_accuracy: float
    per_class_iou: list[float | None]


class Status(NamedTuple):
    """What a progress display shows, after every step."""

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float | None
    lr: float
    images_per_second: float
    data_wait_share: float
    miou: float | None
    best_miou: float | None


def train_loop(
    recipe: Recipe,
    state: TrainingState,
    pairs: TrainingPairs,
    run: Path,
    *,
    class_weights: Tensor | None,
    workers: int,
    evaluate: Callable[[SegmentationModel, StopRequest], Evaluated],
    stop: StopRequest,
    status: Callable[[Status], None],
    warn: Callable[[str, str], None],
) -> None:
    """Train from `state` to the end of the schedule, or until `selection.patience` is exhausted.

    Args:
        recipe: The resolved recipe.
        state: Fresh or restored; its model's device is where training happens.
        pairs: The training split.
        run: The run folder; checkpoints and the log go there.
        class_weights: (K,) on the model's device, or None.
        workers: Loader processes.
        evaluate: Scores a model on the selection split; raises `StoppedError` when it was stopped on the way.
        stop: Set by signals; honoured at step boundaries, after saving.
        status: Told of every step.
        warn: Told of everything that is not as it should be, with a code.

    Raises:
        StoppedError: A signal asked for it; the state is saved.
        DivergedError: T501, five non-finite steps in a row; the batch is saved.
        DataError: A training file cannot be read any more.
        ResourceError: S605, a step needs more memory than there is.
    """
    per_epoch = steps_per_epoch(len(pairs), recipe.sampling)
    steps = total_steps(recipe.schedule, per_epoch)
    progress = state.progress
    device = next(state.model.parameters()).device
    log = RunLog(run / "log.jsonl")
    log.rewind(progress.step, progress.evaluated_step)
    if progress.resumes and progress.step < steps and not out_of_patience(recipe.selection, progress):
        log.record("resume", progress.step, {})

    def warn_and_log(code: str, message: str) -> None:
        log.record("warning", progress.step, {"code": code, "message": message})
        warn(code, message)

    if progress.step < steps and (caution := bfloat16_caution(recipe.precision, device)):
        warn_and_log("W503", caution)
    batches = training_batches(
        pairs,
        recipe,
        start=progress.step,
        steps=steps,
        workers=workers,
        warn=warn_and_log,
        pin=device.type == "cuda",
    )
    meter = SpeedMeter(recipe.sampling.batch_size * recipe.sampling.accumulate)
    network = head_logits(state.model, recipe.precision)

    def note_memory() -> None:
        # An evaluation resets the statistics of a GPU, so this is asked before each of them, too.
        progress.peak_memory_bytes = max(progress.peak_memory_bytes, peak_memory_bytes(device))

    unjudged: deque[Taken] = deque()

    def judge(pending: int = 0) -> None:
        """Record the steps taken, but for the last `pending`, which the device may still be computing."""
        while len(unjudged) > pending:
            _note_step(state, unjudged.popleft(), per_epoch, run, log, warn_and_log)

    def save() -> None:
        judge()
        log.flush()
        progress.seconds += meter.lap()
        note_memory()
        state.save(run / CHECKPOINTS, recipe)

    def evaluation_due() -> bool:
        every = recipe.selection.every_epochs * per_epoch
        due = every > 0 and progress.step > 0 and (progress.step % every == 0 or progress.step == steps)
        return due and progress.evaluated_step < progress.step

    def at_end() -> bool:
        return progress.step >= steps or out_of_patience(recipe.selection, progress)

    was_over = at_end() and not evaluation_due()

    def save_due() -> bool:
        every = recipe.checkpoints.every_steps
        by_time = meter.seconds_since_lap() >= 60 * recipe.checkpoints.every_minutes
        return by_time or (every is not None and progress.step % every == 0)

    with contextlib.ExitStack() as cleanup:
        # Ends the loader's processes whatever happens.
        cleanup.callback(batches.close)  # type: ignore[attr-defined]
        # Whatever ends the loop early, what was learned so far is saved first.
        cleanup.enter_context(saved_on_failure(save))
        while True:
            if evaluation_due() and not stop:
                judge()
                note_memory()
                try:
                    evaluated = evaluate(state.average or state.model, stop)
                except StoppedError:
                    if not stop:  # no signal, but somebody who watches the run
                        save()
                        raise
                else:
                    _note_evaluation(state, evaluated, recipe.selection, log)
                    save()
            if stop:
                save()
                raise stop.error(printable(run), progress.step)
            if at_end():
                if not was_over:
                    if progress.step < steps:
                        warn_and_log("W502", _early_end(recipe.selection, progress))
                    _note_end(state, log)
                break

            meter.waiting()
            micro_batches = [next(batches) for _ in range(recipe.sampling.accumulate)]
            meter.working()
            lr = set_learning_rates(state.optimizer, recipe, progress.step, per_epoch)
            with memory_explained(recipe, device):
                outcome = train_step(recipe, state, network, micro_batches, class_weights)
            meter.done()
            progress.step += 1
            unjudged.append(Taken(progress.step, lr, outcome, micro_batches))
            judge(pending=0 if outcome.verdict is None else 1)
            # An evaluation saves, too; only a checkpoint with its score can become the best one.
            if not evaluation_due() and (progress.step == steps or save_due()):
                save()
            status(
                Status(
                    step=progress.step,
                    steps=steps,
                    epoch=(progress.step - 1) // per_epoch + 1,
                    epochs=-(-steps // per_epoch),
                    loss=log.latest_loss,
                    lr=lr,
                    images_per_second=meter.images_per_second,
                    data_wait_share=meter.wait_share,
                    miou=progress.miou,
                    best_miou=progress.best_miou,
                )
            )


@contextlib.contextmanager
def saved_on_failure(save: Callable[[], None]) -> Iterator[None]:
    """Call `save` when the block fails with an error that a user can solve and then resume."""
    try:
        yield
    except (StoppedError, ResourceError):
        raise  # saved already, or there is no room to save
    except PixelwiseError:
        save()
        raise


class SpeedMeter:
    """Images per second and the share of time spent waiting for data, smoothed over recent steps.

    Args:
        images: Images per step.
    """

    SMOOTHING = 0.05

    def __init__(self, images: int) -> None:
        self.images = images
        self.images_per_second = 0.0
        self.wait_share = 0.0
        self._lap = self._wait_start = self._work_start = time.monotonic()
        self._step_seconds: float | None = None

    def waiting(self) -> None:
        """Waiting for a batch begins."""
        self._wait_start = time.monotonic()

    def working(self) -> None:
        """The batch is here."""
        self._work_start = time.monotonic()

    def done(self) -> None:
        """The step is over; what follows until the next `waiting` (evaluations, saving) is not counted."""
        wait, work = self._work_start - self._wait_start, time.monotonic() - self._work_start
        seconds, share = wait + work, wait / max(wait + work, 1e-9)
        if self._step_seconds is None:
            self._step_seconds, self.wait_share = seconds, share
        else:
            self._step_seconds += self.SMOOTHING * (seconds - self._step_seconds)
            self.wait_share += self.SMOOTHING * (share - self.wait_share)
        self.images_per_second = self.images / max(self._step_seconds, 1e-9)

    def seconds_since_lap(self) -> float:
        """Seconds since the last `lap`."""
        return time.monotonic() - self._lap

    def lap(self) -> float:
        """Seconds since the last call."""
        now = time.monotonic()
        seconds, self._lap = now - self._lap, now
        return seconds


def out_of_patience(selection: Selection, progress: Progress) -> bool:
    """Whether the evaluations so far end the training early.

    It follows from the saved state, so a run that ended early and is resumed with a larger `patience`, or none,
    goes on where it ended.
    """
    return selection.patience is not None and progress.stale_evaluations >= selection.patience


def _early_end(selection: Selection, progress: Progress) -> str:
    least = f" by more than {selection.min_delta:g} points" if selection.min_delta else ""
    return (
        f"training ended early after step {progress.step}: {progress.stale_evaluations} evaluations in a row were not "
        f"above {100 * (progress.improved_miou or 0):.2f} % mIoU{least} (selection.patience)"
    )


@contextlib.contextmanager
def memory_explained(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn "out of memory" of a training step into an error that says what to do.

    Raises:
        ResourceError: S605.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0].partition(". ")[0]
        batch_size, accumulate = recipe.sampling.batch_size, recipe.sampling.accumulate
        raise ResourceError(
            "S605",
            f"a training step with sampling.batch_size={batch_size} does not fit into the memory of {device} "
            f"({reason}; {peak_memory_bytes(device) / 2**30:.1f} GiB were in use at most)",
            f"start a new run with --auto-batch, which keeps the {batch_size * accumulate} images per step by "
            "accumulating smaller batches, or with precision.dtype=bfloat16, or a smaller augment.crop",
        ) from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch says that memory is exhausted, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _note_evaluation(state: TrainingState, evaluated: Evaluated, selection: Selection, log: RunLog) -> None:
    progress = state.progress
    progress.evaluated_step, progress.miou = progress.step, evaluated.miou
    if progress.best_miou is None or evaluated.miou > progress.best_miou:
        progress.best_miou, progress.best_step = evaluated.miou, progress.step
    if progress.improved_miou is None or evaluated.miou > progress.improved_miou + selection.min_delta / 100:
        progress.improved_miou, progress.stale_evaluations = evaluated.miou, 0
    else:
        progress.stale_evaluations += 1
    log.record("evaluation", progress.step, evaluated._asdict())


def _note_end(state: TrainingState, log: RunLog) -> None:
    """Log what the training took."""
    facts = ("seconds", "peak_memory_bytes", "skipped", "void", "resumes")
    log.record("finished", state.progress.step, {name: getattr(state.progress, name) for name in facts})


def _note_step(
    state: TrainingState,
    taken: Taken,
    per_epoch: int,
    run: Path,
    log: RunLog,
    warn: Callable[[str, str], None],
) -> None:
    """Log the step; count and judge the ones that changed nothing."""
    progress, (step, lr, pending, batches) = state.progress, taken
    outcome = pending.judged()
    if outcome.kind == "done":
        progress.bad_in_a_row = 0
        log.step(step, (step - 1) // per_epoch + 1, lr, outcome.loss, outcome.grad_norm)
        return
    ids = [name for batch in batches for name in batch.ids]
    if outcome.kind == "void":
        progress.void += 1
        log.record("skipped", step, {"reason": "no labelled pixel", "images": ids})
        return
    progress.skipped += 1
    progress.bad_in_a_row += 1
    reason = f"loss {float(outcome.loss)}, gradient norm {float(outcome.grad_norm)}"
    log.record("skipped", step, {"reason": reason, "images": ids})
    warn("W501", f"step {step} changed nothing: {reason}")
    if progress.bad_in_a_row >= MAX_BAD_STEPS:
        path = run / "bad_batch.safetensors"
        tensors = {}
        for index, batch in enumerate(batches):
            tensors |= {f"{index}.images": batch.images, f"{index}.labels": batch.labels}
            if batch.colors is not None:
                tensors[f"{index}.colors"] = batch.colors
        write_bytes(path, safetensors.torch.save(tensors, {"ids": msgspec.json.encode(ids).decode()}))
        raise DivergedError(
            "T501",
            f"{MAX_BAD_STEPS} steps in a row had a non-finite loss or gradient, up to step {step} "
            f"({reason}); none of them changed a weight, the state is saved, and the batch is in {printable(path)}",
            f"start a new run with a lower optimizer.lr (now {lr:.3g}) or with optimizer.clip_norm=1.0, and look at "
            "the images named in log.jsonl",
        )
