import gzip
import tomllib
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
from asking import Browser
from results import class_result, miniature

from pixelwise.pages.app import application
from pixelwise.pages.assets import STATIC, address_of
from pixelwise.records.result import save_result

STATIC_FOLDER = files("pixelwise.pages").joinpath("static")


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    hostile = '<script>alert("x")</script>'
    classes = (class_result(hostile, 0.5), class_result("b", 0.5))
    for name in ("a", "b"):
        save_result(
            miniature(per_class=classes, recipe=hostile, confusion_matrix=((7, 1), (2, 6))),
            (),
            tmp_path / name / "evaluations" / "val-native",
        )
    asking = Browser(application([tmp_path], "t"))
    asking.get("/?token=t")
    return asking


def test_the_first_page_is_the_leaderboard(browser: Browser):
    assert browser.get("/").headers["location"] == "/runs"
    answer = browser.get("/runs")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.count("75.00") >= 2


def test_names_are_text(browser: Browser):
    text = browser.get("/runs").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_pages_contain_no_script_and_no_style(browser: Browser):
    text = browser.get("/runs").text
    assert "<style" not in text
    assert " style=" not in text
    assert text.count("<script") == text.count("<script src=")


def test_only_known_files_are_static(browser: Browser):
    for name, kind in {**STATIC, "style.css": "text/css"}.items():
        answer = browser.get(f"/static/{name}")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == "no-store"
        assert "immutable" in browser.get(address_of(name)).headers["cache-control"]
        assert browser.get(f"/static/{name}?v=0").headers["cache-control"] == "no-store"
    for name in ("../app.py", "vendored/VENDORED.toml", "pages.css", "", "/etc/passwd", "%2e%2e/app.py"):
        assert browser.get(f"/static/{name}").status == 404


def test_a_strange_address_is_a_page(browser: Browser):
    answer = browser.get("/nowhere")
    assert answer.status == 404
    assert "No page has this address." in answer.text


def test_files_of_others_are_those_that_are_listed():
    folder = STATIC_FOLDER.joinpath("vendored")
    listed = tomllib.loads(folder.joinpath("VENDORED.toml").read_text("utf-8"))
    expected = {name: file["sha256"] for package in listed.values() for name, file in package["files"].items()}
    found = {one.name: sha256(one.read_bytes()).hexdigest() for one in folder.iterdir() if one.name != "VENDORED.toml"}
    assert found == expected
    assert all(package["license_file"] in package["files"] for package in listed.values())


def test_all_scripts_together_are_small():
    scripts = [name for name in STATIC if name.endswith(".js")]
    size = sum(len(gzip.compress(STATIC_FOLDER.joinpath(*name.split("/")).read_bytes())) for name in scripts)
    assert 10_000 < size < 150_000
