"""Data in shards on another machine is used like data on this one, with the same results, bit for bit."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Server, serving

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.preparing.verifying import verify
from pixelwise.evaluation.runs import score_by_name
from pixelwise.records.environment import read_environment
from pixelwise.training.runs import resume, train

pytest.importorskip("obstore")
SECRET = "k3y-nobody-may-see"
LATENCY = 0.02


@pytest.fixture(scope="module")
def shards(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("shards") / "photos"
    shard(tiny_data, output, size="60kB")
    return output


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of this test alone, so that nothing was fetched before."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def server(shards: Path) -> Iterator[Server]:
    with serving(shards) as server:
        server.latency = LATENCY
        yield server


def weights(run: Path) -> dict[str, str]:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return {name: record.sha256 for name, record in checkpoint.manifest.files.items() if name.endswith(".safetensors")}


@pytest.mark.heavy
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.heavy)])
def test_training_from_a_server_is_training_from_loose_files(
    tiny_run: Path, tiny_recipe: Path, server: Server, tmp_path: Path, workers: int, own_cache: Path
):
    overrides = [f"data.workers={workers}", "data.cache=off"]
    run = train(
        str(tiny_recipe), data=server.address, output=tmp_path / "run", threads=1, overrides=overrides, evaluate=False
    )
    assert weights(run) == weights(tiny_run)
    ours, theirs = (json.loads((one / "data.json").read_text()) for one in (run, tiny_run))
    assert ours == theirs
    # One request for an image with its mask: the audit of 14 pairs, 16 steps of two pairs, and what is scored.
    tars = [one for one in server.requests if ".tar" in one]
    assert all(one.startswith("GET") and "bytes=" in one for one in tars)
    assert len(tars) <= 14 + 2 * (16 + 2) + 5 * 3


@pytest.mark.heavy
def test_a_stopped_run_continues_from_its_recorded_address(
    tiny_run: Path, tiny_recipe: Path, server: Server, tmp_path: Path, own_cache: Path
):
    run = tmp_path / "run"
    train(str(tiny_recipe), data=server.address, output=run, threads=1, evaluate=False)
    assert read_environment(run).arguments.data == server.address
    for path in sorted((run / "checkpoints").iterdir())[1:]:
        shutil.rmtree(path)
    assert weights(resume(run, evaluate=False)) == weights(tiny_run)


@pytest.mark.heavy
def test_scores_are_equal(tiny_run: Path, tiny_data: Path, server: Server, own_cache: Path):
    (one,), (other,) = (score_by_name(str(tiny_run), data, "all") for data in (tiny_data, server.address))
    assert one.confusion_matrix == other.confusion_matrix
    assert one.data_fingerprint == other.data_fingerprint
    assert one.miou == other.miou


@pytest.mark.heavy
def test_a_busy_server_changes_nothing(tiny_run: Path, tiny_data: Path, server: Server, own_cache: Path):
    server.failures = 5
    (one,), (other,) = (score_by_name(str(tiny_run), data, "val") for data in (tiny_data, server.address))
    assert one.confusion_matrix == other.confusion_matrix


def test_verifying_reads_every_byte(server: Server, own_cache: Path):
    found = verify(server.address)
    assert (found.images, found.files, found.problems) == (14, 28, ())
    assert server.busiest > 2


@pytest.mark.heavy
def test_every_verb_takes_an_address(
    run_cli: Callable, tiny_run: Path, server: Server, tmp_path: Path, own_cache: Path
):
    server.latency = 0
    code, stdout, _ = run_cli(["check", server.address])
    assert code == 0
    assert server.address in stdout
    assert run_cli(["predict", tiny_run, server.address, "--output", tmp_path / "out"]).code == 0
    assert len(list((tmp_path / "out/masks").rglob("*.png"))) == 14
    assert "14 images" in run_cli(["data", "stats", server.address]).stdout
    code, _, stderr = run_cli(["check", f"{server.address}/elsewhere"])
    assert (code, "error[D222]" in stderr, "do not list other files" in stderr) == (3, True, True)
    code, _, stderr = run_cli(["train", "s3://bucket/photos", "--recipe", "nothing"])
    assert "error[R200]" in stderr


def files_with(secret: str, *folders: Path) -> list[Path]:
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and (secret.encode() in path.read_bytes() or secret in str(path))
    ]


@pytest.mark.heavy
def test_what_gives_access_is_written_and_said_nowhere(
    run_cli: Callable, tiny_recipe: Path, server: Server, tmp_path: Path, own_cache: Path
):
    server.latency, server.query = 0, f"sig={SECRET}"
    signed, wrong = f"{server.address}?sig={SECRET}", f"{server.address}/elsewhere?sig={SECRET}"
    run, said = tmp_path / "run", []
    for words, code in (
        (["train", tiny_recipe, "--data", signed, "--output", run, "--threads", "1"], 0),
        (["evaluate", run, "--data", signed, "--split", "all"], 0),
        (["check", signed, "--html", tmp_path / "check.html", "--write", tmp_path / "mine.toml"], 0),
        (["check", signed, "--json"], 0),
        (["data", "stats", signed, "--json"], 0),
        (["data", "verify", signed], 0),
        (["predict", run, signed, "--output", tmp_path / "predictions"], 0),
        (["report", run], 0),
        (["--debug", "check", wrong], 3),
        (["--debug", "check", f"{signed}-another"], 3),
        (["--debug", "train", tiny_recipe, "--data", wrong, "--output", tmp_path / "no"], 3),
        (["--debug", "train", wrong, wrong], 2),
    ):
        done = run_cli(words)
        assert done.code == code, (words, done.stderr)
        said.append(done.stdout + done.stderr)
    # The run's own record does not give access, nor does a new process know it.
    call = [sys.executable, "-c", "from pixelwise.cli import entry; entry()", "evaluate", str(run), "--split", "all"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.returncode, "error[D272]" in done.stderr) == (3, True)
    assert not [text for text in (*said, done.stdout, done.stderr) if SECRET in text]
    assert (run / "report.html").is_file()
    assert files_with(SECRET, tmp_path, own_cache) == []
    assert server.address in (run / "environment.json").read_text()
