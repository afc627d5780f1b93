from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from reports.live.scenes import running, write_scene, write_status
from reports.run_folders import EVIL, write_run_folder

from pixelwise.errors import CheckpointError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.log import FinishedRecord, Log, StepRecord, append_log
from pixelwise.records.run_folder import write_recipe
from pixelwise.records.status import Pace, RunStatus
from pixelwise.reports.live.page import commands, is_live, left, render_live_page, write_live_pages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run <b>1"
    write_run_folder(run)
    write_scene(run)
    return run


def data_of(page: str) -> dict:
    return json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)[0])


def text_of(page: str) -> str:
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_a_run_that_goes_on_says_where_it_is_and_reloads_itself(folder: Path):
    write_status(folder, running())
    page = render_live_page(folder, 1000.0)
    said, data = text_of(page), data_of(page)
    assert "Step 60 of 240, epoch 6 of 24" in said
    assert "25.0 %" in said
    assert "left to train about 2 min" in said
    assert "images per second 7.5" in said
    assert "40 % of the time is spent waiting for images" in said
    assert "kill -TERM 4711" in said
    assert "desk" in said
    assert "report.html" not in said
    assert data["refresh"] == 10
    assert data["curves"]["steps"]["step"][-1] == 60
    assert data["curves"]["paces"]["seconds"] == [2.0, 75.0]
    assert [moment["step"] for moment in data["moments"]] == [20, 40]
    assert all(uri.startswith("data:image/webp;base64,") for moment in data["moments"] for uri in moment["layers"])


def test_gradient_and_memory_are_told_and_drawn_where_they_are_known(tmp_path: Path):
    run = tmp_path / "run"
    write_run_folder(run, steps=30)
    write_status(run, running())
    page = render_live_page(run, 1000.0)
    assert "gradient norm" not in text_of(page)
    assert "memory in use" not in text_of(page)
    append_log(run, [StepRecord(step=31, epoch=4, loss=0.2, lr=0.001, grad_norm=1.5)])
    pace = Pace(step=31, seconds=80.0, memory_bytes=3 << 29, gpu_memory_bytes=5 << 30)
    write_status(run, running(paces=(pace,)))
    page = render_live_page(run, 1000.0)
    for said in ("gradient norm 1.5", "memory in use 1.5 GiB", "GPU memory held 5.0 GiB"):
        assert said in text_of(page)
    data = data_of(page)
    assert data["curves"]["steps"]["norm"][-2:] == [None, 1.5]
    assert (data["curves"]["paces"]["memory"], data["curves"]["paces"]["gpu_memory"]) == ([1.5], [5.0])
    assert data["clip_norm"] is None
    write_status(run, running(state="over", paces=(pace,)))
    assert "memory in use" not in text_of(render_live_page(run, 1000.0))


def test_a_run_that_is_over_leads_to_its_report_and_stays_as_it_is(folder: Path):
    write_status(folder, running(state="over", outcome="finished"))
    (folder / "report.html").write_text("report")
    page = render_live_page(folder, 1000.0)
    (folder / "report.html").unlink()
    assert '<a href="report.html">' in page
    assert data_of(page)["refresh"] is None
    assert "kill" not in text_of(page)
    assert "spent waiting" not in text_of(page)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (running(state="scoring", phase="evaluating", done=2, total=9), "being scored: evaluating 2 of 9"),
        (running(phase="evaluating", done=1, total=3), "epoch 6 of 24; evaluating 1 of 3"),
        (running(training=None, phase="decoding the images"), "Before the first step: decoding the images"),
        (running(state="stages"), "Step 60 of 240"),
        (
            running(state="over", outcome="stopped by SIGTERM after step 60 [I075]"),
            "Stopped at step 60: stopped by SIGTERM",
        ),
    ],
)
def test_every_state_is_said(status: RunStatus, said: str, folder: Path):
    write_status(folder, status)
    assert said in text_of(render_live_page(folder, 1000.0))


