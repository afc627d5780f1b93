"""Feeds a tracker from the files of a run: what is new in its log and status, its pictures, results and report.

Training and `pixelwise track` use this alike, so a run that is sent later has the same series as one that was followed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pixelwise.errors import PixelwiseError
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.environment import read_environment
from pixelwise.records.evaluations import EVALUATIONS, result_files
from pixelwise.records.log import EvaluationRecord, StepRecord
from pixelwise.records.pictures import read_pictures
from pixelwise.records.result import RESULT, load_result
from pixelwise.records.run_folder import REPORT, read_recipe
from pixelwise.records.status import read_status
from pixelwise.records.tracking.log_reader import Entry, LogReader
from pixelwise.records.tracking.marks import Mark, Position, mark_file, read_mark, without_secrets, write_mark
from pixelwise.storage import sha256_bytes
from pixelwise.storage.locks import writing_alone
from pixelwise.training.trackers.overlays import overlays, worth_sending
from pixelwise.training.trackers.tracker import State, TrackedRun, Tracker, make_tracker

PACE, PICTURE = "pace", "picture"
"""Kinds in a mark of what is not in the log."""


class Feeder:
    """Gives a tracker what it has not received of a run.

    Args:
        name: Name of the tracker.
        run: The run folder.
        steps: Number of steps of the whole training; None for what the run's own files say.
        new: Forget what the tracker has received, and begin another tracked run.
    """

    def __init__(self, name: str, run: Path, *, steps: int | None = None, new: bool = False) -> None:
        self.name, self.run = name, run
        self.count = 0
        self._steps, self._new = steps, new
        self._log = LogReader(run)
        self._finished = False
        self._known: Mark | None = None
        self._tracker: Tracker | None = None

    @property
    def tracker(self) -> Tracker:
        """The tracker, once it is open."""
        if self._tracker is None:
            raise RuntimeError("the tracker has not been started")
        return self._tracker

    @contextlib.contextmanager
    def opened(self) -> Iterator[Feeder]:
        """Start the tracker for the block, and finish it afterwards unless it has failed.

        Raises:
            RunLockedError: L701, another process sends this run to this tracker.
            PixelwiseError: The tracker cannot be used here, or a file of the run cannot be read.
            Exception: Whatever the tracker raises.
        """
        with writing_alone(mark_file(self.run, self.name)):
            self._known = Mark() if self._new else read_mark(self.run, self.name)
            with self._noting():
                self._open()
            try:
                yield self
            finally:
                if not self._mark.trouble:
                    with self._noting():
                        self.tracker.finish()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Context in which an error of the tracker is noted in the mark."""
        try:
            yield
        except (Exception, SystemExit) as error:
            with contextlib.suppress(PixelwiseError, OSError):  # a full disk is perhaps what the error is about
                self._note(trouble=without_secrets(f"{type(error).__name__}: {error}"))
            raise

    @property
    def _mark(self) -> Mark:
        return self._known or Mark()

    def _open(self) -> None:
        self._known = msgspec.structs.replace(self._mark, trouble="")
        tracker = make_tracker(self.name)
        place = without_secrets(tracker.place())
        if place != self._mark.place:  # there the run is not known yet
            self._known = Mark(place=place)
        status = read_status(self.run)
        steps = self._mark.step if status.training is None else status.training.steps
        tracker.start(
            TrackedRun(
                folder=self.run,
                recipe=read_recipe(self.run),
                environment=read_environment(self.run),
                data=read_data_facts(self.run),
                steps=steps if self._steps is None else self._steps,
                done=self._mark.step,
                tracked=self._mark.tracked,
            )
        )
        self._tracker = tracker
        self._note(tracked=tracker.tracked)

    def feed(self) -> int:
        """Send what is new in log and status; returns the number of records.

        Raises:
            Exception: Whatever the tracker raises.
        """
        with self._noting():
            count = self._feed()
        self.count += count
        return count

    def conclude(self, *, over: bool) -> None:
        """Send the last pictures, the results and the report, and say how the run stands.

        Args:
            over: Whether nobody trains the run any more.

        Raises:
            Exception: Whatever the tracker raises.
        """
        with self._noting():
            sent = dict(self._mark.sent)
            self._send_pictures(sent, last=over)
            self._settle(sent)
            for path in [*result_files(self.run), self.run / REPORT]:
                self._send_file(path)
            state: State = "finished" if self._finished else "stopped" if over else "training"
            self.tracker.state(state)

    def _feed(self) -> int:
        count, sent = 0, dict(self._mark.sent)
        while entries := self._log.read():
            for entry in entries:
                self._finished = entry.kind == "finished" or (self._finished and entry.kind not in _OF_TRAINING)
                if entry.kind not in sent or entry.position > sent[entry.kind]:
                    self._tell(entry)
                    sent[entry.kind] = entry.position
                    count += 1
            self._settle(sent)
        before = sent.get(PACE, Position(-1, 0)).step
        for pace in read_status(self.run).paces:
            if pace.step > before:
                self.tracker.pace(pace)
                sent[PACE] = Position(pace.step, 0)
        self._send_pictures(sent, last=False)
        self._settle(sent)
        return count

    def _tell(self, entry: Entry) -> None:
        if isinstance(entry.record, StepRecord):
            self.tracker.step(entry.record)
        elif isinstance(entry.record, EvaluationRecord):
            self.tracker.evaluation(entry.record)
        else:
            self.tracker.record(entry.record)

    def _send_pictures(self, sent: dict[str, Position], *, last: bool) -> None:
        found = read_pictures(self.run)
        for moment in worth_sending(found, sent.get(PICTURE, Position(0, 0)).step, last=last):
            pictures = []
            with contextlib.suppress(OSError):  # they are for looking at: what is damaged is left out
                pictures = list(overlays(self.run, found, moment))
            for picture in pictures:
                self.tracker.picture(picture)
            sent[PICTURE] = Position(moment.step, 0)

    def _send_file(self, path: Path) -> None:
        """Send a file unless the tracker has it already; of a result, its scores too."""
        if not path.is_file():
            return
        known = sha256_bytes(path.read_bytes())
        name = path.relative_to(self.run).as_posix()
        if self._mark.files.get(name) == known:
            return
        if path.name == RESULT and path.parent.parent.name == EVALUATIONS:
            self.tracker.result(path.parent.name, load_result(path))
        self.tracker.file(name, path)
        self.tracker.flush()
        self._note(files={**self._mark.files, name: known})

    def _settle(self, sent: dict[str, Position]) -> None:
        """Note what was sent, once the tracker has written it."""
        if sent != self._mark.sent:
            self.tracker.flush()
            self._note(sent=dict(sent))

    def _note(self, **changes: object) -> None:
        self._known = msgspec.structs.replace(self._mark, **changes)
        write_mark(self.run, self.name, self._known)


_OF_TRAINING = ("step", "skipped", "evaluation", "resume")
"""Kinds of records after which a run that had finished is being trained again."""
