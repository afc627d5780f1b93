import asyncio
import json
import re
from pathlib import Path

import pytest

from pixelwise.pages.live import streams
from pixelwise.pages.live.streams import Streams
from pixelwise.records.log import StepRecord, append_log


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SECONDS", 0.005)


def add(run: Path, *steps: int) -> None:
    append_log(run, [StepRecord(step=step, epoch=1, loss=1.0, lr=0.1) for step in steps])


async def event(events) -> tuple[str, dict]:
    """Id and data of the next event."""
    async for part in events:
        if found := re.fullmatch(r"id: (.*)\ndata: (.*)\n\n", part.decode()):
            return found[1], json.loads(found[2])
    raise AssertionError("the stream has ended")


def test_events_go_on_where_they_were(tmp_path: Path):
    add(tmp_path, 1, 2)

    async def follow() -> None:
        site = Streams(lambda _: True)
        events = site.events(tmp_path, "")
        last, first = await event(events)
        assert [point[0] for point in first["steps"]["points"]] == [1, 2]
        add(tmp_path, 3)
        _, second = await event(events)
        assert second["steps"]["from"] == 2
        await events.aclose()
        # The connection broke before the second event: a new one begins after the first.
        _, again = await event(site.events(tmp_path, last))
        assert (again["steps"]["from"], [point[0] for point in again["steps"]["points"]]) == (2, [3])

    asyncio.run(follow())


def test_many_pages_share_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    add(tmp_path, 1)

    async def follow() -> None:
        site = Streams(lambda _: True)
        pages = [site.events(tmp_path, "") for _ in range(100)]
        await asyncio.gather(*map(event, pages))
        tasks = [one for one in asyncio.all_tasks() if one.get_coro().__name__ == "_look"]
        assert len(tasks) == 1
        assert site.channel(tmp_path).watchers == 100
        monkeypatch.setattr(streams, "MOST_STREAMS", 100)
        assert site.full
        for page in pages:
            await page.aclose()
        assert not site.full
        await asyncio.gather(*tasks, return_exceptions=True)
        assert tasks[0].cancelled()  # nobody looks, so nothing is read

    asyncio.run(follow())


def test_an_end_of_the_server_ends_the_events(tmp_path: Path):
    async def follow() -> None:
        site = Streams(lambda _: True)
        events = site.events(tmp_path, "")
        await event(events)
        waiting = asyncio.ensure_future(event(events))
        await asyncio.sleep(0.02)
        site.end()
        with pytest.raises(AssertionError, match="ended"):
            await waiting

    asyncio.run(follow())


def test_silence_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "SILENCE", 0.01)

    async def follow() -> None:
        events = Streams(lambda _: True).events(tmp_path, "")
        await event(events)
        assert await anext(events) == b": nothing new\n\n"
        await events.aclose()

    asyncio.run(follow())


def test_runs_that_nobody_looks_at_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "MOST_FOLLOWED", 2)
    site = Streams(lambda _: True)
    first = site.channel(tmp_path / "0")
    first.watchers = 1
    for name in "123":
        site.channel(tmp_path / name)
    assert [path.name for path in site._channels] == ["0", "2", "3"]
    assert site.channel(tmp_path / "0") is first
