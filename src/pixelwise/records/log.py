"""`log.jsonl`: the events of a run, one record per line, in chronological order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pixelwise.records import showing
from pixelwise.storage import write_bytes
from pixelwise.storage.atomic import full_disk_explained
from pixelwise.storage.documents import DocumentError, is_irregular, read_document
from pixelwise.views import frame, polars_frame

if TYPE_CHECKING:
    import pandas  # type: ignore[import-not-found]
    import polars  # type: ignore[import-not-found]

LOG = "log.jsonl"
MAX_BAD_STEPS = 5
"""Number of steps in a row with a non-finite loss or gradient that end a run."""
NO_LABELS = "no labelled pixel"
"""Reason of a skipped step whose batches have no label; such steps are no sign of a fault."""


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Fields common to all records.

    Attributes:
        step: Number of optimizer steps done when the record was written.
    """

    step: int


class StepRecord(Record, frozen=True, kw_only=True, tag="step"):
    """A training step that changed the weights.

    Attributes:
        epoch: Epoch of the step, counted from 1.
        loss: Loss of the step, averaged over its batches.
        lr: Base learning rate of the step.
        grad_norm: L2 norm of the gradient before clipping; None if not recorded.
    """

    epoch: int
    loss: float
    lr: float
    grad_norm: float | None = None


class EvaluationRecord(Record, frozen=True, kw_only=True, tag="evaluation"):
    """An evaluation during training.

    Attributes:
        split: Evaluated split.
        protocol: Name of the evaluation protocol.
        miou: Mean IoU, 0..1; None if nothing is labelled.
        pixel_accuracy: Fraction of labelled pixels that are classified correctly, 0..1; None if nothing is labelled.
        per_class_iou: IoU of each class; None for a class that occurs in neither labels nor predictions.
    """

    split: str
    protocol: str
    miou: float | None
    pixel_accuracy: float | None = None
    per_class_iou: tuple[float | None, ...] = ()


class SkippedRecord(Record, frozen=True, kw_only=True, tag="skipped"):
    """A training step that did not change the weights.

    Attributes:
        reason: Why the step was skipped: a loss or gradient that is not finite, or no labelled pixel.
        images: Ids of the images in the step's batches.
    """

    reason: str = ""
    images: tuple[str, ...] = ()


class WarningRecord(Record, frozen=True, kw_only=True, tag="warning"):
    """A warning.

    Attributes:
        code: Code that docs/errors.md explains.
        message: Text of the warning.
    """

    code: str
    message: str


class ResumeRecord(Record, frozen=True, kw_only=True, tag="resume"):
    """The run was continued after `step`."""


class ProcessesRecord(Record, frozen=True, kw_only=True, tag="processes"):
    """From here on, this number of processes trains the run; a log without such a record is that of one process.

    Attributes:
        world: Number of processes.
        hosts: Number of machines on which they run.
        division: `whole`: each takes whole batches of a step; `split`: each takes a part of every batch; `alone`.
        device: Kind of the devices, `cpu` or `cuda`.
        sharded: Whether each keeps only a part of the weights.
    """

    world: int
    hosts: int
    division: str
    device: str
    sharded: bool = False


class PrecisionRecord(Record, frozen=True, kw_only=True, tag="precision"):
    """The data type that `precision.dtype=auto` chose.

    Attributes:
        chosen: The choice and its reason, in one sentence.
        milliseconds: Duration of a forward and backward pass in milliseconds, by data type and memory layout.
    """

    chosen: str
    milliseconds: dict[str, float]