def test_names_from_files_stay_text_and_nothing_is_loaded(folder: Path):
    write_status(folder, running())
    page = render_live_page(folder, 1000.0)
    assert EVIL not in page
    assert "run &lt;b&gt;1" in page
    assert "default-src 'none'" in page
    urls = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {url.partition(":")[0] for url in urls if not url.startswith("#")} == {"data"}


def test_a_run_of_an_earlier_version_has_its_curves(tmp_path: Path):
    run = tmp_path / "run"
    write_run_folder(run, steps=30)
    page = render_live_page(run, time.time())
    data, said = data_of(page), text_of(page)
    assert data["refresh"] is None
    assert len(data["curves"]["steps"]["loss"]) == 30
    assert data["moments"] == []
    assert 'value="time"' not in page  # nobody has recorded times
    assert "first batch" not in said
    assert "pixelwise resume" in said


def test_imported_weights_were_not_trained(tmp_path: Path):
    write_recipe(tmp_path, recipe("enet-camvid"))
    page = render_live_page(tmp_path, time.time())
    assert "Nothing has been trained here yet" in text_of(page)
    assert data_of(page)["curves"]["steps"]["step"] == []


def test_a_finished_run_can_only_be_trained_longer(tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    resolved = apply_overrides(recipe("enet-camvid"), ["schedule.epochs=30"])
    write_recipe(run, resolved)
    append_log(run, [StepRecord(step=1, epoch=1, loss=1, lr=1), FinishedRecord(step=1, seconds=2)])
    page = render_live_page(run, time.time())
    assert "Finished after step 1; not scored yet" in text_of(page)
    assert f"pixelwise resume {run} schedule.epochs=60" in text_of(page)


def test_commands_are_quoted_for_a_shell(tmp_path: Path):
    resolved = apply_overrides(recipe("enet-camvid"), ["schedule.epochs=none", "schedule.iterations=5"])
    found = commands(tmp_path / "my run", resolved, Log(), RunStatus(), live=False)
    assert [one.text for one in found] == [
        f"pixelwise resume '{tmp_path}/my run'",
        f"pixelwise resume '{tmp_path}/my run' schedule.iterations=10",
    ]


def test_stages_have_their_own_pages_and_are_named(folder: Path):
    write_status(folder, running(state="stages", training=None))
    stage = folder / "stages" / "first"
    write_recipe_of_stage(stage)
    write_status(stage, running())
    write_live_pages(folder)
    assert "stages/first/live.html" in (folder / "live.html").read_text("utf-8")
    assert data_of((stage / "live.html").read_text("utf-8"))["refresh"] == 10
    write_status(folder, running(state="over"))
    assert is_live(folder, 1000.0)
    write_status(stage, running(state="over"))
    assert not is_live(folder, 1000.0)
    write_live_pages(folder)
    assert data_of((stage / "live.html").read_text("utf-8"))["refresh"] is None


def write_recipe_of_stage(stage: Path) -> None:
    stage.mkdir(parents=True)
    write_recipe(stage, recipe("enet-camvid"))


def test_a_run_that_is_known_to_go_on_does(folder: Path):
    write_status(folder, running(state="over", outcome="finished"))
    assert data_of(render_live_page(folder, 1000.0, going_on=True))["refresh"] == 10


def test_a_picture_that_has_gone_is_left_out(folder: Path):
    write_status(folder, running())
    path = folder / "pictures" / "batch-1.webp"
    content = path.read_bytes()
    path.unlink()
    page = render_live_page(folder, 1000.0)
    path.write_bytes(content)
    assert page.count("Augmented image") == 1


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError) as caught:
        write_live_pages(tmp_path)
    assert caught.value.code == "K420"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "under a minute"),
        (59, "under a minute"),
        (150, "about 2 min"),
        (151, "about 3 min"),
        (7500, "about 2 h 5 min"),
    ],
)
def test_time_that_is_only_expected_is_rounded(seconds: float, said: str):
    assert left(seconds) == said
