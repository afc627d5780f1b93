"""What is said of videos whose frames were predicted, but not as they stand: codes, and the remedy of each."""

from __future__ import annotations

from typing import NamedTuple

Remark = tuple[str, str]
"""Code of a warning, and what is to be said of one video."""


class Kind(NamedTuple):
    """A kind of remark.

    Attributes:
        about: What is true of the videos, after their number.
        fix: What to do.
    """

    about: str
    fix: str


CUT_SHORT, DAMAGED, INTERLACED, HIGH_RANGE = "W281", "W282", "W283", "W284"
NO_SOUND, TIMES, CODEC, DEPTH, SEVERAL = "W285", "W286", "W287", "W288", "W289"
KINDS = {
    CUT_SHORT: Kind(
        "of which only the beginning could be decoded; its frames are predicted",
        "copy the file again, or record it again",
    ),
    DAMAGED: Kind("with damaged places, whose frames are missing or hold remains of others", "copy the file again"),
    INTERLACED: Kind(
        "interlaced: the lines of a frame are of two moments, which the network sees as combs",
        "give a progressive copy, for example `ffmpeg -i FILE -vf bwdif COPY.mkv`",
    ),
    HIGH_RANGE: Kind(
        "of a high dynamic range, brought to the standard one (sRGB)",
        "look at some overlays; for another conversion give a copy of the standard range",
    ),
    NO_SOUND: Kind(
        "whose sound is not in the overlay",
        "add it, for example with `ffmpeg -i OVERLAY -i FILE -map 0:v -map 1:a -c:v copy WITH_SOUND.mkv`",
    ),
    TIMES: Kind(
        "with frames whose time stamps are missing, do not increase or lie before 0",
        "`frames.csv` lists the times that were used instead",
    ),
    CODEC: Kind(
        "whose overlay is not H.264, for which FFmpeg has no encoder here",
        "reinstall PyAV from its wheel, which has one: pip install --force-reinstall av",
    ),
    DEPTH: Kind("of more than 8 bits per channel, rounded to 8", "nothing is to be done: networks see 8 bits"),
    SEVERAL: Kind(
        "with several pictures at a time, of which one is predicted",
        "copy another one into a file of its own, for example with `ffmpeg -i FILE -map 0:v:1 -c copy ONE.mkv`",
    ),
}
