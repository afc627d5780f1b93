import csv
import io
import json

import pytest
from reports.zoo_cases import make_recipe, make_result, make_zoo

from pixelwise.reports.zoo.text import plain_text, record, render_csv, render_json, render_markdown

RECIPE = make_recipe()


@pytest.fixture(scope="module")
def zoo():
    return make_zoo(make_result(RECIPE, 59.456))


def test_markdown_keeps_links_marks_and_alignment_and_escapes_the_rest(zoo):
    text = render_markdown([zoo])
    assert "| model | input | GMACs | mIoU | model | *recipe* | *parameters (M)* |" in text
    assert "| :-- | :-: | --: | --: | :-- | :-- | --: | --: | --: | :-- |" in text
    assert (
        "| [Net\\*](https://a.b/c) | 480x360 | 2.1 | 60.00<sup>1</sup> | ckpt\\|x | `row-1` | 0.001 | "
        "2.001 <sup>a</sup> | 59.46 | reproduced |"
    ) in text
    assert "\\*- <sup>1</sup> At \\<b>half\\</b> size, see https://x.y/z." in text
    assert "#### On roads<sup>1</sup>" in text
    assert "| **- Small ones** |" in text


def test_every_row_of_a_markdown_table_has_as_many_cells(zoo):
    tables = [block.splitlines() for block in render_markdown([zoo]).split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    for lines in tables:
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_markdown_counts_states_per_page_and_lists_footnotes(zoo):
    text = render_markdown([zoo])
    assert "| [000](#page-000) A page | 2 | 1 |  |  | 1 |" in text
    assert all(f"- <sup>{letter}</sup> {note}" in text for letter, note in zoo.footnotes)
    assert "- **reproduced**: " in text


def test_markdown_puts_measured_classes_below_the_published_ones(zoo):
    assert "| IoU (%) | 91.0 | 80.5 |\n| *measured* | 90.0 | - |" in render_markdown([zoo])
    assert "*measured* |" not in render_markdown([make_zoo()]).replace("*measured mIoU (%)*", "")


def test_json_holds_the_content_and_one_record_per_row(zoo):
    page = json.loads(render_json([zoo]))["pages"][0]
    assert [block["kind"] for block in page["content"]] == ["heading", "heading", "table", "per_class", "paragraph"]
    assert page["content"][2]["rows"] == ["- Small ones", {"recipe": "row-1"}, "-", {"recipe": "row-2"}]
    assert [row["recipe"] for row in page["rows"]] == ["row-1", "row-2", "later"]
    first = page["rows"][0]
    assert first["printed"] == ["Net*", "480x360", "2.1", "60.00", "ckpt|x"]
    assert first["links"] == ["https://a.b/c"]
    assert (first["published_miou_percent"], first["original_gmacs"], first["counted_gmacs"]) == (60.0, 2.0, 2.001)
    assert (first["counted_parameters"], first["counted_height"], first["counted_width"]) == (1000, 360, 480)
    assert first["measured_miou_percent"] == pytest.approx(59.456)
    assert (first["measured_runs"], first["measured_sources"]) == (1, ["a.json"])
    assert first["state"] == "reproduced"
    assert first["per_class"][1] == {"class": "Road", "published_percent": 80.5, "measured_percent": None}
    assert page["rows"][1]["published_miou_percent"] is None


def test_csv_has_the_pages_own_columns_and_everything_else(zoo):
    lines = list(csv.DictReader(io.StringIO(render_csv([zoo]))))
    assert [line["recipe"] for line in lines] == ["row-1", "row-2", "later"]
    first = lines[0]
    assert (first["printed: model"], first["printed: model (2)"], first["printed: mIoU"]) == ("Net*", "ckpt|x", "60.00")
    assert (first["group"], first["section"], first["on_page"]) == ("Small ones", "Models / On roads", "true")
    assert float(first["measured_miou_percent"]) == pytest.approx(59.456)
    assert first["per_class"] == "Sky 91.0 (90.00); Road 80.5"
    assert lines[2]["printed: Published elsewhere"] == "somebody/something@1"
    fields = set(record(zoo.rows()[0])) - {"printed"}
    assert fields <= set(first)


def test_plain_text_drops_marks_and_addresses():
    assert plain_text("[CamVid](http://x) 53.12<sup>3</sup> ") == "CamVid 53.12"
