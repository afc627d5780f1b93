"""What is said of a prediction at its end: numbers, errors, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.listing import describe_endings
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.reading.foreign import FRAMES
from pixelwise.datasets.reading.tiff import stack_in_words
from pixelwise.errors import DataError
from pixelwise.observer import Observer
from pixelwise.prediction.receipts.ledger import Facts
from pixelwise.prediction.videos.recognising import named_like_video
from pixelwise.prediction.videos.remarks import KINDS
from pixelwise.records.problems import Problem
from pixelwise.storage import printable
from pixelwise.storage.names import counted


class PredictSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a prediction.

    Attributes:
        ok: Number of images and videos whose masks are written.
        kept: Number of images that were not predicted again, because an earlier call with the same weights and options
            has done it; in tars those that failed are kept, too.
        failed: Number of files that failed.
        problems: The error of each failed file.
        videos: Number of those that are videos.
        frames: Number of frames of these.
        seconds: Wall time of the call.
        warnings: What was left out without an error: W107 frames after the first, W160 positions on the map, W215
            files of folders and patterns that are not taken for images, W280 videos among them; and what is to be said
            of videos that were predicted (W281 to W289).
    """

    ok: int
    kept: int = 0
    failed: int
    problems: tuple[Problem, ...]
    seconds: float
    warnings: tuple[Finding, ...] = ()
    videos: int = 0
    frames: int = 0


class Record:
    """What happened to the inputs.

    Args:
        strict: Whether the first error is raised instead of being recorded.
        write: Receives each error at once.
        videos: What to do with videos that are left out.
    """

    def __init__(self, *, strict: bool, write: Callable[[Problem], None], videos: str = FRAMES) -> None:
        self._strict, self._write, self._videos = strict, write, videos
        self._problems: list[Problem] = []
        self._animated: list[str] = []
        self._lost: list[tuple[str, str]] = []
        self._frames: list[int] = []
        self._remarks: dict[str, list[tuple[str, str]]] = {}

    @property
    def failures(self) -> int:
        """Number of files that failed so far."""
        return len(self._problems)

    def problem(self, file: str, error: DataError) -> None:
        """Note the error of a file, or raise it."""
        if self._strict:
            raise error
        self.failed(Problem(file=file, code=error.code, message=error.message, help=error.help))

    def failed(self, problem: Problem) -> None:
        """Note an error that is not raised."""
        self._problems.append(problem)
        self._write(problem)

    def note(self, file: str, facts: Facts) -> None:
        """Note what is to be said of a file that was predicted."""
        if facts.animated:
            self._animated.append(file)
        if facts.lost:
            self._lost.append((file, facts.lost))
        if facts.frames:
            self._frames.append(facts.frames)
        for code, text in facts.remarks:
            self._remarks.setdefault(code, []).append((file, text))

    def summary(self, total: int, kept: int, left_out: Sequence[Path], observer: Observer) -> PredictSummary:
        """The summary of a prediction, without its time; the observer receives the warnings, too.

        Args:
            total: Number of files.
            kept: Number of those that were predicted earlier.
            left_out: Files that were not taken for images.
            observer: Receives the warnings.
        """
        videos = [path for path in left_out if named_like_video(path)]
        others = [path for path in left_out if not named_like_video(path)]
        found = [_left_out(others)] if others else []
        if videos:
            found.append(_videos_left_out(videos, self._videos))
        if self._animated:
            found.append(
                finding(
                    "W107",
                    f"{counted(len(self._animated), 'image')} with several frames or pages, of which only the first "
                    f"is predicted, e.g. {self._animated[0]}{stack_in_words(Path(self._animated[0]))}",
                    self._animated,
                    "export the frames as single images",
                )
            )
        if self._lost:
            file, reason = self._lost[0]
            found.append(
                finding(
                    "W160",
                    f"{counted(len(self._lost), 'mask')} without the position on the map that the image has, e.g. of "
                    f"{file}: {reason}",
                    [file for file, _ in self._lost],
                    "write the image again without turning it, for example with gdal_translate",
                )
            )
        found += [_of_videos(code, of_kind) for code, of_kind in sorted(self._remarks.items())]
        for one in found:
            observer.warn(one.code, one.with_fix)
        failed = len(self._problems)
        return PredictSummary(
            ok=total - failed,
            kept=kept,
            failed=failed,
            problems=tuple(self._problems),
            seconds=0.0,
            warnings=tuple(found),
            videos=len(self._frames),
            frames=sum(self._frames),
        )


def _left_out(files: Sequence[Path]) -> Finding:
    return finding(
        "W215",
        f"{counted(len(files), 'file')} without an image extension left out: {describe_endings(files)}",
        [printable(path) for path in files],
        f"extensions of images: {', '.join(SUFFIXES)}; a file that is named itself is read whatever its name",
    )


def _videos_left_out(files: Sequence[Path], fix: str) -> Finding:
    return finding(
        "W280",
        f"{counted(len(files), 'video')} left out, e.g. {printable(files[0])}",
        [printable(path) for path in files],
        fix,
    )


def _of_videos(code: str, videos: Sequence[tuple[str, str]]) -> Finding:
    """What is said of the videos of one kind of remark."""
    kind, (file, text) = KINDS[code], videos[0]
    return finding(
        code,
        f"{counted(len(videos), 'video')} {kind.about}, e.g. {file}: {text}",
        [name for name, _ in videos],
        kind.fix,
    )
