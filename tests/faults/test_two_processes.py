"""Two processes on one output: the second is refused with exit 7, waits, or both write files that are whole.

`POLICIES` has a row for every verb that writes, as in `test_kills`; a new verb without one fails.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faults.commands import Commands
from faults.test_kills import TABLE, files, is_whole

from pixelwise.cli import main
from pixelwise.storage import locks
from pixelwise.storage.atomic import TEMPORARY_PREFIX
from pixelwise.storage.locks import run_lock, writing_alone

Begin = Callable[[str], tuple[list[str], Path]]
"""Name of a verb -> the arguments of its command line and its output folder."""
REFUSED, WAITS, WHOLE_FILES = "refused", "waits", "writes whole files"
POLICIES = {
    "check": WHOLE_FILES,
    "train": REFUSED,
    "distill": REFUSED,
    "crossval": REFUSED,
    "resume": REFUSED,
    "evaluate": WAITS,
    "predict": REFUSED,
    "prelabel": REFUSED,
    "report": WHOLE_FILES,
    "watch": WHOLE_FILES,
    "track": REFUSED,
    "export": REFUSED,
    "quantize": REFUSED,
    "deploy": REFUSED,
    "schema": WHOLE_FILES,
    "data split": REFUSED,
    "data convert": REFUSED,
    "data shard": REFUSED,
    "data town": REFUSED,
}
LOCKED = dict.fromkeys(
    ("predict", "prelabel", "export", "quantize", "deploy", "data convert", "data shard", "data town"), "a"
) | {"track": "trackers/tensorboard.json"}
"""Verb -> the part of its output folder that one process at a time writes."""


def test_every_verb_that_writes_has_a_policy():
    assert set(POLICIES) == set(TABLE)


@pytest.fixture
def begin(tiny_data: Path, tiny_run: Path, linear_run: Path, tiny_recipe: Path, tmp_path: Path) -> Begin:
    inputs = {"data": tiny_data, "run": tiny_run, "linear": linear_run, "recipe": tiny_recipe}

    def arguments_and_output(name: str) -> tuple[list[str], Path]:
        row, out = TABLE[name], tmp_path / "out"
        shutil.copytree(inputs[row.copied], out) if row.copied else out.mkdir()
        return [word.format(**inputs, out=out) for word in row.arguments], out

    return arguments_and_output


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy == REFUSED])
def test_the_second_process_is_refused_and_changes_nothing(name: str, begin: Begin, run_cli: Callable):
    arguments, out = begin(name)
    match name:
        case "train" | "distill" | "crossval":
            lock = run_lock(out / "run")
        case "resume":
            lock = run_lock(out)
        case "data split":
            lock = writing_alone(out / "lists")
        case _:
            lock = writing_alone(out / LOCKED[name])
    with lock:
        before = {path: path.read_bytes() for path in files(out)}
        code, _, stderr = run_cli(arguments)
        assert {path: path.read_bytes() for path in files(out)} == before
    assert code == 7
    assert "error[L701]" in stderr
    assert "process " in stderr


@pytest.mark.heavy
def test_an_evaluation_waits_for_one_that_is_being_saved(begin: Begin, monkeypatch: pytest.MonkeyPatch):
    arguments, out = begin("evaluate")
    statuses: list[int] = []
    waiting, wait_for = threading.Event(), locks._wait_for

    def wait(*arguments, **options):
        waiting.set()
        return wait_for(*arguments, **options)

    monkeypatch.setattr(locks, "_wait_for", wait)
    with writing_alone(out / "evaluations"):
        thread = threading.Thread(target=lambda: statuses.append(main(arguments)))
        thread.start()
        assert waiting.wait(60)
        thread.join(0.1)
        assert thread.is_alive()
        assert not list(out.glob("evaluations/test-*/result.json"))
    thread.join(60)
    assert statuses == [0]
    assert list(out.glob("evaluations/test-*/result.json"))


@pytest.fixture(scope="module")
def two_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Commands]]:
    servers = [Commands(tmp_path_factory.mktemp("commands"), torch=True) for _ in range(2)]
    yield servers
    for server in servers:
        server.close()


@pytest.mark.heavy
@pytest.mark.parametrize("name", TABLE)
def test_two_processes_at_once_leave_one_whole_output(name: str, begin: Begin, two_servers: list[Commands]):
    arguments, out = begin(name)
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda server: server.run(arguments), two_servers))
    # The one that comes second finds either a process that writes, or a complete output.
    assert 0 in [one.status for one in ended], ended
    for one in ended:
        assert one.status == 0 or "error[L701]" in one.said or "already" in one.said or "not empty" in one.said, one
    for path in files(out):
        assert is_whole(path), path
    assert list(out.parent.rglob(f"{TEMPORARY_PREFIX}*")) == []
