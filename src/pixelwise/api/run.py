"""`pixelwise.Run`: a run folder, with everything in it at hand."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import msgspec

from pixelwise.checkpoints.hub.resolving import own_run_path
from pixelwise.errors import DataError, PixelwiseError
from pixelwise.records.advice import advice
from pixelwise.records.evaluations import Evaluation, find_evaluation
from pixelwise.records.log import Log, read_log
from pixelwise.records.run_folder import CHECKPOINTS, REPORT, is_run, read_recipe
from pixelwise.records.standing import has_finished
from pixelwise.storage import printable
from pixelwise.views import html_line, line, percent

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from pixelwise.evaluation.comparing import RunComparison
    from pixelwise.prediction.feeding import OneImage
    from pixelwise.prediction.prediction import Prediction
    from pixelwise.prediction.segmenter import Segmenter
    from pixelwise.prediction.videos.frames import VideoFrame
    from pixelwise.recipes.schema.recipe import Recipe
    from pixelwise.records.result import Result, Unfinished

    _Path = Path
else:
    _Path = type(Path())  # of this system; Path itself cannot be subclassed before Python 3.12


class Run(_Path):
    """A run folder: a path, and what the run has produced. Nothing is read before it is asked for.

    Files in the folder, such as `run / "log.jsonl"`, are ordinary paths.

    Args:
        folder: The folder that `pixelwise.train` created; of `hub://OWNER/NAME`, a copy in `runs/` is opened.

    Raises:
        CheckpointError: K420, the folder is not a run folder.
    """

    def __new__(cls, folder: str | os.PathLike[str]) -> Run:
        """The run in a folder."""
        folder = own_run_path(folder)
        run = super().__new__(cls, folder)
        if not is_run(Path(folder)):
            read_recipe(Path(folder))  # which says what is missing
        return run

    def __reduce__(self) -> tuple[type[Run], tuple[str]]:
        return Run, (os.fspath(self),)

    # What is below the folder or above it is no run: before Python 3.12, and from then on.
    @classmethod
    def _from_parsed_parts(cls, *parts: Any) -> Path:
        return _Path._from_parsed_parts(*parts)  # type: ignore[attr-defined]

    def with_segments(self, *segments: str | os.PathLike[str]) -> Path:
        """An ordinary path, for the methods of paths that make another one."""
        return Path(*segments)

    def __repr__(self) -> str:
        try:
            state = "" if not (log := self.log).records else "finished" if has_finished(log) else "not finished"
            return line("Run", printable(self), f"{self.recipe.name} {state}".strip(), self._score())
        except (PixelwiseError, OSError):
            return line("Run", printable(self), "damaged")

    def _repr_html_(self) -> str:
        found = self._evaluation()
        table = "" if found is None else found.result._repr_html_()
        page = self / REPORT
        link = html_line("report", page.as_posix()) if page.is_file() else ""
        return f"{html_line(repr(self)[1:-1])}{table}{''.join(map(html_line, self.advice))}{link}"

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe of the run.

        Raises:
            RecipeError: R202, R203, R205 or R273, the file is damaged or not valid in this version.
        """
        return read_recipe(Path(self))

    @property
    def result(self) -> Result:
        """The score of the run: on its recipe's split under the first protocol, with the scores of each image.

        Raises:
            DataError: D240, the run has not been scored, or a file of the score is damaged.
        """
        found = self._evaluation()
        if found is None:
            evaluation = self.recipe.evaluation
            raise DataError(
                "D240",
                f"{printable(self)}: not scored on {evaluation.split} under {evaluation.protocols[0]}",
                f"score it with run.evaluate(), or `pixelwise evaluate {shlex.quote(printable(self))}`",
            )
        return msgspec.structs.replace(found.result, per_image=found.per_image)

    @property
    def log(self) -> Log:
        """The steps, evaluations and warnings of the training; `.to_pandas()` makes a frame of them."""
        return msgspec.structs.replace(read_log(Path(self)), classes=self.recipe.data.class_names() or ())

    @property
    def advice(self) -> list[str]:
        """At most three sentences on what to do next, the most useful first; empty for a run that has not finished.

        Raises:
            DataError: D240, a file of the score is damaged.
        """
        log, found = self.log, self._evaluation()
        return advice(self.recipe, log, None if found is None else found.result) if has_finished(log) else []

    @property
    def report(self) -> Path:
        """Path of the report, RUN/report.html, which is written first if there is none.

        Raises:
            DataError: D240, a file of an evaluation is damaged.
            ResourceError: S601, the disk is full.
        """
        page = self / REPORT
        if not page.is_file():
            from pixelwise.api.report import write_report

            write_report(self)
        return page

    @overload
    def predict(self, images: Image.Image, scores: bool = False) -> Prediction: ...
    @overload
    def predict(  # pyright: ignore[reportOverlappingOverload]
        self, images: str | os.PathLike[str] | np.ndarray, scores: bool = False
    ) -> Prediction | Any: ...
    @overload
    def predict(self, images: Sequence[OneImage], scores: bool = False) -> list[Prediction]: ...
    @overload
    def predict(self, images: Iterable[OneImage], scores: bool = False) -> Iterator[Prediction]: ...
    def predict(self, images: Any, scores: bool = False) -> Any:
        """Segment images with the result of the run, as `Segmenter.predict` does; the network is loaded once.

        `pixelwise.predict(run, paths, output)` writes masks and overlays of many images instead.

        Args:
            images: One image: a file, an address, an array or a Pillow image. Or several: a folder, a pattern, a list,
                a batch or a generator.
            scores: Whether to return the scores too.

        Returns:
            One image gives its prediction, a list or a batch gives a list, and a folder, a pattern or a generator gives
            an iterator.

        Raises:
            CheckpointError: The run has no valid checkpoint.
            DataError: An image cannot be read.
            ValueError: An array is not uint8 (H, W, C) with the C channels of the network.
        """
        return self._segmenter().predict(images, scores)

    def predict_video(self, path: str | os.PathLike[str], scores: bool = False, every: int = 1) -> Iterator[VideoFrame]:
        """Segment the frames of a video one after the other, as `Segmenter.predict_video` does.

        Args:
            path: The video file.
            scores: Whether predictions have scores, too.
            every: Predict every n-th frame only, beginning with the first.

        Returns:
            An iterator over frames: their index, their time in seconds, and their `Prediction`.

        Raises:
            CheckpointError: The run has no valid checkpoint.
            DataError: D280 to D284, the file cannot be decoded, or does not suit the network.
            RecipeError: R240, PyAV is not installed.
        """
        return self._segmenter().predict_video(path, scores, every)

    @overload
    def evaluate(  # pyright: ignore[reportOverlappingOverload]
        self,
        data: str | os.PathLike[str] | None = None,
        split: str | None = None,
        protocol: str | None = None,
        *,
        shard: str,
        **changes: Any,
    ) -> Result | Unfinished: ...
    @overload
    def evaluate(
        self,
        data: str | os.PathLike[str] | None = None,
        split: str | None = None,
        protocol: str | None = None,
        **changes: Any,
    ) -> Result: ...
    def evaluate(
        self,
        data: str | os.PathLike[str] | None = None,
        split: str | None = None,
        protocol: str | None = None,
        **changes: Any,
    ) -> Any:
        """Score the run, as `pixelwise.evaluate` does.

        Args:
            data: Folder of the data set; None for the data the run was trained on.
            split: Name of the split; None for that of the recipe.
            protocol: Name of a protocol; None for the recipe's first.
            **changes: Further arguments of `pixelwise.evaluate`.

        Returns:
            The result; with `shard`, a `pixelwise.Unfinished` as long as other parts have images to score.

        Raises:
            PixelwiseError: As `pixelwise.evaluate`.
        """
        from pixelwise.api.evaluate import evaluate

        return evaluate(self, data, split, protocol, **changes)

    def compare(self, other: str | os.PathLike[str]) -> RunComparison:
        """Hold the score of this run against that of another one.

        Args:
            other: Another run folder.

        Returns:
            Differences of the mean IoU, of each class and of each image, with an interval; positive if this run is
            better. Also the fields of the recipes that differ, and what keeps the scores from being comparable.

        Raises:
            CheckpointError: K420, `other` is not a run folder.
            DataError: D240, one of them has not been scored.
        """
        from pixelwise.evaluation.comparing import compare

        theirs = other if isinstance(other, Run) else Run(other)
        names = (self.name, theirs.name) if self.name != theirs.name else (printable(self), printable(theirs))
        folders = tuple(found.folder for run in (self, theirs) if (found := run._evaluation()) is not None)
        results = self.result, theirs.result
        return compare(names, results, (self.recipe, theirs.recipe), folders if len(folders) == 2 else None)

    def _evaluation(self) -> Evaluation | None:
        recipe = self.recipe
        return find_evaluation(Path(self), recipe.evaluation.split, recipe.evaluation.protocols[0])

    def _score(self) -> str:
        found = self._evaluation()
        if found is None:
            return "not scored"
        return f"mIoU {percent(found.result.miou)} % on {found.result.split} ({found.result.protocol})"

    def _segmenter(self) -> Segmenter:
        """The network of the run, loaded again if there are other checkpoints than at the last time."""
        saved = sorted(os.listdir(self / CHECKPOINTS)) if (self / CHECKPOINTS).is_dir() else []
        known, segmenter = getattr(self, "_loaded", (None, None))
        if segmenter is None or known != saved:
            from pixelwise.prediction.loading import load

            segmenter = load(self)
            self._loaded = saved, segmenter
        return segmenter
