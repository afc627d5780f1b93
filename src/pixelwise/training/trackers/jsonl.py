"""The run's own log: `log.jsonl`, from which reports are made and which a resumed run continues, and `log.csv`."""

from __future__ import annotations

from pathlib import Path

from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord, append_log
from pixelwise.records.log_table import append_table, write_table
from pixelwise.training.trackers.tracker import OWN_LOG, TrackedRun, Tracker, register_tracker


@register_tracker(OWN_LOG)
class JsonlTracker(Tracker):
    """Appends every record to the log of the run, and steps and evaluations to its table.

    A table that cannot be written, because a spreadsheet keeps it open, is completed at the end.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._classes: tuple[str, ...] = ()
        self._table_behind = False
        self._pending: list[AnyRecord] = []

    def start(self, run: TrackedRun) -> None:
        """Write into the run folder from now on."""
        self._folder, self._classes = run.folder, run.recipe.data.class_names() or ()
        self._rewrite_table()

    def step(self, step: StepRecord) -> None:
        """Keep the record for the next flush."""
        self._pending.append(step)

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Keep the record for the next flush."""
        self._pending.append(evaluation)

    def record(self, record: AnyRecord) -> None:
        """Keep the record for the next flush."""
        self._pending.append(record)

    def flush(self) -> None:
        """Write the records kept since the last flush.

        Raises:
            ResourceError: S601, the disk is full.
        """
        if self._pending:
            if self._folder is None:
                raise RuntimeError("the log has not been started")
            append_log(self._folder, self._pending)
            try:
                append_table(self._folder, self._pending, self._classes)
            except OSError:
                self._table_behind = True
            self._pending.clear()

    def finish(self) -> None:
        """Complete the table."""
        if self._table_behind:
            self._rewrite_table()

    def _rewrite_table(self) -> None:
        if self._folder is not None:
            try:
                write_table(self._folder, self._classes)
            except OSError:
                self._table_behind = True
