from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import math
import re
import shutil

import msgspec
import pytest
from reports.run_folders import EVIL, write_run_folder
from reports.two_classes import write_two_class_run

from pixelwise.errors import CheckpointError
from pixelwise.records.standing import Standing
from pixelwise.reports.run.page import render_report, write_report
from pixelwise.reports.run.records import read_run


class Page(html.parser.HTMLParser):
    """Start tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self._inside != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def source(finished_run) -> str:
    return write_report(finished_run).read_text("utf-8")


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_report_lies_in_the_run_folder(finished_run, source):
    assert (finished_run / "report.html").is_file()
    assert source.startswith("<!doctype html>")


def test_the_headline_is_the_score_with_split_and_protocol(finished_run, page):
    result = read_run(finished_run).evaluations[0].result
    text = words(page.text)

    assert f"{100 * result.miou:.2f} % mIoU" in text
    assert "on test, protocol camvid-480x360" in text


def test_the_published_value_stands_beside_ours(finished_run, page):
    result = read_run(finished_run).evaluations[0].result
    difference = f"{100 * result.miou - 53.12:+.2f}".replace("-", "\u2212")

    assert "53.12" in page.text
    assert f"{difference} points against PyTorch-ENet" in words(page.text)


def test_a_number_under_another_protocol_is_not_compared(finished_run, tmp_path):
    write_run_folder(tmp_path / "run", changes={"protocol": "native"})

    text = words(Page(write_report(tmp_path / "run").read_text()).text)

    assert "protocol native" in text
    assert "with protocol camvid-480x360" in text
    assert "points against" not in text


def test_the_embedded_json_is_the_result(finished_run, page):
    embedded = [text for attributes, text in page.scripts if attributes.get("id") == "result"]

    expected = (finished_run / "evaluations" / "test-camvid-480x360" / "result.json").read_text()
    assert json.loads(embedded[0]) == json.loads(expected)


def test_file_names_stay_text(source, page):
    assert "<img src=x" not in source
    assert EVIL.replace("/", "_") in page.text
    assert not any("onerror" in attributes for _, attributes in page.tags)


def test_every_picture_has_a_description(page):
    images = [attributes for attributes in page.all("img") if (attributes.get("class") or "").startswith("layer")]

    assert len(images) == 4 * 5
    assert all(attributes["alt"] for attributes in images)
    # The name beside a small picture says all, and the viewer fills its picture in.
    others = [attributes for attributes in page.all("img") if attributes not in images]
    assert len(others) == 4 + 1
    assert all(attributes["alt"] == "" for attributes in others)
    svgs = [attributes for attributes in page.all("svg") if attributes.get("aria-hidden") != "true"]
    assert len(svgs) == 4
    assert all(attributes["aria-label"] for attributes in svgs)


def test_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]

    assert len(ids) == len(set(ids))


def test_every_link_leads_to_a_section(page):
    ids = {attributes.get("id") for _, attributes in page.tags}

    for link in page.all("a"):
        assert link["href"] is not None
        assert link["href"][0] == "#"
        assert link["href"][1:] in ids


def test_nothing_is_loaded_from_anywhere(source, page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert not value or value.startswith(("data:", "#")), (tag, name, value[:60])
    assert "@import" not in source
    assert "url(http" not in source


def test_only_the_pages_own_script_may_run(page):
    (policy,) = [
        attributes["content"]
        for attributes in page.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    code = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    digest = base64.b64encode(hashlib.sha256(code[0].encode()).digest()).decode()

    assert len(code) == 1
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_commands_findings_and_remarks_are_told(page):
    text = words(page.text)

    assert "pixelwise train enet-camvid --data town --output enet-camvid-1" in text
    assert "pixelwise evaluate enet-camvid-1 --split test --protocol camvid-480x360" in text
    assert "W210 class hut is rare add images" in text
    assert "W501 step 31 changed nothing" in text
    assert "1 367 train" in text
    assert "#notes" in [link["href"] for link in page.all("a")]


def test_a_run_without_scores_says_so(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "evaluations")

    page = Page(write_report(tmp_path / "run").read_text())

    assert "#classes" not in [link["href"] for link in page.all("a")]
    assert "pixelwise evaluate" in page.text
    assert "Training loss" in page.text
    assert not page.all("img")


def test_a_run_that_has_only_begun_has_a_report(finished_run, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(finished_run / "recipe.toml", tmp_path / "run")

    page = Page(write_report(tmp_path / "run").read_text())

    assert "#classes" not in [link["href"] for link in page.all("a")]
    assert "pixelwise evaluate" in page.text
    assert "audit before training" not in page.text


def test_scores_without_pictures_have_a_report(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "evaluations" / "test-camvid-480x360" / "samples")

    page = Page(write_report(tmp_path / "run").read_text())

    assert not [attributes for attributes in page.all("img") if (attributes.get("class") or "").startswith("layer")]
    assert "The lowest, median and best" not in page.text
    assert "Confusion" in page.text


def test_results_of_earlier_versions_have_a_report(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    for name in ("images.jsonl", "thumbnails.zip", "suspects.csv"):
        (tmp_path / "run" / "evaluations" / "test-camvid-480x360" / name).unlink()

    page = Page(write_report(tmp_path / "run").read_text())

    targets = {link["href"] for link in page.all("a")}
    assert "#images" in targets
    assert not {"#errors", "#suspects"} & targets
    assert len([button for button in page.all("button") if button.get("class") == "card"]) == 4
    assert "data-cell" not in {name for _, attributes in page.tags for name in attributes}


def test_what_to_do_next_is_said_once_a_run_has_finished(finished_run):
    run = read_run(finished_run)
    finished = msgspec.structs.replace(run, standing=Standing(state="finished", step=60, steps=60, saved=60))

    text = words(Page(render_report(finished)).text)

    assert "What next" not in words(Page(render_report(run)).text)
    assert "What next" in text
    assert "only 4 images of test were scored" in text


def test_scores_of_other_data_say_nothing_about_what_next(finished_run):
    run = read_run(finished_run)
    (one,) = run.evaluations
    other = msgspec.structs.replace(one, result=msgspec.structs.replace(one.result, own_data=False))
    standing = Standing(state="finished", step=60, steps=60, saved=60)

    page = render_report(msgspec.structs.replace(run, standing=standing, evaluations=(other,)))

    assert "What next" not in page


def test_classes_have_their_colours_beside_their_names(source):
    first = source.index('<table class="classes">')
    table = source[first : source.index("</table>", first)]

    assert table.count('class="swatch official"') == table.count('class="swatch safe"') == 4
    assert "background:#008000" in table


def test_every_image_is_listed_with_its_numbers(page):
    text = words(page.text)

    assert len([button for button in page.all("button") if button.get("class") == "card"]) == 4
    assert "All scored images, the lowest mIoU first." in text
    assert "worst: " in text


def test_errors_suspects_and_curves_are_told(page):
    text = words(page.text)

    assert "% of the wrong pixels are within 5 px of a border between two classes" in text
    assert "1 region in 1 image, of all 4 images that were searched." in text
    assert "IoU per class" in text
    labels = [attributes.get("aria-label") or "" for attributes in page.all("figure")]
    assert any(label.startswith("IoU of grass: ") for label in labels)


@pytest.mark.heavy
def test_too_many_thumbnails_are_files_beside_the_page(finished_run, tmp_path, monkeypatch):
    run = shutil.copytree(finished_run, tmp_path / "run")
    monkeypatch.setattr("pixelwise.reports.run.atlas.THUMBNAIL_BYTES", 10)

    page = Page(write_report(run).read_text())

    sources = [attributes["src"] for attributes in page.all("img") if attributes.get("class") == "thumbnail"]
    assert len(sources) == 4
    assert all((run / (source or "")).is_file() for source in sources)
    assert "report_files" in page.text

    monkeypatch.undo()
    assert "report_files" not in write_report(run).read_text()
    assert not (run / "report_files").exists()


def test_a_recipe_without_published_value_has_no_comparison(tmp_path):
    write_run_folder(tmp_path / "run", base="town-demo")

    text = Page(write_report(tmp_path / "run").read_text()).text

    assert "published" not in text.replace("published.", "")


def test_scores_that_do_not_exist_are_not_available(finished_run):
    run = read_run(finished_run)
    nothing = msgspec.structs.replace(run.evaluations[0].result, miou=float("nan"), pixel_accuracy=float("nan"))
    changed = msgspec.structs.replace(run, evaluations=(msgspec.structs.replace(run.evaluations[0], result=nothing),))

    text = render_report(changed)

    assert "n/a" in text
    assert "nan" not in re.sub(r"<script.*?</script>|data:[^\"]*", "", text, flags=re.DOTALL)


def test_the_same_folder_gives_the_same_page(finished_run, source):
    assert write_report(finished_run).read_text() == source


def test_the_page_is_small(source):
    assert len(source) < 400_000


def test_a_folder_that_is_no_run_gets_no_report(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        write_report(tmp_path)
    assert caught.value.code == "K420"

    assert not (tmp_path / "report.html").exists()


@pytest.mark.heavy
def test_the_interval_and_further_means_are_shown_where_they_exist(tmp_path):
    write_run_folder(
        tmp_path / "a",
        changes={"miou_interval": (0.5012, 0.5604), "boundary_miou": 0.2547, "calibration_error": 0.0312},
    )
    write_run_folder(tmp_path / "b", changes={"miou_interval": None, "mean_accuracy": math.nan})

    with_them, without = (Page(render_report(read_run(tmp_path / name))).text for name in "ab")

    assert "50.1 to 56.0: 95 %" in with_them
    assert "Boundary mIoU25.47 %" in with_them.replace("\n", "")
    assert "Calibration error3.12 %" in with_them.replace("\n", "")
    for absent in (": 95 %", "Mean accuracy", "Boundary mIoU", "Calibration error"):
        assert absent not in without


def test_thresholds_and_reliability_are_shown_where_they_were_measured(finished_run, page, tmp_path):
    write_two_class_run(tmp_path / "run")

    found = Page(write_report(tmp_path / "run").read_text("utf-8"))

    said = words(found.text)
    assert "Counted on all 3 images. A threshold" in said
    assert "% sure of its class" in said
    data = json.loads(next(text for attributes, text in found.scripts if attributes.get("id") == "thresholds"))
    assert [one["name"] for one in data["classes"]] == ["crack"]
    atlas = json.loads(next(text for attributes, text in found.scripts if attributes.get("id") == "atlas"))
    assert all(list(picture["probabilities"]) == ["1"] for picture in atlas["pictures"])
    assert "#confidence" in [link["href"] for link in found.all("a")]
    assert "Confidence" not in words(page.text)
    assert not any(attributes.get("id") == "thresholds" for attributes, _ in page.scripts)
