import re
from pathlib import Path

import pytest
from asking import Browser
from reports.live.scenes import running, write_scene, write_status

import pixelwise
from pixelwise.pages.app import application
from pixelwise.recipes.overrides import to_toml
from pixelwise.records.log import EvaluationRecord, StepRecord, append_log


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    run = tmp_path / "run <b>"
    run.mkdir()
    (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
    write_scene(run)
    write_status(run, running())
    ious = (0.5, *[0.25] * 10)
    append_log(
        run,
        [
            StepRecord(step=40, epoch=1, loss=0.75, lr=0.1),
            EvaluationRecord(step=40, split="val", protocol="native", miou=0.375, per_class_iou=ious),
        ],
    )
    asking = Browser(application([tmp_path], "t"))
    asking.get("/?token=t")
    return asking


@pytest.fixture
def address(browser: Browser) -> str:
    """Where the list of runs leads."""
    text = browser.get("/runs").text
    part = text[text.index('id="under-way"') :]
    assert "badge running" in part
    assert "step 60 of 240" in part
    assert "37.50 %" in part
    assert "Not scored" not in text
    return re.findall(r'href="(/live/\w+)"', part)[0]


def test_the_last_state_is_shown_without_scripts(browser: Browser, address: str):
    text = browser.get(address).text
    for part in ("Step 60 of 240, epoch 6 of 24", "0.75", "37.50", "day/a", "kill -TERM 4711", "here at step 40"):
        assert part in text
    assert "<b>1" not in text
    assert "<style" not in text
    assert " style=" not in text
    assert text.count("<script") == text.count("<script src=")
    assert f"{address}/picture/image-1-step-40.webp" in text


def test_pictures_are_those_of_the_run(browser: Browser, address: str):
    answer = browser.get(f"{address}/picture/image-1.webp")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.body[8:12] == b"WEBP"
    for name in ("pictures.json", "..%2Frecipe.toml", "image-1-step-41.webp"):
        assert browser.get(f"{address}/picture/{name}").status == 404


def test_a_head_request_has_an_end(browser: Browser, address: str):
    answer = browser.get(f"{address}/events", "HEAD")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_strange_addresses_are_nothing(browser: Browser):
    for path in ("/live/nothing", "/live/nothing/events", "/live/nothing/picture/a.webp"):
        assert browser.get(path).status == 404


def test_a_run_leads_to_its_live_page(browser: Browser, address: str):
    assert f'href="{address}"' in browser.get(address.replace("live", "run")).text
