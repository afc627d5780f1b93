"""`log.jsonl`: one record per line of what happened in a run, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from pixelwise.storage import write_bytes
from pixelwise.storage.atomic import full_disk_explained

LOG = "log.jsonl"


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all records have.

    Attributes:
        step: Optimizer steps that were done when it was written.
    """

    step: int


class StepRecord(Record, frozen=True, kw_only=True, tag="step"):
    """A training step that changed the weights.

    Attributes:
        epoch: The epoch it belongs to, from 1.
        loss: Loss of the step, averaged over its batches.
        lr: Base learning rate of the step.
        grad_norm: L2 norm of the gradient before clipping; None: not recorded.
    """

    epoch: int
    loss: float
    lr: float
    grad_norm: float | None = None


class EvaluationRecord(Record, frozen=True, kw_only=True, tag="evaluation"):
    """An evaluation between two steps.

    Attributes:
        split: The split that was scored.
        protocol: Name of the protocol.
        miou: Mean IoU, 0..1; None: nothing is labelled.
        pixel_accuracy: Share of the labelled pixels that are right, 0..1; None: nothing is labelled.
        per_class_iou: IoU of each class; None where the class occurs in no label and no prediction.
    """

    split: str
    protocol: str
    miou: float | None
    pixel_accuracy: float | None = None
    per_class_iou: tuple[float | None, ...] = ()


class SkippedRecord(Record, frozen=True, kw_only=True, tag="skipped"):
    """A training step that changed nothing.

    Attributes:
        reason: Why: a loss or gradient that is not finite, or no labelled pixel.
        images: Ids of the images in its batches.
    """

    reason: str = ""
    images: tuple[str, ...] = ()


class WarningRecord(Record, frozen=True, kw_only=True, tag="warning"):
    """A warning.

    Attributes:
        code: Code that docs/errors.md explains.
        message: One sentence.
    """

    code: str
    message: str


class ResumeRecord(Record, frozen=True, kw_only=True, tag="resume"):
    """The run was continued after `step`."""


class PrecisionRecord(Record, frozen=True, kw_only=True, tag="precision"):
    """The number format that `precision.dtype=auto` chose.

    Attributes:
        chosen: What was chosen and why, one sentence.
        milliseconds: Milliseconds of a forward and backward pass by number format and layout.
    """

    chosen: str
    milliseconds: dict[str, float]


class FinishedRecord(Record, frozen=True, kw_only=True, tag="finished"):
    """The end of the training and what it took.

    Attributes:
        seconds: Time spent training and evaluating, over all resumes.
        peak_memory_bytes: Largest amount of memory in use, on a GPU or by the process.
        skipped: Steps that changed nothing because the loss or a gradient was not finite.
        void: Steps that changed nothing because no pixel was labelled.
        resumes: How often the run was continued.
    """

    seconds: float
    peak_memory_bytes: int = 0
    skipped: int = 0
    void: int = 0
    resumes: int = 0


AnyRecord = (
    StepRecord | EvaluationRecord | SkippedRecord | WarningRecord | ResumeRecord | PrecisionRecord | FinishedRecord
)
OneKind = TypeVar("OneKind", bound=Record)


class Log(msgspec.Struct, frozen=True):
    """The records of a log, in order."""

    records: tuple[AnyRecord, ...] = ()

    def of(self, kind: type[OneKind]) -> list[OneKind]:
        """The records of one kind, in order."""
        return [record for record in self.records if isinstance(record, kind)]


def read_log(run: Path) -> Log:
    """The log of a run, empty where there is none.

    Lines that are no record of this version are passed over: the last one of a run that was killed or is still
    writing, and kinds of records that other versions write.
    """
    path = run / LOG
    if not path.is_file():
        return Log()
    decoder = msgspec.json.Decoder(AnyRecord)
    records = []
    for line in path.read_bytes().splitlines():
        try:
            records.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return Log(tuple(records))


def append_log(run: Path, records: Iterable[AnyRecord]) -> None:
    """Add records to the log of a run, which is made where it is missing.

    Raises:
        ResourceError: S601, the disk is full.
    """
    path = run / LOG
    with full_disk_explained(path), open(path, "ab") as file:
        file.writelines(msgspec.json.encode(record) + b"\n" for record in records)


class _Position(msgspec.Struct):
    kind: str
    step: int


def rewind_log(run: Path, step: int, evaluated_step: int) -> None:
    """Forget what came after a restored state: a killed run may have logged more than it saved.

    Args:
        run: The run folder.
        step: The last step that counts.
        evaluated_step: The last evaluation that counts.
    """
    path = run / LOG
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines():
        try:
            position = msgspec.json.decode(line, type=_Position)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # the line that was being written when the process was killed
        if position.step <= (evaluated_step if position.kind == "evaluation" else step):
            kept.append(line)
    write_bytes(path, b"".join(line + b"\n" for line in kept))