class PlannedField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the recipe that was chosen for this run.

    Attributes:
        field: Path of the field, or of the section.
        value: The chosen value, as in a recipe file.
        reason: Why.
    """

    field: str
    value: Any
    reason: str


class PlanRecord(Record, frozen=True, kw_only=True, tag="plan"):
    """What was chosen for the planned fields of the recipe before the first step, in the order of the choices."""

    choices: tuple[PlannedField, ...]


class FinishedRecord(Record, frozen=True, kw_only=True, tag="finished"):
    """The end of the training and its cost.

    Attributes:
        seconds: Time spent on training and evaluation, over all resumes.
        peak_memory_bytes: Peak memory use of the GPU, or of the process if it trained on the CPU.
        skipped: Number of steps skipped because the loss or a gradient was not finite.
        void: Number of steps skipped because no pixel was labelled.
        resumes: Number of times the run was resumed.
    """

    seconds: float
    peak_memory_bytes: int = 0
    skipped: int = 0
    void: int = 0
    resumes: int = 0


AnyRecord = (
    StepRecord
    | EvaluationRecord
    | SkippedRecord
    | WarningRecord
    | ResumeRecord
    | PrecisionRecord
    | PlanRecord
    | ProcessesRecord
    | FinishedRecord
)
OneKind = TypeVar("OneKind", bound=Record)


class Log(msgspec.Struct, frozen=True):
    """The records of a log, in order.

    Attributes:
        records: The records.
        classes: Names of the classes of `EvaluationRecord.per_class_iou`; empty if they are not known.
    """

    records: tuple[AnyRecord, ...] = ()
    classes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return showing.log_line(self)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[AnyRecord]:
        return iter(self.records)

    def to_pandas(self) -> pandas.DataFrame:
        """The steps and evaluations as a pandas frame, one row per step.

        The columns are `step`, `epoch`, `loss`, `lr` and `grad_norm`, and, where an evaluation followed the step,
        `split`, `protocol`, `miou`, `pixel_accuracy` and `iou CLASS` for each class, 0..1; NaN elsewhere.

        Raises:
            RecipeError: R240, pandas is not installed.
        """
        return frame(showing.log_columns(self))

    def to_polars(self) -> polars.DataFrame:
        """The steps and evaluations as a polars frame, one row per step; the columns are those of `to_pandas`.

        Raises:
            RecipeError: R240, polars is not installed.
        """
        return polars_frame(showing.log_columns(self))

    def of(self, kind: type[OneKind]) -> list[OneKind]:
        """The records of one kind, in order."""
        return [record for record in self.records if isinstance(record, kind)]


def read_log(run: Path) -> Log:
    """The log of a run; empty if there is none.

    Lines that are not valid records in this version are skipped: an incomplete last line of a run that was killed or is
    still writing, and kinds of records written by other versions.
    """
    path = run / LOG
    if not path.exists():
        return Log()
    decoder = msgspec.json.Decoder(AnyRecord)
    records = []
    for line in read_document(path).splitlines():
        try:
            records.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return Log(tuple(records))


def append_log(run: Path, records: Iterable[AnyRecord]) -> None:
    """Append records to the log of a run, which is created if missing.

    Raises:
        DocumentError: What has the name of the log is not a regular file.
        ResourceError: S601, the disk is full.
    """
    path = run / LOG
    if is_irregular(path):  # opening a named pipe would wait for a reader
        raise DocumentError(path, "is not a regular file")
    with full_disk_explained(path), open(path, "ab") as file:
        file.writelines(msgspec.json.encode(record) + b"\n" for record in records)


class _Position(msgspec.Struct):
    kind: str
    step: int


def rewind_log(run: Path, step: int, evaluated_step: int) -> None:
    """Remove the records that follow a restored state, because a killed run may have logged more than it saved.

    Args:
        run: Run folder.
        step: Last step to keep.
        evaluated_step: Step of the last evaluation to keep.
    """
    path = run / LOG
    if not path.exists():
        return
    kept = []
    for line in read_document(path).splitlines():
        try:
            position = msgspec.json.decode(line, type=_Position)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # a line that was being written when the process was killed
        if position.step <= (evaluated_step if position.kind == "evaluation" else step):
            kept.append(line)
    write_bytes(path, b"".join(line + b"\n" for line in kept))
