"""Which files are videos, and the package that decodes them; the content of a file decides, not its name."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from pixelwise.datasets.reading.files import open_regular
from pixelwise.datasets.reading.foreign import FRAMES, HEAD, VIDEO_SUFFIXES, is_video
from pixelwise.errors import DataError, RecipeError
from pixelwise.prediction.options import PredictOptions
from pixelwise.runtimes.packages import require
from pixelwise.storage import printable

PACKAGE = "pixelwise[video]"
"""Requirement for `pip install` that brings PyAV."""


class InFrames(NamedTuple):
    """A file that is a video, which is predicted frame by frame.

    Attributes:
        path: The file.
    """

    path: Path


def has_pyav() -> bool:
    """Whether PyAV is installed; does not import it."""
    try:
        return importlib.util.find_spec("av") is not None
    except (ImportError, ValueError):  # something keeps it from being found
        return False


def pyav(path: Path) -> ModuleType:
    """PyAV, which decodes a video.

    Args:
        path: The video, for the error.

    Raises:
        RecipeError: R240, it is not installed.
    """
    return require("av", f"decoding {printable(path)}, a video,", PACKAGE)


def holds_video(path: Path) -> bool:
    """Whether the content of a file begins like that of a video.

    Raises:
        DataError: D131, it is unreadable or not a regular file.
    """
    with open_regular(path) as stream:
        return is_video(stream.read(HEAD))


def require_video(path: Path) -> None:
    """Refuse a file that does not begin like a video: FFmpeg would also open lists of other files and addresses.

    Raises:
        DataError: D102, it is something else; D131, it is unreadable or not a regular file; D223, there is no file.
    """
    if not os.path.lexists(path):
        raise DataError("D223", f"{printable(path)}: no such file or folder", "check the spelling")
    if not holds_video(path):
        raise DataError(
            "D102",
            f"{printable(path)}: not a video that can be recognised by its first bytes",
            "give an image to `Segmenter.predict`; put a video into another container, for example with "
            "`ffmpeg -i FILE -c copy COPY.mkv`",
        )


def named_like_video(path: str | os.PathLike[str]) -> bool:
    """Whether the name of a file has the extension of a video."""
    return os.path.splitext(os.fspath(path))[1].lower() in VIDEO_SUFFIXES


def named_videos(paths: Iterable[str | os.PathLike[str]]) -> Sequence[str]:
    """Those of the given paths that are files with the extension of a video."""
    return [os.fspath(path) for path in paths if named_like_video(path) and not os.path.isdir(path)]


def takes_videos(paths: Sequence[str | os.PathLike[str]], options: PredictOptions) -> bool:
    """Whether a prediction takes videos, those of folders included.

    Args:
        paths: What is to be predicted.
        options: Options of the prediction.

    Raises:
        RecipeError: R240, a video is named and PyAV is not installed; R251, it is, and something is asked for that
            videos do not have.
    """
    named = named_videos(paths)
    without = [name for name in ("polygons", "probabilities") if getattr(options, name)]
    if named and without:
        raise RecipeError(
            "R251",
            f"`{without[0]}` does not go with {printable(Path(named[0]))}: of videos, masks and overlays are written",
            f"leave out `{without[0]}`, or {FRAMES.partition(';')[0]}",
        )
    if named:
        pyav(Path(named[0]))
    return has_pyav() and not without


def way_out_of_left_out() -> str:
    """What to do with videos that a prediction of a folder has left out."""
    if has_pyav():
        return "predict them without `polygons` and `probabilities`, which videos do not have"
    return f"install PyAV, which decodes them: pip install '{PACKAGE}'"


def refuse_into_tars(paths: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse videos where tars are written.

    Raises:
        DataError: D285, there is one.
    """
    for named in named_videos(paths):
        raise DataError(
            "D285",
            f"{printable(Path(named))}: a video cannot be predicted into tars, whose members are images",
            "choose a folder as the output, without `tars`; `shard` divides several videos among jobs",
        )


def needs_pyav(error: DataError) -> DataError:
    """The error of a video that is not decoded because PyAV is missing, with the help that suits a prediction.

    Args:
        error: D102, the file is a video.
    """
    return DataError(error.code, error.message, f"install PyAV, which decodes it: pip install '{PACKAGE}'")
