import html.parser
import re

import msgspec
import pytest
from reports.card.cards import make_card

from pixelwise.records.environment import Ancestor, Licence
from pixelwise.reports.card.page import (
    COLUMNS,
    megabytes,
    milliseconds,
    remarks,
    render_html,
    render_json,
    render_markdown,
    table_lines,
    verdict,
    write_card,
)


def test_the_table_has_a_line_per_row_and_number_of_threads():
    lines = table_lines(make_card())
    assert [len(line.cells) for line in lines] == [len(COLUMNS)] * 7
    assert [line.first for line in lines] == [True, False, True, False, True, False, True]
    assert [line.continues for line in lines] == [True, False, True, False, True, False, False]
    assert lines[0].cells == (
        "PyTorch", "float32", "1.50 MB", "60.00", "-", "-", "1", "40.0", "80.0", "25", "512 MiB",
    )  # fmt: skip
    assert lines[5].cells[:9] == (
        "ONNX Runtime, int8 after training", "int8", "0.40 MB", "58.80", "1.20", "97.000", "2", "6.00", "12.0",
    )  # fmt: skip
    assert lines[6].cells[2:] == ("-",) * 9


def test_rounding_neither_hides_a_difference_nor_makes_a_minus_zero():
    onnx = table_lines(make_card())[2].cells
    assert onnx[4] == "0.00"
    assert onnx[5] == "99.999"


@pytest.mark.parametrize(
    ("budget", "words"), [(None, ""), (1.5, "Within the budget"), (0.5, "Over the budget of 0.5 points of mIoU: ONNX")]
)
def test_the_verdict_says_whether_the_budget_holds(budget, words):
    assert verdict(make_card(budget)).startswith(words)
    assert (verdict(make_card(budget)) == "") is (budget is None)


def test_markdown_holds_the_table_the_reasons_and_the_hardware():
    text = render_markdown(make_card())
    table = [line for line in text.splitlines() if re.search(r"\| (float32|int8) \|", line)]
    assert len(table) == 7
    assert text.startswith("# Deploy card: town\\_demo\n")
    assert "| **1.20** |" in text
    assert "- ExecuTorch: [R240] the package \\<x\\|y> is missing" in text
    assert "A \\<fast> CPU, 2 cores, 16.0 GiB" in text
    assert "| avx2, amx\\_int8 |" in text
    # No bar inside a cell adds a column.
    for line in table:
        assert len(re.findall(r"(?<!\\)\|", line)) == len(COLUMNS) + 1


class Tags(html.parser.HTMLParser):
    """Start tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page_loads_nothing_and_escapes_everything():
    source = render_html(make_card())
    tags = Tags(source).tags
    assert not {tag for tag, _ in tags} & {"script", "img", "iframe", "object"}
    assert [attributes["href"] for tag, attributes in tags if tag == "link"] == ["data:,"]
    assert "default-src 'none'" in source
    assert "@import" not in source
    assert "the package &lt;x|y&gt; is missing" in source
    assert "A &lt;fast&gt; CPU" in source


def test_every_line_of_the_page_has_as_many_cells_as_headings():
    table = render_html(make_card()).split("<table")[1].split("</table>")[0]
    head, *rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    assert head.count("<th ") == len(COLUMNS)
    assert len(rows) == 7
    for row in rows:
        spans = sum(int(span) - 1 for span in re.findall(r'colspan="(\d+)"', row))
        assert row.count("<td") + row.count("<th ") + spans == len(COLUMNS)
    assert table.count(" over") == 1


def test_a_card_without_labels_says_so():
    card = make_card(None, labels=False)
    assert "mIoU in PyTorch" not in render_html(card)
    assert len(remarks(card)) == len(remarks(make_card(None))) + 1


def test_numbers_are_written_with_what_they_are_worth():
    assert [milliseconds(value) for value in (0.00123456, 0.0449, 0.14481, 2.5)] == ["1.23", "44.9", "145", "2500"]
    assert [megabytes(value) for value in (1_496_112, 99_000_000, 250_400_000)] == ["1.50 MB", "99.00 MB", "250 MB"]


def test_what_the_weights_were_derived_from_stands_beside_their_licence():
    teacher = Ancestor(recipe="large", step=9, weights_sha256="ef" * 32, licence="CC-BY-NC-4.0")
    licence = Licence(weights="unknown", code="MIT", derived_from=(teacher,))
    card = msgspec.structs.replace(make_card(), licence=licence)
    words = f"large, step 9, SHA-256 {'ef' * 8}, licence CC-BY-NC-4.0"
    assert f"| Derived from | {words} |" in render_markdown(card)
    assert words in render_html(card)
    assert msgspec.json.decode(render_json(card))["licence"]["derived_from"][0]["licence"] == "CC-BY-NC-4.0"
    assert "Derived from" not in render_markdown(make_card())


def test_three_files_are_written(tmp_path):
    paths = write_card(make_card(), tmp_path)
    assert [path.name for path in paths] == ["card.html", "card.md", "card.json"]
    assert paths[2].read_text() == render_json(make_card())
