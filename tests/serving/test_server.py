from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import pixelwise
from pixelwise.errors import ResourceError
from pixelwise.observer import SILENT
from pixelwise.serving.metrics import Metrics
from pixelwise.serving.options import ServeOptions
from pixelwise.serving.server import address_of, bound, name_of, pool_of


def test_a_port_in_use_or_an_address_of_another_computer_is_refused():
    with bound("127.0.0.1", 0) as door:
        door.listen()
        address, port = address_of(door), door.getsockname()[1]
        assert address == f"http://127.0.0.1:{port}"
        for host, number in (("127.0.0.1", port), ("192.0.2.1", 0), ("no.such.host.invalid", 0), ("a" * 99, 0)):
            with pytest.raises(ResourceError) as caught:
                bound(host, number)
            assert caught.value.code == "S609"


def test_a_model_is_named_after_its_folder(tmp_path: Path):
    artefact = tmp_path / "town v2" / "model.onnx"
    artefact.parent.mkdir()
    artefact.touch()
    names = [tmp_path / "unet-1", artefact, artefact.parent, tmp_path / "\u00e9\u00e9"]
    assert list(map(name_of, names)) == ["unet-1", "town-v2", "town-v2", "model"]


def test_workers_divide_the_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelwise.serving.server.usable_cores", lambda: 12)
    monkeypatch.setattr("pixelwise.serving.server.default_threads", lambda: 12)
    for workers, expected in ((None, (8, 1)), (3, (3, 4)), (40, (40, 1))):
        pool = pool_of(Path("run"), ServeOptions(workers=workers), Metrics(), SILENT)
        job = pool._open.args[0]
        assert (pool._workers(_model("cpu")), job.threads) == expected
    assert pool_of(Path("run"), ServeOptions(), Metrics(), SILENT)._workers(_model("cuda")) == 2


def _model(device: str):
    import msgspec
    from serving_fakes import MODEL

    return msgspec.structs.replace(MODEL, device=device)


class Served:
    """A server in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "pixelwise", "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"serving (http://\S+)", line):
                self.address = found[1]
                break
        else:
            raise AssertionError("".join(self.said))
        self._reading = threading.Thread(target=lambda: self.said.extend(self.process.stderr or ()))
        self._reading.start()

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(self.address + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=250) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def workers(self) -> list[psutil.Process]:
        """The processes that predict."""
        found = psutil.Process(self.process.pid).children()
        return [one for one in found if "spawn_main" in " ".join(one.cmdline())]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(250)
        self._reading.join()
        return status


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    servers: list[Served] = []

    def start(*arguments: object) -> Served:
        servers.append(Served(*arguments))
        return servers[-1]

    yield start
    for one in servers:
        if one.process.poll() is None:
            one.stop()


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(None, marks=pytest.mark.heavy),
        pytest.param("onnx", marks=pytest.mark.fuzz),
        pytest.param("openvino", marks=pytest.mark.fuzz),
    ],
)
def test_a_server_loses_nothing_when_workers_are_killed_and_it_is_stopped(serve, tiny_run, tiny_data, tmp_path, target):
    photos = sorted((tiny_data / "images" / "train").glob("*.png"))
    subject = tiny_run if target is None else pixelwise.export(tiny_run, tmp_path / "exported", target).path.parent
    pixelwise.predict(subject, photos, tmp_path, overlay=False, observer=pixelwise.Observer())
    wanted = {path: (tmp_path / "masks" / path.name).read_bytes() for path in photos}
    served = serve(subject, "--workers", 2, "--queue", 500)
    answers: list[tuple[Path, int, bytes]] = []

    def ask(rounds: int) -> None:
        for _ in range(rounds):
            for path in photos:
                answers.append((path, *served.ask("/predict", path.read_bytes())))

    clients = [threading.Thread(target=ask, args=(8,)) for _ in range(6)]
    for client in clients:
        client.start()
    killed = 0
    while any(client.is_alive() for client in clients) and killed < 4:
        for worker in served.workers()[:1]:
            worker.kill()
            killed += 1
        time.sleep(1.0)
    for client in clients:
        client.join()
    assert killed
    assert len(answers) == 6 * 8 * len(photos)
    assert [(path.name, status) for path, status, mask in answers if status != 200 or mask != wanted[path]] == []
    # What was taken before the signal is finished.
    last: list[int] = []
    clients = [
        threading.Thread(target=lambda path=path: last.append(served.ask("/predict", path.read_bytes())[0]))
        for path in photos
    ]
    for client in clients:
        client.start()
    while len(last) < len(photos) and _in_progress(served) < len(photos) - len(last):
        time.sleep(0.001)
    assert served.stop() == 0
    for client in clients:
        client.join()
    assert last == [200] * len(photos)


def _in_progress(served: Served) -> int:
    text = served.ask("/metrics")[1].decode()
    found = re.search(r"^pixelwise_requests_in_progress (\d+)$", text, re.M)
    assert found is not None
    return int(found[1])


@pytest.mark.heavy
def test_a_server_with_a_token_takes_a_new_model_on_a_signal(serve, tiny_run, tiny_data, tmp_path, monkeypatch):
    token = "0123456789abcdef-secret"
    monkeypatch.setenv("PIXELWISE_TOKEN", token)
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    served = serve(run, "--workers", 1, "--host", "0.0.0.0", "--name", "boxes")
    served.address = served.address.replace("0.0.0.0", "127.0.0.1")
    photo = (tiny_data / "images" / "val" / "00.png").read_bytes()
    assert served.ask("/predict", photo)[0] == 401
    secret = {"Authorization": f"Bearer {token}"}
    before = json.loads(served.ask("/model", **secret)[1])
    assert (before["name"], served.ask("/predict", photo, **secret)[0]) == ("boxes", 200)
    assert token not in " ".join(psutil.Process(served.process.pid).cmdline())
    # The last checkpoint instead of the best one.
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text("utf-8").replace('weights = "best"', 'weights = "last"'), "utf-8")
    os.kill(served.process.pid, signal.SIGHUP)
    while json.loads(served.ask("/model", **secret)[1])["hashes"] == before["hashes"]:
        assert served.ask("/predict", photo, **secret)[0] == 200
        time.sleep(0.2)
    assert served.ask("/predict", photo, **secret)[0] == 200
    assert served.stop() == 0
