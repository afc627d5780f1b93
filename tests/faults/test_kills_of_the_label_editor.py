"""The server is killed while strokes are saved: what it said is saved is on the disk, and every mask can be read.

Ten kills with `-m heavy`, a hundred with `-m fuzz`. What should be on the disk is kept by the test, stroke by stroke.
"""

import contextlib
import http.client
import itertools
import json
import multiprocessing
import random
import socket
import struct
import threading
import time
from pathlib import Path

import editing
import numpy as np
import pytest
from editing import edited_data, pixels_of

from pixelwise.pages.fixing.collection import Folder
from pixelwise.storage import sha256_bytes
from pixelwise.storage.atomic import TEMPORARY_PREFIX

SIZE = (256, 512)
# Forks processes that have imported everything: a new server answers at once.
PROCESSES = multiprocessing.get_context("forkserver")


class Server:
    """The server in a process of its own, which can be killed and started again at the same port."""

    def __init__(self, data: Path) -> None:
        PROCESSES.set_forkserver_preload(["editing", "uvicorn", "pixelwise.pages.app"])
        self.port, self.data, self.given_up = free_port(), data, False
        self.start()

    def start(self) -> None:
        self.process = PROCESSES.Process(target=editing.serve, args=(self.data, self.port))
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def ask(self, method: str, address: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and content of an answer; the request is repeated while nobody answers."""
        headers = {"cookie": "pixelwise=t", "origin": f"http://127.0.0.1:{self.port}"}
        end = time.monotonic() + 120
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request(method, address, body, {**headers, "content-type": "application/octet-stream"})
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                # The exit status says nothing here: of two threads that read it at once, one reads nothing.
                if time.monotonic() > end or self.given_up:
                    raise
                time.sleep(0.05)
            finally:
                connection.close()


def free_port() -> int:
    """A port that no connection is given: one to the port of a server that is down could be connected with itself."""
    for port in random.SystemRandom().sample(range(20000, 30000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@pytest.mark.heavy
def test_ten_kills(tmp_path: Path):
    killed(tmp_path, 10)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_a_hundred_kills(tmp_path: Path):
    killed(tmp_path, 100)


@pytest.mark.heavy
def test_new_masks_are_whole_or_not_there(tmp_path: Path):
    data = edited_data(tmp_path / "data", SIZE)
    images = [data / f"images/train/new{number:02}.png" for number in range(20)]
    for image in images:
        image.write_bytes((data / "images/train/a.png").read_bytes())
    folder, chance, done = Folder(data), random.Random(7), threading.Event()
    items = [item for item in folder.opened().items.values() if item.mask is not None]
    assert len(items) == len(images)
    server, faults = Server(data), []

    def killing() -> None:
        try:
            for _ in range(8):
                server.ask("GET", "/fix")
                time.sleep(chance.uniform(0, 0.25))
                server.kill()
                if done.is_set():
                    break
                for path in (data / "masks/train").glob("new*.png"):
                    pixels_of(path)
                server.start()
        except Exception as fault:
            faults.append(fault)
            server.given_up = True

    killer = threading.Thread(target=killing)
    killer.start()
    try:
        for number, item in enumerate(items):
            version = folder.mask(item).version
            body = struct.pack("<III", 10 * number, 9, 1)
            status, answer = server.ask("PUT", f"/fix/{item.id}/mask?base={version}&session=session-1", body)
            assert status == 200, answer
    finally:
        done.set()
        killer.join()
        server.kill()
        assert not faults
    for number, item in enumerate(items):
        truth = np.full(SIZE, 255, np.uint8)
        truth.flat[10 * number : 10 * number + 9] = 1
        assert np.array_equal(pixels_of(data / "masks/train" / f"{item.sample.id}.png"), truth)
    edits = folder.opened().keeper.edits()
    assert {edit.image for edit in edits if edit.made} == {item.name for item in items}
    assert not (folder.opened().keeper.folder / "originals").exists()
    assert [len(samples) for samples in Folder(data).opened().dataset.splits.values()] == [22, 1]


def killed(tmp_path: Path, times: int) -> None:
    """Saves strokes as the page does, until the server was killed `times` times."""
    data = edited_data(tmp_path / "data", SIZE)
    path = data / "masks" / "train" / "a.png"
    folder = Folder(data)
    image = next(item.id for item in folder.opened().items.values() if item.name == "train/a")
    truth, original = pixels_of(path), path.read_bytes()
    version, chance = sha256_bytes(original), random.Random(times)
    server, over, kills, faults = Server(data), threading.Event(), 0, []

    def killing() -> None:
        nonlocal kills
        try:
            while kills < times and not over.is_set():
                server.ask("GET", "/fix")
                time.sleep(chance.uniform(0, 0.25))
                server.kill()
                kills += 1
                pixels_of(path)  # whatever happened, it can be read
                server.start()
        except Exception as fault:
            faults.append(fault)
            server.given_up = True

    killer = threading.Thread(target=killing)
    killer.start()
    saved = 0
    try:
        while killer.is_alive() or saved < times:
            runs = [
                (chance.randrange(truth.size - 600), chance.randint(1, 600), chance.choice((0, 1, 2, 255)))
                for _ in range(9)
            ]
            for first, length, value in runs:
                truth.flat[first : first + length] = value
            body = b"".join(struct.pack("<III", *run) for run in runs)
            status, answer = server.ask("PUT", f"/fix/{image}/mask?base={version}&session=session-1", body)
            assert status == 200, answer
            version, saved = json.loads(answer)["version"], saved + 1
            assert sha256_bytes(path.read_bytes()) == version
            assert np.array_equal(pixels_of(path), truth)
    finally:
        over.set()
        killer.join()
        server.kill()
        assert not faults
    assert kills == times
    assert np.array_equal(pixels_of(path), truth)
    assert (folder.opened().keeper.folder / "originals/masks/train/a.png").read_bytes() == original
    edits = folder.opened().keeper.edits()
    # Every state is in the log; one that was logged but not reached is followed by another change of the same state.
    reached = [one for one, after in itertools.pairwise(edits) if after.before == one.after] + edits[-1:]
    assert reached[0].before == sha256_bytes(original)
    assert all(after.before in (one.before, one.after) for one, after in itertools.pairwise(edits))
    assert edits[-1].after == version
    assert len(list(path.parent.glob(f"{TEMPORARY_PREFIX}*"))) <= 1
    assert [item.name for item in Folder(data).opened().items.values()] == ["train/a", "train/b", "val/c"]
