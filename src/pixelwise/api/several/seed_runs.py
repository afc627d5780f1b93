"""`pixelwise.SeedRuns`: a folder of runs of one recipe that differ in their seed alone."""

from __future__ import annotations

import os
from pathlib import Path

from pixelwise.api.run import Run
from pixelwise.errors import CheckpointError, PixelwiseError
from pixelwise.evaluation.comparison.comparing import compare_runs
from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.records.run_folder import REPORT
from pixelwise.records.seeds.folder import SUMMARY, is_seeds, read_seeds, run_of, runs_within
from pixelwise.reports.comparison.rendering import render_html, render_json
from pixelwise.storage import printable, write_text
from pixelwise.views import html_line, line


class SeedRuns(os.PathLike[str]):
    """The runs that `pixelwise.train` with `seeds` created; its functions accept it wherever they accept the folder.

    Args:
        folder: The folder that holds them.

    Attributes:
        folder: The same.

    Raises:
        CheckpointError: K420, the folder does not hold the runs of several seeds.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not is_seeds(self.folder):
            raise CheckpointError(
                "K420",
                f"{printable(self.folder)} does not hold the runs of several seeds",
                "name the folder that `pixelwise train` with `seeds` created",
            )

    def __fspath__(self) -> str:
        return os.fspath(self.folder)

    def __repr__(self) -> str:
        try:
            seeds, begun = read_seeds(self.folder).seeds, len(runs_within(self.folder))
            return line("SeedRuns", printable(self.folder), f"{begun} of {len(seeds)} runs", self._score())
        except (PixelwiseError, OSError):
            return line("SeedRuns", printable(self.folder), "damaged")

    def _repr_html_(self) -> str:
        try:
            table = self.summary._repr_html_()
        except PixelwiseError as error:
            table = html_line(error.message)
        return f"{html_line(repr(self)[1:-1])}{table}"

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, those of runs that are missing included."""
        return read_seeds(self.folder).seeds

    @property
    def runs(self) -> list[Run]:
        """The runs that have begun, in the order of their training."""
        return [Run(run) for run in runs_within(self.folder)]

    @property
    def summary(self) -> Comparison:
        """Their scores together: mean, standard deviation and intervals of the mIoU and of each class.

        Raises:
            RecipeError: R300, fewer than two have begun; R301, one has not been scored.
            DataError: D240, a result is damaged.
        """
        return compare_runs([self.folder], CompareOptions())

    @property
    def report(self) -> Path:
        """Path of the page with the summary, which is written first if there is none.

        Raises:
            RecipeError: As `summary`.
        """
        page = self.folder / REPORT
        return page if page.is_file() else write_summary(self.folder)

    def _score(self) -> str:
        try:
            return self.summary.verdict.partition(": ")[2]
        except PixelwiseError:
            return "not all scored"


def write_summary(folder: Path) -> Path:
    """Write `summary.json` and the page of the runs in a folder; returns the path of the page.

    Raises:
        RecipeError: R300, fewer than two have begun; R301, one has not been scored.
        DataError: D240, a result is damaged.
        ResourceError: S601, the disk is full.
    """
    found = compare_runs([folder], CompareOptions())
    write_text(folder / SUMMARY, render_json(found))
    seeds = [seed for seed in read_seeds(folder).seeds if (run_of(folder, seed) / REPORT).is_file()]
    links = tuple((f"report of seed {seed}", f"{run_of(folder, seed).name}/{REPORT}") for seed in seeds)
    number = sum(len(side.runs) for side in found.sides)
    write_text(folder / REPORT, render_html(found, f"{found.sides[0].recipe}, {number} seeds", links))
    return folder / REPORT
