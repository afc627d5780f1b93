from pathlib import Path

import pytest
from reports.live.scenes import running, write_status

from pixelwise.errors import DataError
from pixelwise.machine.processes import process_mark
from pixelwise.pages.catalog import Catalog
from pixelwise.pages.live.standing import Standing, end_of_log, standing_of, under_way
from pixelwise.records.exits import write_exit
from pixelwise.records.log import LOG, EvaluationRecord, FinishedRecord, StepRecord, append_log
from pixelwise.records.status import RunStatus
from pixelwise.storage.locks import run_lock

DEAD = process_mark().rpartition("-")[0] + "-1"
ELSEWHERE = "another-4711-1"


@pytest.mark.parametrize(
    ("status", "finished", "state", "reason"),
    [
        (running(), False, "running", ""),
        (running(state="scoring"), True, "running", ""),
        (running(process=DEAD), False, "lost", "Process 4711 on desk ended without a word"),
        (running(process=ELSEWHERE), False, "running", ""),
        (
            running(process=ELSEWHERE, written=100.0),
            False,
            "lost",
            "Nothing has been heard of process 4711 on desk for",
        ),
        (running(process=DEAD, state="scoring"), True, "finished", "`pixelwise evaluate` scores it"),
        (running(state="over", outcome="stopped by Ctrl-C"), False, "stopped", "Stopped by Ctrl-C."),
        (running(state="over", outcome="finished"), True, "finished", ""),
        (RunStatus(), True, "finished", ""),
        (RunStatus(), False, "stopped", ""),
    ],
)
def test_state(tmp_path: Path, status: RunStatus, finished: bool, state: str, reason: str):
    found = standing_of(tmp_path, status, finished, 1010.0)
    assert found.state == state
    assert found.reason == reason or (reason and reason in found.reason)


def test_a_run_without_a_status_is_asked_for_its_lock(tmp_path: Path):
    with run_lock(tmp_path / "run"):
        assert standing_of(tmp_path / "run", RunStatus(), False, 0.0).state == "running"
    assert standing_of(tmp_path / "run", RunStatus(), False, 0.0).state == "stopped"


def test_what_one_of_several_processes_said_explains_the_end_of_all(tmp_path: Path):
    write_exit(tmp_path, DataError("D101", "an image is damaged", "remove it"))
    expected = Standing("stopped", "An image is damaged [D101].")
    assert standing_of(tmp_path, running(process=DEAD), False, 1010.0) == expected


def test_the_end_of_a_long_log_is_enough(tmp_path: Path):
    append_log(tmp_path, [StepRecord(step=step, epoch=1, loss=1.0, lr=0.1) for step in range(1, 3000)])
    append_log(tmp_path, [FinishedRecord(step=2999, seconds=1.0)])
    with open(tmp_path / LOG, "ab") as file:
        file.write(b'{"kind":"st')
    records = end_of_log(tmp_path).records
    assert isinstance(records[-1], FinishedRecord)
    assert len(records) < 2000  # of 64 KiB; the first line of them is torn
    assert end_of_log(tmp_path / "nothing").records == ()


def test_runs_that_need_a_look_come_first(tmp_path: Path):
    for name, status in {
        "a-stopped": running(state="over", outcome="stopped by Ctrl-C"),
        "b-lost": running(process=DEAD),
        "c-running": running(),
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.toml").touch()
        write_status(tmp_path / name, status)
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "recipe.toml").touch()
    append_log(
        tmp_path / "a-stopped",
        [
            StepRecord(step=70, epoch=1, loss=1.0, lr=0.1),
            EvaluationRecord(step=70, split="val", protocol="native", miou=0.5),
        ],
    )
    found = under_way(Catalog([tmp_path]).entries(), 1010.0)
    assert [(one.name.rpartition("/")[2], one.standing.state, one.progress, one.miou) for one in found] == [
        ("c-running", "running", "step 60 of 240", None),
        ("b-lost", "lost", "step 60 of 240", None),
        ("a-stopped", "stopped", "step 70 of 240", 50.0),
    ]
