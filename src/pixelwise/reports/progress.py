"""What displays say of a training: its beginning, its pace, its loss and the trend of its scores."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from pixelwise.observer import TrainingScore, TrainingStart, TrainingStatus
from pixelwise.reports.numbers import pace

_BLOCKS = "▁▂▃▄▅▆▇█"
TREND = 20
"""Largest number of characters of a sparkline."""
NAMED = 4
"""Number of the latest scores that are named where blocks cannot be shown."""
_LEAST_RANGE = 0.02
"""Scores, 0..1, that differ by less than this are not drawn over the whole height: they would look like a trend."""


class Course:
    """Pace and scores of one training after another, such as the stages of a recipe."""

    def __init__(self) -> None:
        self.score: TrainingScore | None = None
        self._last: TrainingStatus | None = None
        self._first = (0.0, 0)

    def begins_anew(self, status: TrainingStatus) -> bool:
        """Whether this is the first step seen of a training; called once per step, before the other methods."""
        last, self._last = self._last, status
        if last is not None and status.steps == last.steps and status.step >= last.step:
            return False
        self._first = (time.monotonic(), status.step)
        if self.score is not None and (self.score.steps != status.steps or self.score.step > status.step):
            self.score = None
        return True

    def scored(self, score: TrainingScore) -> bool:
        """Note a score; returns whether it is worth a line: the best so far, or the last."""
        self.score = score
        latest, earlier = score.mious[-1], [one for one in score.mious[:-1] if one is not None]
        return score.step == score.steps or (latest is not None and latest > max(earlier, default=-1.0))

    def remaining(self, status: TrainingStatus) -> float | None:
        """Seconds to go at the pace since the first step seen; None at that step."""
        seconds, step = self._first
        if status.step == step:
            return None
        return (time.monotonic() - seconds) / (status.step - step) * (status.steps - status.step)


def beginning(start: TrainingStart) -> list[str]:
    """The lines before a training: what is trained, on what, how long, and what was chosen for it."""
    expected = f"; about {clock(start.seconds)} to train and score" if start.seconds is not None else ""
    lines = {
        "network": start.network,
        "weights": start.weights,
        "images": start.data,
        "steps": f"{start.batches}{expected}",
        "device": start.machine,
        "folder": start.folder,
        **({"watch": f"open {start.page} in a browser"} if start.page else {}),
    }
    width = max(map(len, lines))
    planned = [f"  {field} = {value}: {reason}" for field, value, reason in start.choices]
    return [
        *(f"{key:<{width}}  {text}" for key, text in lines.items()),
        *(["chosen for this data and machine:", *planned] if planned else []),
    ]


def where(status: TrainingStatus | TrainingScore) -> str:
    """`epoch 2/5  step 50/100`."""
    return f"epoch {status.epoch}/{status.epochs}  step {status.step}/{status.steps}"


def step_line(status: TrainingStatus) -> str:
    """A step in one line: place, loss, learning rate, speed, and the waiting for data if there is any."""
    return "  ".join([where(status), *_pace(status)])


def score_line(score: TrainingScore, *, blocks: bool = True) -> str:
    """`epoch 2/5  step 50/100  mIoU 48.20 on val (best)  ▁▃█`: an evaluation, with those before it."""
    line = f"{where(score)}  {_miou(score.mious[-1], score.best_miou, f' on {score.split}')}"
    trend = trend_of(score.mious, blocks=blocks)
    return f"{line}  {trend}" if trend else line


def facts(status: TrainingStatus, score: TrainingScore | None, width: int, *, blocks: bool = True) -> str:
    """The line below a bar: loss, learning rate, speed, score and trend, as far as they fit into `width` characters.

    The trend gives way first, then the learning rate, then the speed; loss and score are always shown.
    """
    pace = _pace(status)
    loss, rest = (pace[:1], pace[1:]) if status.loss is not None else ([], pace)
    known = (score.mious[-1], score.best_miou) if score is not None else (status.miou, status.best_miou)
    found = [] if score is None and status.miou is None else [_miou(*known)]
    kept = next(
        kept for kept in (rest, rest[1:], rest[1:2], []) if not kept or len("  ".join([*loss, *kept, *found])) <= width
    )
    line = "  ".join([*loss, *kept, *found])
    room = min(TREND, width - len(line) - 2)
    trend = "" if score is None or room < NAMED else trend_of(score.mious, room, blocks=blocks)
    return f"{line}  {trend}" if trend and len(line) + 2 + len(trend) <= width else line


def trend_of(mious: Sequence[float | None], most: int = TREND, *, blocks: bool = True) -> str:
    """The course of the scores as a sparkline of at most `most` characters; empty for fewer than two.

    Of more scores than characters, each character shows the last of an equal share, so that the last is always shown.

    Args:
        mious: Mean IoU of every evaluation, 0..1; those that are None are left out.
        most: Largest number of characters.
        blocks: Whether block characters can be shown; if not, the latest scores are named in percent instead.
    """
    known = [one for one in mious if one is not None and not math.isnan(one)]
    if len(known) < 2:
        return ""
    if not blocks:
        return " ".join(f"{100 * one:.1f}" for one in known[-NAMED:])
    number = min(most, len(known))
    shown = [known[(place + 1) * len(known) // number - 1] for place in range(number)]
    low = min(shown)
    height = max(max(shown) - low, _LEAST_RANGE)
    return "".join(_BLOCKS[round((one - low) / height * (len(_BLOCKS) - 1))] for one in shown)


def shows_blocks(encoding: str | None) -> bool:
    """Whether a stream of that encoding can show the characters of a sparkline."""
    try:
        _BLOCKS.encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def clock(seconds: float) -> str:
    """`1:05`, `1:05:56`."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _pace(status: TrainingStatus) -> list[str]:
    parts = [] if status.loss is None else [f"loss {status.loss:.3f}"]
    parts.append(f"lr {status.lr:.2g}")
    if status.images_per_second:
        parts.append(f"{pace(status.images_per_second)} img/s")
        waiting = round(100 * status.data_wait_share)
        parts += [f"data-wait {waiting} %"] if waiting else []
    return parts


def _miou(latest: float | None, best: float | None, of: str = "") -> str:
    if latest is None:
        return f"mIoU n/a{of}"
    return f"mIoU {100 * latest:.2f}{of}" + (" (best)" if latest == best else f" (best {100 * (best or 0):.2f})")
