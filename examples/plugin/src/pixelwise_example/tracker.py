"""A tracker: writes the steps and evaluations of a run to CSV tables for a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

from pixelwise.records.log import EvaluationRecord, StepRecord
from pixelwise.training.trackers.tracker import TrackedRun, Tracker, register_tracker

STEPS = ("step", "epoch", "loss", "lr", "grad_norm")
EVALUATIONS = ("step", "split", "protocol", "miou", "pixel_accuracy")


@register_tracker("csv")
class CsvTracker(Tracker):
    """Writes RUN/csv/steps.csv and RUN/csv/evaluations.csv."""

    def start(self, run: TrackedRun) -> None:
        """Open the tables; if the run goes on, later rows, which nobody knows to be complete, are dropped."""
        folder = run.folder / "csv"
        folder.mkdir(exist_ok=True)
        self._files = {
            StepRecord: Table(folder / "steps.csv", STEPS, run.done),
            EvaluationRecord: Table(folder / "evaluations.csv", EVALUATIONS, run.done),
        }

    def step(self, step: StepRecord) -> None:
        """Add a row for a step."""
        self._files[StepRecord].add(step)

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Add a row for an evaluation."""
        self._files[EvaluationRecord].add(evaluation)

    def flush(self) -> None:
        """Write the new rows to disk, so that readers of the tables see them."""
        for table in self._files.values():
            table.file.flush()

    def finish(self) -> None:
        """Close the tables."""
        for table in self._files.values():
            table.file.close()


class Table:
    """A CSV file with one row per record.

    Args:
        path: The CSV file; its existing rows are kept up to step `done`.
        columns: Fields of the records to write.
        done: Last completed step of the run.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], done: int) -> None:
        rows = list(csv.DictReader(path.open(newline=""))) if path.is_file() else []
        self.columns = columns
        self.file = path.open("w", newline="")
        self._writer = csv.writer(self.file)
        self._writer.writerow(columns)
        self._writer.writerows([row[name] for name in columns] for row in rows if int(row["step"]) <= done)

    def add(self, record: StepRecord | EvaluationRecord) -> None:
        """Add the row of a record; values that are None become empty cells."""
        values = [getattr(record, name) for name in self.columns]
        self._writer.writerow("" if value is None else value for value in values)
