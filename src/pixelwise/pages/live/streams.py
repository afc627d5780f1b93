"""Events for open pages: each followed run is looked at by one task, however many pages show it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from pixelwise.pages.live.following import Follower, Shown
from pixelwise.pages.live.updates import parsed, position_of, update

SECONDS = 1.0
"""Time between two looks at a run."""
SILENCE = 15.0
"""Seconds after which a line is sent that says nothing, so that a connection that has broken is noticed."""
RETRY = 3000
"""Milliseconds after which a browser connects again."""
MOST_STREAMS = 256
"""Largest number of open pages; more are told to come back later."""
MOST_FOLLOWED = 16
"""Number of runs that are remembered although no open page shows them."""


class Channel:
    """A run and the pages that show it.

    Attributes:
        follower: Follows the run.
        watchers: Number of open pages.
    """

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.watchers = 0
        self._shown: Shown | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def opened(self) -> None:
        """A page was opened."""
        self.watchers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._look())

    def closed(self) -> None:
        """A page was closed; the run is not looked at any more after the last one."""
        self.watchers -= 1
        if not self.watchers and self._task is not None:
            self._task.cancel()
            self._task = None
            self._shown = None

    def wake(self) -> None:
        """Let every page look whether there is something new, or whether it is the end."""
        self._news.set()
        self._news = asyncio.Event()

    async def after(self, shown: Shown | None) -> Shown | None:
        """What is shown after `shown`; the same after `SILENCE` seconds without any news, or when the server ends."""
        if self._shown is shown:
            try:
                await asyncio.wait_for(self._news.wait(), SILENCE)
            except TimeoutError:
                return shown
        return self._shown

    async def _look(self) -> None:
        # A look takes a thread of a common pool for its duration, which is short: an open page holds none.
        while True:
            with contextlib.suppress(OSError):  # a folder that is being removed
                shown = await asyncio.to_thread(self.follower.look)
                if shown is not self._shown:
                    self._shown = shown
                    self.wake()
            await asyncio.sleep(SECONDS)


class Streams:
    """The events of all open pages.

    Args:
        holds: Whether a file may be read.
    """

    def __init__(self, holds: Callable[[Path], bool]) -> None:
        self._holds = holds
        self._channels: OrderedDict[Path, Channel] = OrderedDict()
        self._ending = False
        self._lock = threading.Lock()  # pages are made in threads, events in the loop

    @property
    def full(self) -> bool:
        """Whether no further page can be served."""
        return sum(one.watchers for one in list(self._channels.values())) >= MOST_STREAMS

    def channel(self, run: Path) -> Channel:
        """The channel of a run. Of those that no page shows, the ones that were asked for last are remembered."""
        with self._lock:
            found = self._channels.get(run)
            if found is None:
                found = self._channels[run] = Channel(Follower(run, self._holds))
            self._channels.move_to_end(run)
            idle = [path for path, one in self._channels.items() if not one.watchers]
            for path in idle[:-MOST_FOLLOWED]:
                del self._channels[path]
            return found

    def end(self) -> None:
        """End all streams, so that the server can end."""
        self._ending = True
        for one in list(self._channels.values()):
            one.wake()

    async def events(self, run: Path, after: str) -> AsyncIterator[bytes]:
        """The events of a page, as server-sent events without an end.

        Nothing is queued for a page: what it lacks is found out when its connection can take more.

        Args:
            run: The run folder.
            after: Id of the last event that the page has received; empty if none.
        """
        channel, position = self.channel(run), parsed(after)
        await channel.opened()
        try:
            yield f"retry: {RETRY}\n\n".encode()
            shown = None
            while not self._ending:
                found = await channel.after(shown)
                if found is None or found is shown:
                    yield b": nothing new\n\n"
                    continue
                shown = found
                lacking = update(position, shown)
                position = position_of(shown)
                if lacking:
                    yield b"id: %s\ndata: %s\n\n" % (position.text().encode(), msgspec.json.encode(lacking))
        finally:
            channel.closed()
