import re
from pathlib import Path

import pytest
from asking import Browser
from runs_to_show import CLASSES, COUNTS, shown_run

import pixelwise
from pixelwise.pages.app import application
from pixelwise.recipes.overrides import to_toml


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    for name, miou in (("a", 0.75), ("b", 0.5)):
        run = shown_run(tmp_path / "runs" / name, miou)
        (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
    asking = Browser(application([tmp_path / "runs"], "t"))
    asking.get("/?token=t")
    return asking


@pytest.fixture
def ids(browser: Browser) -> list[str]:
    """Ids of a and b."""
    return re.findall(r'<th scope="row"><a href="/run/(\w+)">', browser.get("/runs").text)


def test_every_page_is_useful_alone(browser: Browser, ids: list[str]):
    first, second = ids
    expected = {
        f"/run/{first}": "75.00",
        f"/run/{first}/errors": "Invented segment",
        f"/run/{first}/images": "2 of 2 images",
        f"/run/{first}/images?class=0": "0 of 2 images",  # their IoU was not stored
        f"/run/{first}/cell/0-1": "500 px",
        f"/run/{first}/cell/0-1/1": "400 px",
        f"/run/{first}/image/0": "75.00 % mIoU",
        f"/compare/{first}/{second}": "+25.00",
        f"/compare/{first}/{second}/image/1": "+25.00 points of mIoU",
    }
    for address, text in expected.items():
        answer = browser.get(address)
        assert answer.status == 200, address
        assert text in answer.text, address
        assert CLASSES[0] not in answer.text, address  # markup in the name of a class
        assert " style=" not in answer.text, address
        assert answer.text.count("<script") == answer.text.count("<script src="), address
    assert browser.get(f"/run/{first}").text.count("&lt;b&gt;grass&lt;/b&gt;") > 1


def test_a_cell_of_the_matrix_leads_to_exactly_that_confusion(browser: Browser, ids: list[str]):
    links = re.findall(r'href="(/run/\w+/cell/[\d-]+)"', browser.get(f"/run/{ids[0]}").text)
    assert set(links) == {f"/run/{ids[0]}/cell/0-1"}
    text = browser.get(links[0]).text
    # The image with most of these pixels comes first.
    assert re.findall(r'class="id" href="/run/\w+/image/(\d+)"', text) == ["1", "0"]
    assert re.findall(r"(\d+) px", browser.get(f"{links[0]}/1").text) == [str(COUNTS["two"])]


def test_pictures(browser: Browser, ids: list[str]):
    kinds = {
        "image/0/photo": "image/jpeg",
        "image/0/truth": "image/png",
        "image/0/prediction": "image/png",
        "image/0/errors": "image/png",
        "crop/0-1/0/0": "image/jpeg",
        "crop/invented/1/0": "image/jpeg",
        "thumbnail/0": "image/svg+xml",
    }
    for path, kind in kinds.items():
        answer = browser.get(f"/run/{ids[0]}/{path}")
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, kind), path


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "image/2",
        "image/-1",
        "image/0/../../x",
        "image/0/secret",
        "image/9/photo",
        "cell/0-2",
        "cell/2-0",
        "cell/0-x",
        "crop/0-1/0/9",
        "crop/0-9/0/0",
        "crop/0/0/0",
        "crop/..-1/0/0",
        "crop/wrong/0/0",
    ],
)
def test_what_is_not_there_is_not_found(browser: Browser, ids: list[str], path: str):
    assert browser.get(f"/run/{ids[0]}/{path}").status == 404


@pytest.mark.parametrize("id", ["..", "%2e%2e", "a", "0" * 12, "/etc"])
def test_ids_that_are_unknown_are_not_found(browser: Browser, id: str):
    assert browser.get(f"/run/{id}").status == 404
    assert browser.get(f"/compare/{id}/{id}").status == 404


def test_a_damaged_file_is_a_page_that_says_so(browser: Browser, ids: list[str], tmp_path: Path):
    (tmp_path / "runs" / "a" / "evaluations" / "val-native" / "images.jsonl").write_text("{")
    answer = browser.get(f"/run/{ids[0]}")
    assert answer.status == 422
    assert "not a list of images" in answer.text
    assert "<code>pixelwise evaluate</code>" in answer.text
