"""Whether a run is being trained, has finished, was stopped, or was lost without a word."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from pixelwise.pages.catalog import Entry
from pixelwise.records.exits import read_exit
from pixelwise.records.log import LOG, AnyRecord, EvaluationRecord, Log, SkippedRecord, StepRecord
from pixelwise.records.standing import has_finished
from pixelwise.records.status import STATUS, RunStatus, read_status
from pixelwise.reports.live.curves import percent
from pixelwise.reports.live.page import stages_of
from pixelwise.reports.numbers import count, duration
from pixelwise.storage import printable
from pixelwise.storage.documents import is_irregular
from pixelwise.storage.locks import is_run_held

State = Literal["running", "finished", "stopped", "lost"]
END = 64 * 1024
"""Bytes of the end of a log that tell how it ended."""
ORDER: tuple[State, ...] = ("running", "lost", "stopped", "finished")
"""The states, those that need a look first."""


class Standing(NamedTuple):
    """Where a run stands.

    Attributes:
        state: `running`: a process is at work; `finished`: all steps were taken; `stopped`: its process said that it
            ended, or there was never one; `lost`: its process ended without a word, or has been silent for long.
        reason: Why it was stopped or lost, as a sentence; empty if that is not known.
    """

    state: State
    reason: str = ""


class UnderWay(NamedTuple):
    """A run in the list of those that are being trained or that came to no result.

    Attributes:
        id: Id of its page.
        name: Its name.
        standing: Where it stands.
        progress: How far it came, such as `step 30 of 108`; empty if that is not known.
        miou: mIoU of its latest evaluation in percent; None if there is none.
    """

    id: str
    name: str
    standing: Standing
    progress: str
    miou: float | None


def standing_of(run: Path, status: RunStatus, finished: bool, now: float) -> Standing:
    """Where a run stands.

    Args:
        run: The run folder.
        status: Its status.
        finished: Whether the last thing in its log is the end of the training.
        now: Unix time; decides about processes on other computers, which are lost when they are silent for long.
    """
    if status.goes_on(now) or any(read_status(stage).goes_on(now) for stage in stages_of(run)):
        return Standing("running")
    # Runs of earlier versions have no status. Asking for a lock takes it for a moment, so only these are asked.
    if not status.process and not finished and is_run_held(run):
        return Standing("running")
    if finished:
        scoring = status.state == "scoring"
        return Standing("finished", "Its scoring was killed; `pixelwise evaluate` scores it." if scoring else "")
    if status.state == "over":
        outcome = "" if status.outcome == "finished" else status.outcome
        return Standing("stopped", _sentence(outcome or _said_at_exit(run)))
    # The processes of one launcher are ended by it when one of them fails, which only that one can tell.
    if said := _said_at_exit(run):
        return Standing("stopped", _sentence(said))
    process = f"process {status.pid}" + (f" on {printable(status.host)}" if status.host else "")
    if status.broke_off:
        return Standing(
            "lost", f"{process.capitalize()} ended without a word: it was killed, or the computer restarted."
        )
    return Standing("lost", f"Nothing has been heard of {process} for {duration(now - status.written)}.")


def end_of_log(run: Path) -> Log:
    """The last records of a run's log, without reading all of it."""
    path = run / LOG
    try:
        if is_irregular(path):
            return Log()
        with open(path, "rb") as file:
            start = max(0, file.seek(0, io.SEEK_END) - END)
            file.seek(start)
            lines = file.read(END).split(b"\n")
    except OSError:
        return Log()
    records = []
    decoder = msgspec.json.Decoder(AnyRecord)
    for line in lines[start > 0 :]:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            records.append(decoder.decode(line))
    return Log(tuple(records))


def under_way(entries: list[Entry], now: float) -> list[UnderWay]:
    """The runs that are being trained, or have begun and came to no result, those that need a look first.

    Args:
        entries: All results and all runs without one.
        now: Unix time.
    """
    scored = {entry.run for entry in entries if entry.evaluation is not None}
    found: dict[Path, UnderWay] = {}
    for entry in entries:
        if entry.run in found:
            continue
        status = read_status(entry.run)
        if entry.run in scored and status.state == "over" and status.outcome in ("", "finished"):
            continue
        if not (entry.run / LOG).exists() and not (entry.run / STATUS).exists():
            continue  # imported weights
        log = end_of_log(entry.run)
        standing = standing_of(entry.run, status, has_finished(log), now)
        if entry.run in scored and standing.state == "finished":
            continue
        found[entry.run] = UnderWay(entry.id, entry.name, standing, _progress(log, status), _miou(log))
    return sorted(found.values(), key=lambda one: (ORDER.index(one.standing.state), one.name))


def _progress(log: Log, status: RunStatus) -> str:
    training = status.training
    logged = [one.step for one in log.records if isinstance(one, (StepRecord, SkippedRecord))]
    if training is not None:
        logged.append(training.step)
    if not logged:
        return ""
    return f"step {count(max(logged))}" + (f" of {count(training.steps)}" if training is not None else "")


def _miou(log: Log) -> float | None:
    scores = [one.miou for one in log.of(EvaluationRecord) if one.miou is not None]
    return percent(scores[-1]) if scores else None


def _said_at_exit(run: Path) -> str:
    found = read_exit(run)
    return f"{found.message} [{found.code}]" if found is not None and found.code else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""
