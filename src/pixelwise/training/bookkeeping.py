"""Bookkeeping of a training run: which steps were good, how evaluations compare, when to save."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import safetensors.torch

from pixelwise.errors import DivergedError
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.observer import TrainingScore, TrainingStatus
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.lengths import steps_per_epoch, total_steps
from pixelwise.recipes.schema.recipe import Recipe, Selection
from pixelwise.records.log import (
    MAX_BAD_STEPS,
    NO_LABELS,
    EvaluationRecord,
    FinishedRecord,
    ResumeRecord,
    SkippedRecord,
    read_log,
)
from pixelwise.records.run_folder import CHECKPOINTS
from pixelwise.storage import printable, write_bytes
from pixelwise.training.batches import Batch
from pixelwise.training.clock import SpeedMeter
from pixelwise.training.log import RunLog
from pixelwise.training.order import BatchPlan
from pixelwise.training.precision import bfloat16_caution
from pixelwise.training.state import Progress, TrainingState
from pixelwise.training.step import Outcome
from pixelwise.training.together.division import ALL, Division


class _Step(NamedTuple):
    """A step that was taken.

    Attributes:
        step: Number of the step, from 1.
        lr: Base learning rate of the step.
        outcome: Loss, gradient norm and whether the weights changed.
        batches: Micro-batches of the step, of this process.
    """

    step: int
    lr: float
    outcome: Outcome
    batches: list[Batch]


class Books:
    """Progress, log and checkpoints of a run.

    Args:
        recipe: The resolved recipe.
        state: Model, optimizer and progress, fresh or restored.
        log: Log of the run.
        images: Number of images in the training split.
        division: The part of this process in every step; only the first process writes.
        ids: Ids of the training images.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: TrainingState,
        log: RunLog,
        images: int,
        division: Division = ALL,
        ids: Sequence[str] = (),
    ) -> None:
        self.recipe = recipe
        self.state = state
        self.log = log
        self.per_epoch = steps_per_epoch(images, recipe.sampling)
        self.steps = total_steps(recipe.schedule, self.per_epoch)
        self.speed = SpeedMeter()
        self._division, self._ids, self._images = division, ids, images
        self._unjudged: deque[_Step] = deque()
        self._mious: list[float | None] = []

    @property
    def progress(self) -> Progress:
        """Progress of the run."""
        return self.state.progress

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.log.run.folder

    def begin(self) -> None:
        """Begin the log, or continue it from the step of the state."""
        self.log.start(self.progress.evaluated_step)
        if not self._division.ranks.first:
            return
        self._mious = [record.miou for record in read_log(self.run).of(EvaluationRecord)]
        if self.progress.resumes and not self.at_end():
            self.log.record(ResumeRecord(step=self.progress.step))
        caution = bfloat16_caution(self.recipe.precision, self.state.device)
        if self.progress.step < self.steps and caution:
            self.warn("W503", caution)

    def warn(self, code: str, message: str) -> None:
        """Log a warning and tell the observer."""
        self.log.warn(code, message, self.progress.step)

    def at_end(self) -> bool:
        """Whether training is over."""
        return self.progress.step >= self.steps or out_of_patience(self.recipe.selection, self.progress)

    def evaluation_due(self) -> bool:
        """Whether the network has to be evaluated before the next step."""
        progress, every = self.progress, self.recipe.selection.every_epochs * self.per_epoch
        due = every > 0 and progress.step > 0 and (progress.step % every == 0 or progress.step == self.steps)
        return due and progress.evaluated_step < progress.step

    def renewal_due(self) -> bool:
        """Whether the last weights still need their statistics of normalisation layers, which no evaluation brings."""
        progress = self.progress
        wanted = self.state.renew_statistics is not None and not self.recipe.selection.every_epochs
        return wanted and progress.step == self.steps and progress.renewed_step < progress.step

    def late(self) -> bool:
        """Whether the time since the last save is that after which the next one is due."""
        return self.speed.seconds_since_lap() >= 60 * self.recipe.checkpoints.every_minutes

    def save_due(self, late: bool) -> bool:
        """Whether the state has to be saved now.

        Not when an evaluation is due: it saves the state itself, with the score that can make it the best checkpoint.

        Args:
            late: Whether it is time to save.
        """
        if self.evaluation_due():
            return False
        every = self.recipe.checkpoints.every_steps
        by_step = every is not None and self.progress.step % every == 0
        return late or by_step or self.progress.step == self.steps

    def took(self, lr: float, outcome: Outcome, batches: list[Batch]) -> None:
        """Record a step.

        Raises:
            DivergedError: T501, five non-finite steps in a row; the batch is saved.
        """
        self.progress.step += 1
        self._unjudged.append(_Step(self.progress.step, lr, outcome, batches))
        # The device may still be computing this step; asking for its verdict would wait for it.
        self.judge(pending=0 if outcome.verdict is None else 1)

    def judge(self, pending: int = 0) -> None:
        """Judge all recorded steps except the last `pending`."""
        while len(self._unjudged) > pending:
            self._judge(self._unjudged.popleft())

    def note_memory(self) -> None:
        """Record the peak memory so far, since an evaluation resets the statistics of a GPU."""
        self.progress.peak_memory_bytes = max(self.progress.peak_memory_bytes, peak_memory_bytes(self.state.device))

    def evaluated(self, evaluation: EvaluationRecord) -> None:
        """Record an evaluation and save the state with its score."""
        progress, miou = self.progress, evaluation.miou
        self._mious.append(miou)
        progress.evaluated_step, progress.miou = progress.step, miou
        # Without a labelled pixel there is no score, and nothing that later ones would have to exceed.
        if miou is not None and (progress.best_miou is None or miou > progress.best_miou):
            progress.best_miou, progress.best_step = miou, progress.step
        margin = self.recipe.selection.min_delta / 100
        if miou is not None and (progress.improved_miou is None or miou > progress.improved_miou + margin):
            progress.improved_miou, progress.stale_evaluations = miou, 0
        else:
            progress.stale_evaluations += 1
            progress.longest_stale = max(progress.longest_stale, progress.stale_evaluations)
        self.log.evaluation(evaluation)
        self.save()

    def renewed(self) -> None:
        """Save the state with the new statistics."""
        self.progress.renewed_step = self.progress.step
        self.save()

    def save(self) -> None:
        """Judge every recorded step and write a checkpoint.

        Raises:
            DivergedError: T501, five non-finite steps in a row; the batch is saved.
            ResourceError: S601, the disk is full.
        """
        self.judge()
        self.log.flush()
        self.progress.seconds += self.speed.lap()
        self.note_memory()
        if self._division.ranks.first:
            self.state.save(self.run / CHECKPOINTS, self.recipe)
        else:
            self.state.take_part_in_saving()

    def end(self) -> None:
        """Record the end of the training and what it took."""
        progress, selection = self.progress, self.recipe.selection
        if progress.step < self.steps:
            self.warn("W502", _early_end(selection, progress))
        self.log.record(
            FinishedRecord(
                step=progress.step,
                seconds=progress.seconds,
                peak_memory_bytes=progress.peak_memory_bytes,
                skipped=progress.skipped,
                void=progress.void,
                resumes=progress.resumes,
            )
        )

    def status(self, lr: float) -> TrainingStatus:
        """Status of the run after a step of that learning rate; its loss is that of a recent step, at the end exact."""
        progress = self.progress
        if progress.step == self.steps:
            self.judge()
            self.log.flush()
        return TrainingStatus(
            step=progress.step,
            steps=self.steps,
            epoch=self._epoch(progress.step),
            epochs=-(-self.steps // self.per_epoch),
            loss=self.log.latest_loss,
            lr=lr,
            images_per_second=self.speed.images_per_second,
            data_wait_share=self.speed.wait_share,
            miou=progress.miou,
            best_miou=progress.best_miou,
        )

    def score(self) -> TrainingScore:
        """The latest evaluation, after those before it."""
        return TrainingScore(
            step=self.progress.step,
            steps=self.steps,
            epoch=self._epoch(self.progress.step),
            epochs=-(-self.steps // self.per_epoch),
            split=self.recipe.selection.split,
            mious=tuple(self._mious),
            best_miou=self.progress.best_miou,
        )

    def _epoch(self, step: int) -> int:
        return (step - 1) // self.per_epoch + 1

    def _judge(self, taken: _Step) -> None:
        """Log a step, and count it if it changed nothing; too many such steps in a row end the run."""
        progress, outcome = self.progress, taken.outcome.judged()
        if outcome.kind == "done":
            progress.bad_in_a_row = 0
            self.log.step(taken.step, self._epoch(taken.step), taken.lr, outcome.loss, outcome.grad_norm)
            return
        ids = self._ids_of(taken)
        if outcome.kind == "void":
            progress.void += 1
            self.log.record(SkippedRecord(step=taken.step, reason=NO_LABELS, images=ids))
            return
        progress.skipped += 1
        progress.bad_in_a_row += 1
        reason = f"loss {float(outcome.loss)}, gradient norm {float(outcome.grad_norm)}"
        self.log.record(SkippedRecord(step=taken.step, reason=reason, images=ids))
        self.warn("W501", f"step {taken.step} changed nothing: {reason}")
        if progress.bad_in_a_row >= MAX_BAD_STEPS:
            raise _diverged(taken, reason, save_batches(self.run, taken.batches, self._division.ranks))

    def _ids_of(self, taken: _Step) -> tuple[str, ...]:
        """The ids of all images of a step, those of the other processes too, which follow from the order alone."""
        if self._division.kind == "alone":
            return tuple(name for batch in taken.batches for name in batch.ids)
        plan = BatchPlan(self._images, self.recipe.sampling, taken.step - 1, taken.step)
        return tuple(self._ids[index] for keys in plan for _, index in keys)


def out_of_patience(selection: Selection, progress: Progress) -> bool:
    """Whether `selection.patience` is exhausted, which ends the training early.

    This follows from the saved state alone, so a run that ended early and is resumed with a larger `patience`, or
    none, continues where it ended.
    """
    return selection.patience is not None and progress.stale_evaluations >= selection.patience


def save_batches(run: Path, batches: list[Batch], ranks: Ranks = ALONE) -> Path:
    """Save the batches of a step that diverged, with the ids of their images; returns the file of the process."""
    path = run / ("bad_batch.safetensors" if ranks.first else f"bad_batch-{ranks.rank}.safetensors")
    tensors = {}
    for index, batch in enumerate(batches):
        tensors[f"{index}.labels"] = batch.labels
        if batch.features is None:
            tensors[f"{index}.images"] = batch.images
        tensors |= {f"{index}.features.{number}": one for number, one in enumerate(batch.features or ())}
        if batch.colors is not None:
            tensors[f"{index}.colors"] = batch.colors
    ids = [name for batch in batches for name in batch.ids]
    write_bytes(path, safetensors.torch.save(tensors, {"ids": msgspec.json.encode(ids).decode()}))
    return path


def _diverged(taken: _Step, reason: str, batches: Path) -> DivergedError:
    return DivergedError(
        "T501",
        f"{MAX_BAD_STEPS} steps in a row had a non-finite loss or gradient, up to step {taken.step} "
        f"({reason}); none of them changed a weight, the state is saved, and the batch is in {printable(batches)}",
        f"start a new run with a lower optimizer.lr (now {taken.lr:.3g}) or with optimizer.clip_norm=1.0, and look at "
        "the images named in log.jsonl",
    )


def _early_end(selection: Selection, progress: Progress) -> str:
    number, best = progress.stale_evaluations, progress.improved_miou
    least = f" by more than {selection.min_delta:g} points" if selection.min_delta else ""
    result = "had no labelled pixel to score" if best is None else f"did not exceed {100 * best:.2f} % mIoU{least}"
    return (
        f"training ended early after step {progress.step}: {number} evaluations in a row {result} (selection.patience)"
    )
