"""What is in the files of an offline run of W&B, read by the layout of LevelDB's log and W&B's own messages."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracked_runs import at_home, begun, ended, evaluation, rewound, step

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.records.log import FinishedRecord, append_log
from pixelwise.training.trackers import wandb as module
from pixelwise.training.trackers.following import Followers
from pixelwise.training.trackers.sending import track
from pixelwise.training.trackers.wandb import WandbTracker

pytest.importorskip("wandb", reason="pip install 'pixelwise[wandb]'")
BLOCK = 32 * 1024


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home(monkeypatch, tmp_path)


def payloads(data: bytes) -> Iterator[bytes]:
    """The messages of a LevelDB log after its own header of 7 bytes: crc (4), length (2), kind (1), in blocks."""
    at, whole = 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if kind == 0:
            return
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


def parts(folder: Path) -> list[list[Any]]:
    """The messages of each offline run in a run folder, in the order in which they began."""
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        found.append([Record.FromString(one) for one in payloads(file.read_bytes())])
    return found


def series(records: list[Any]) -> dict[str, list[tuple[int, Any]]]:
    found: dict[str, list[tuple[int, Any]]] = {}
    for record in records:
        if record.WhichOneof("record_type") == "history":
            row = {(one.key or "/".join(one.nested_key)): json.loads(one.value_json) for one in record.history.item}
            for name in set(row) - {"step"} - {key for key in row if key.startswith("_")}:
                found.setdefault(name, []).append((row["step"], row[name]))
    return found


def identities(folder: Path) -> list[str]:
    return [record.run.run_id for part in parts(folder) for record in part if record.WhichOneof("record_type") == "run"]


def test_an_old_run_arrives_whole(tmp_path: Path):
    folder = ended(tmp_path / "first")
    (sent,) = track(folder, to="wandb")
    (records,) = parts(folder)
    found = series(records)
    assert found["train/loss"] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)), (4, 0.25)]
    assert found["val-native/miou"] == [(2, 0.25), (4, 0.75)]
    assert found["result/val-native/miou"] == [(4, 0.75)]
    (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    config = {one.key or ".".join(one.nested_key): json.loads(one.value_json) for one in run.config.update}
    assert config["optimizer.lr"] == recipe("town-demo").optimizer.lr
    assert (run.run_id, run.display_name, run.project) == (sent.tracked, "first", "pixelwise")
    assert sent.where == f"wandb sync {folder}/wandb/offline-run-*"
    names = {one.path for record in records for one in record.files.files}
    assert {"report.html", "evaluations/val-native/result.json"} <= names


def test_a_run_that_was_followed_and_stopped_and_resumed_is_one_run(tmp_path: Path):
    folder = begun(tmp_path / "first", step(1), step(2), evaluation(2), step(3))
    Followers(folder, ("wandb",)).finish(60.0)
    rewound(folder, step(1), step(2), evaluation(2))
    append_log(folder, [step(3), step(4), FinishedRecord(step=4, seconds=8.0)])
    Followers(folder, ("wandb",)).finish(60.0)
    before, after = parts(folder)
    assert len(identities(folder)) >= 2
    assert len(set(identities(folder))) == 1
    assert [number for number, _ in series(before)["train/loss"]] == [1, 2, 3]
    assert [number for number, _ in series(after)["train/loss"]] == [4]


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_MODE": "online"}, "offline"),  # without a key it would ask for one
        ({"WANDB_API_KEY": "0" * 40}, "online"),
        ({"WANDB_API_KEY": "0" * 40, "WANDB_MODE": "offline"}, "offline"),
        ({"WANDB_API_KEY": "0" * 40, "WANDB_MODE": "dryrun"}, "offline"),
        ({"WANDB_MODE": "disabled"}, "disabled"),
        ({"NETRC": "netrc"}, "online"),
        ({"NETRC": "netrc", "WANDB_BASE_URL": "https://other"}, "offline"),
        ({"NETRC": "damaged"}, "offline"),
    ],
)
def test_it_is_online_only_where_there_is_a_key(
    variables: dict[str, str], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password 0123456789\n")
    (tmp_path / "damaged").write_text("machine")
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if name == "NETRC" else value)
    assert module._mode() == mode


def test_without_the_package_it_is_an_error_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(RecipeError) as caught:
        WandbTracker.require()
    assert (caught.value.code, "pixelwise[wandb]" in caught.value.help) == ("R272", True)
