"""Verbs read and write S3, Google Cloud Storage and Azure, and none of them tells a secret."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from living_stores import KINDS, Living, give_access
from object_stores import KEY

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.storage.stores.remote import remote_store

pytest.importorskip("obstore")
pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module", params=KINDS)
def living(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with KINDS[request.param](tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of this test alone, so that nothing was fetched before."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def address(living: Living, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> str:
    """A folder of the store that nothing is in."""
    give_access(monkeypatch, living.environment["variables"])
    return f"{living.address}/{uuid.uuid4().hex[:8]}"


def weights(run: Path) -> dict[str, str]:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return {name: record.sha256 for name, record in checkpoint.manifest.files.items() if name.endswith(".safetensors")}


def contents(place: str | Path) -> dict[str, bytes]:
    """The files of a folder or an address, receipts aside, which say when they were written."""
    if isinstance(place, Path):
        found = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    else:
        store = remote_store(place)
        found = {name: store.read(name, 0, store.size(name)) for name in store.names("")}
    return {name: content for name, content in found.items() if "receipts/" not in name}


def telling(*folders: Path) -> list[Path]:
    """The files that hold the key, in their content or their name."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if KEY.encode() in path.read_bytes() or KEY in str(path)]


def test_verbs_read_and_write_stores(
    run_cli: Callable, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, address: str, tmp_path: Path, own_cache: Path
):
    data, run, local, said = f"{address}/photos", tmp_path / "run", tmp_path / "local", []
    for words in (
        ["data", "shard", tiny_data, data, "--size", "60kB"],
        ["data", "verify", data],
        ["check", data, "--html", tmp_path / "check.html"],
        ["train", tiny_recipe, "--data", data, "--output", run, "--threads", "1"],
        ["evaluate", run, "--data", data, "--output", f"{address}/scores"],
        ["predict", run, data, "--output", f"{address}/predictions"],
        ["predict", run, data, "--output", local, "--tars"],
        ["report", run],
    ):
        done = run_cli(words)
        assert done.code == 0, (words, done.stderr)
        said.append(done.stdout + done.stderr)
    assert weights(run) == weights(tiny_run)
    assert contents(f"{address}/predictions").keys() == contents(local).keys()
    tars = {name for name in contents(local) if name.endswith(".tar")}
    assert tars
    assert {name: contents(f"{address}/predictions")[name] for name in tars} == {
        name: contents(local)[name] for name in tars
    }
    assert json.loads((run / "environment.json").read_text())["arguments"]["data"] == data
    assert not [text for text in said if KEY in text]
    assert telling(tmp_path, own_cache) == []
    assert not [name for name, content in contents(address).items() if KEY.encode() in content]


def killed_when(command: list[str], ready: Callable[[], bool]) -> str:
    """Start a command and kill it when something is there; what it said."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not ready():
        time.sleep(0.001)
    process.kill()
    return process.communicate()[1]


def test_shards_and_predictions_are_written_in_spite_of_kills(
    run_cli: Callable, tiny_data: Path, tiny_run: Path, living: Living, address: str, tmp_path: Path, own_cache: Path
):
    made, local, program = f"{address}/made", tmp_path / "shards", [sys.executable, "-m", "pixelwise"]
    folder = made.removeprefix(f"{living.address}/")
    shard(tiny_data, local, size="10kB")
    tars, words = sorted(path.name for path in local.glob("*.tar")), ["data", "shard", str(tiny_data), made]
    said = killed_when(
        [*program, *words, "--size", "10kB"], lambda: f"{folder}/{tars[len(tars) // 2]}" in living.names()
    )
    done, _, stderr = run_cli(["check", made])
    assert done or f"{folder}/index.parquet" in living.names()
    assert not done or "not finished" in stderr, said
    done, _, stderr = run_cli([*words, "--size", "10kB"])
    assert done == 0 or "holds shards already" in stderr
    assert contents(made) == contents(local)
    assert run_cli(["data", "verify", made]).code == 0

    words = ["predict", str(tiny_run), made, "--output", f"{address}/predictions"]
    begun = f"{address}/predictions/receipts/".removeprefix(f"{living.address}/")
    killed_when([*program, *words], lambda: any(name.startswith(begun) for name in living.names()))
    assert run_cli(words).code == 0
    assert run_cli(["predict", tiny_run, made, "--output", tmp_path / "whole", "--tars"]).code == 0
    mine, whole = contents(f"{address}/predictions"), contents(tmp_path / "whole")
    assert {name: one for name, one in mine.items() if name.endswith(".tar")} == {
        name: one for name, one in whole.items() if name.endswith(".tar")
    }
    assert telling(tmp_path, own_cache) == []


def test_what_is_refused_is_said_by_every_verb_without_a_secret(
    run_cli: Callable, tiny_data: Path, tiny_run: Path, living: Living, address: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, own_cache: Path,
):  # fmt: skip
    cases = [(what, environment, said, address) for what, (environment, said) in living.refused.items()]
    cases.append(("no bucket", living.environment["variables"], "no such bucket", f"{living.address}other/photos"))
    for what, environment, expected, place in cases:
        give_access(monkeypatch, environment)
        for words, code in (
            (["--debug", "check", place], "D272"),
            (["--debug", "data", "verify", place], "D272"),
            (["--debug", "data", "shard", tiny_data, place], "S611"),
            (["--debug", "evaluate", tiny_run, "--data", place], "D272"),
            (["--debug", "predict", tiny_run, place, "--output", tmp_path / "out"], "D272"),
            (["--debug", "predict", tiny_run, tiny_data, "--output", place], "S611"),
        ):
            done = run_cli(words)
            assert f"error[{code}]" in done.stderr, (what, words, done.stderr)
            assert expected in done.stderr, (what, words, done.stderr)
            assert place in done.stderr
            assert not [one for one in (KEY, KEY[:-6], "sig=") if one in done.stdout + done.stderr]
    assert telling(tmp_path, own_cache) == []
