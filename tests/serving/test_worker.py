from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serving_children
from observers import Told

from pixelwise.errors import CheckpointError
from pixelwise.serving import worker as module
from pixelwise.serving.messages import Done, Failed, Order
from pixelwise.serving.worker import Died, Job, TookTooLong, Worker


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Worker]]:
    """Start a worker whose process obeys the images."""
    monkeypatch.setattr(module, "_run", serving_children.obey)
    workers: list[Worker] = []

    def start(timeout: float = 60.0, observer: Told | None = None, **job: object) -> Worker:
        workers.append(Worker(Job(Path("run"), threads=3, max_pixels=9, **job), timeout, observer or Told()))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end(at_once=True)


def replies(worker: Worker, *contents: str) -> list[Done | Failed]:
    found: list[Done | Failed] = []
    orders = [Order(number=number, content=content.encode()) for number, content in enumerate(contents)]
    worker.work(orders, found.append)
    return found


def test_a_worker_answers_warns_and_dies(started):
    warned: list[str] = []
    before = os.environ.get("OMP_NUM_THREADS")
    worker = started(observer=Told(warn=lambda code, _: warned.append(code)))
    assert os.environ.get("OMP_NUM_THREADS") == before
    assert worker.load() == serving_children.MODEL
    assert [(reply.number, reply.content) for reply in replies(worker, "a", "warn", "b")] == [
        (0, b"3"), (1, b"3"), (2, b"3"),
    ]  # fmt: skip
    assert warned == ["W471"]
    with pytest.raises(Died):
        replies(worker, "a", "die")
    worker._process.join(60)  # its connection is closed a moment before it has ended
    assert not worker.is_alive
    with pytest.raises(Died):
        replies(worker, "a")
    scratch = Path(worker._folder.name)
    assert (scratch / "left behind").exists()
    worker.end(at_once=True)
    assert not scratch.exists()


def test_a_worker_that_is_too_slow_or_lies_is_given_up(started):
    for content, error in (("hang", TookTooLong), ("lie", Died)):
        worker = started(timeout=60.0)
        worker.load()
        worker._timeout = 0.3 if content == "hang" else 60.0
        with pytest.raises(error):
            replies(worker, content)
        worker.end(at_once=True)
        assert not worker.is_alive


def test_an_error_of_loading_has_its_code(started):
    with pytest.raises(CheckpointError) as caught:
        started(device="broken").load()
    assert (caught.value.code, caught.value.help) == ("K420", "give one")


def test_a_worker_ends_when_it_is_told_to(started):
    worker = started()
    worker.load()
    worker.end()
    assert not worker.is_alive
