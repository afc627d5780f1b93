"""A data set in shards is used like the loose files, with the same results, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pixelwise.checkpoints.checkpoint import list_checkpoints, newest_checkpoint
from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.evaluation.runs import score_by_name
from pixelwise.training.runs import resume, train


@pytest.fixture(scope="module")
def shards(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("shards") / "tiny"
    assert shard(tiny_data, output, size="30kB").shards > 3
    return output


@pytest.fixture(scope="module")
def sharded_run(shards: Path, tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(str(tiny_recipe), data=shards, output=tmp_path_factory.mktemp("runs") / "sharded", threads=1)


def weights(run: Path) -> dict[str, str]:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return {name: record.sha256 for name, record in checkpoint.manifest.files.items() if name.endswith(".safetensors")}


def steps(run: Path) -> list[tuple[int, float, float]]:
    records = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [(one["step"], one["loss"], one["grad_norm"]) for one in records if one["kind"] == "step"]


def test_training_from_shards_is_training_from_loose_files(tiny_run: Path, sharded_run: Path):
    assert len(steps(sharded_run)) == 16
    assert steps(sharded_run) == steps(tiny_run)
    assert weights(sharded_run) == weights(tiny_run)
    one, other = (json.loads((run / "data.json").read_text()) for run in (tiny_run, sharded_run))
    assert one["fingerprint"] == other["fingerprint"]
    assert one == other


@pytest.mark.heavy
@pytest.mark.parametrize("overrides", [["data.workers=2"], ["data.cache=disk"], ["data.cache=none"]])
def test_however_the_pairs_are_loaded(
    tiny_run: Path, shards: Path, tiny_recipe: Path, tmp_path: Path, overrides: list[str]
):
    run = train(str(tiny_recipe), data=shards, output=tmp_path / "run", threads=1, overrides=overrides, evaluate=False)
    assert weights(run) == weights(tiny_run)


@pytest.mark.heavy
def test_a_killed_training_continues_from_shards_and_from_loose_files(
    tiny_run: Path, tiny_data: Path, shards: Path, tiny_recipe: Path, tmp_path: Path
):
    run = tmp_path / "run"
    command = [sys.executable, "-c", "from pixelwise.cli import entry; entry()", "train", str(tiny_recipe)]
    options = ["--data", str(shards), "--output", str(run), "--threads", "1", "--no-evaluate"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any(manifest.step >= 3 for _, manifest in list_checkpoints(run / "checkpoints")):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.01)
    process.wait()
    # The content is the same, and so the run goes on with either.
    assert weights(resume(run, data=tiny_data, evaluate=False)) == weights(tiny_run)


@pytest.mark.heavy
def test_evaluation_is_equal(tiny_run: Path, tiny_data: Path, shards: Path, tmp_path: Path):
    for split in ("val", "all"):
        found: list[dict[str, Any]] = []
        for data in (tiny_data, shards):
            (result,) = score_by_name(str(tiny_run), data, split)
            plain = msgspec.to_builtins(result)
            found.append({name: plain[name] for name in ("confusion_matrix", "miou", "data_fingerprint", "per_class")})
        assert json.dumps(found[0]) == json.dumps(found[1])


def test_the_audit_is_equal_but_for_the_names_of_files(tiny_data: Path, shards: Path):
    found = [audit(open_folder(root)[1]) for root in (tiny_data, shards)]
    plain = [msgspec.to_builtins(msgspec.structs.replace(one, layout="", least_fitting=())) for one in found]
    assert plain[0] == plain[1]
    # From the cache this time.
    assert audit(open_folder(shards)[1]) == found[1]


@pytest.mark.heavy
def test_every_verb_takes_the_folder(run_cli: Callable, tiny_run: Path, tiny_data: Path, shards: Path, tmp_path: Path):
    code, stdout, _ = run_cli(["check", shards, "--html", tmp_path / "check.html"])
    assert (code, "in 9 shards" in stdout or "shards" in stdout) == (0, True)
    stats = [run_cli(["data", "stats", root, "--json"]).stdout for root in (tiny_data, shards)]
    assert stats[0] == stats[1]
    assert run_cli(["predict", tiny_run, shards, "--output", tmp_path / "one"]).code == 0
    assert run_cli(["predict", tiny_run, tiny_data / "images", "--output", tmp_path / "other"]).code == 0
    masks = [sorted((tmp_path / name / "masks").rglob("*.png")) for name in ("one", "other")]
    assert [path.relative_to(tmp_path / "one") for path in masks[0]] == [
        path.relative_to(tmp_path / "other") for path in masks[1]
    ]
    assert len(masks[0]) == 14
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(*masks, strict=True))
    assert run_cli(["data", "convert", shards, tmp_path / "loose"]).code == 0
    assert len(list((tmp_path / "loose").rglob("images/**/*.png"))) == 14


def test_shards_are_made_and_verified_by_verbs(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    code, stdout, _ = run_cli(["data", "shard", tiny_data, tmp_path / "shards", "--size", "50kB"])
    assert code == 0
    assert "8 train, 3 val, 3 test, 3 classes, " in stdout
    assert "every file is what the index says" in run_cli(["data", "verify", tmp_path / "shards"]).stdout
    tar = tmp_path / "shards" / "val-000000.tar"
    tar.write_bytes(tar.read_bytes().replace(b"IDAT", b"IDAX"))
    code, stdout, _ = run_cli(["data", "verify", tmp_path / "shards"])
    assert code == 3
    assert "D271 val-000000.tar/00.mask.png" in stdout or "D271 val-000000.tar/00.png" in stdout
    code, stdout, _ = run_cli(["check", tmp_path / "shards"])
    assert code == 3
    assert "D271" in stdout
    code, _, stderr = run_cli(["data", "split", tmp_path / "shards"])
    assert code == 3
    assert "error[D222]" in stderr
