import html.parser
import re

import pytest

from pixelwise.deployment.card.candidates import Shape
from pixelwise.deployment.card.card import CardRow, DeployCard
from pixelwise.machine.facts import Machine
from pixelwise.profiling.latency import Latency
from pixelwise.reports.card.chart import Box, card_charts, place_labels
from pixelwise.reports.card.page import (
    COLUMNS,
    megabytes,
    milliseconds,
    render_html,
    render_json,
    render_markdown,
    table_lines,
    verdict,
    write_card,
)

MACHINE = Machine(
    cpu="A <fast> CPU",
    cores=2,
    threads=1,
    gpu=None,
    memory_bytes=2**34,
    platform="Linux",
    features=("avx2", "amx_int8"),
)


def timed(runtime, *seconds):
    return tuple(
        Latency(
            runtime=runtime, threads=index + 1, batch=1, size=(48, 64), rounds=5, median_seconds=value,
            p99_seconds=2 * value, images_per_second=1 / value, peak_memory_bytes=2**29, loaded_memory_bytes=2**28,
        )
        for index, value in enumerate(seconds)
    )  # fmt: skip


def make_card(budget=0.5, *, labels=True):
    rows = (
        CardRow(name="PyTorch", runtime="torch", precision="float32", size_bytes=1_500_000, miou=0.6, miou_drop=0.0,
                equal_pixels=1.0, latencies=timed("torch", 0.04, 0.03)),
        CardRow(name="ONNX Runtime", runtime="onnx", precision="float32", folder="onnx", size_bytes=1_400_000,
                miou=0.6, miou_drop=-1e-6, equal_pixels=0.9999999, latencies=timed("onnx", 0.02, 0.015)),
        CardRow(name="ONNX Runtime, int8 after training", runtime="onnx", precision="int8", method="ptq",
                folder="onnx-int8-ptq", size_bytes=400_000, miou=0.588, miou_drop=0.012, equal_pixels=0.97,
                latencies=timed("onnx", 0.008, 0.006)),
        CardRow(name="ExecuTorch", runtime="executorch", precision="float32", folder="executorch",
                reason="[R240] the package <x|y> is missing"),
    )  # fmt: skip
    if not labels:
        import msgspec

        rows = tuple(msgspec.structs.replace(row, miou=None, miou_drop=None) for row in rows)
    return DeployCard(
        recipe="town_demo", recipe_hash="ab" * 32, weights_sha256="cd" * 32, weights="ema", source="val of town",
        split="val" if labels else "", protocol="native" if labels else "", images=2, seen_size=(48, 64),
        shape=Shape(size=(48, 64), dynamic=False), threads=(1, 2), rounds=5, max_miou_drop=budget, machine=MACHINE,
        versions={"python": "3.11"}, rows=rows,
    )  # fmt: skip


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


def test_there_is_a_chart_per_number_of_threads_with_ids_of_its_own():
    charts = card_charts(make_card())
    assert [chart.title for chart in charts] == [
        "mIoU against latency, 1 thread",
        "mIoU against latency, 2 threads",
    ]
    assert "fastest ONNX Runtime, int8 after training, 8 ms at 58.80 %" in charts[0].summary
    for name in ("PyTorch", "ONNX Runtime", "ONNX Runtime, int8 after training"):
        assert f">{name}</text>" in charts[0].svg
    ids = re.findall(r' id="([^"]+)"', charts[0].svg + charts[1].svg)
    assert len(ids) == len(set(ids))
    assert card_charts(make_card(None, labels=False)) == []


def test_a_card_without_labels_says_so():
    text = render_markdown(make_card(None, labels=False))
    assert "no labels" in text
    assert "Without labels" in render_html(make_card(None, labels=False))


def test_labels_cover_neither_each_other_nor_a_point():
    places = [(100.0 + 3 * index, 80.0 + index % 2) for index in range(7)]
    texts = ["ONNX Runtime, int8"] * len(places)
    area, font = Box(0, 0, 450, 240), 8.5
    found = place_labels(places, texts, area, font)
    boxes = [Box(x, y - 0.6 * font, x + 0.6 * font * 18, y + 0.6 * font) for x, y in found]
    points = [Box(x - font / 2, y - font / 2, x + font / 2, y + font / 2) for x, y in places]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in [*boxes[:index], *points])
        assert box.left >= 0
        assert box.right <= 450
        assert box.bottom >= 0
        assert box.top <= 240


def test_a_lonely_label_stands_right_of_its_point_or_left_where_the_chart_ends():
    area = Box(0, 0, 300, 100)
    ((x, y),) = place_labels([(50, 50)], ["name"], area)
    assert x > 50
    assert y == 50
    ((x, y),) = place_labels([(295, 50)], ["name"], area)
    assert x < 280
    assert y == 50


def test_numbers_are_written_with_what_they_are_worth():
    assert [milliseconds(value) for value in (0.00123456, 0.0449, 0.14481, 2.5)] == ["1.23", "44.9", "145", "2500"]
    assert [megabytes(value) for value in (1_496_112, 99_000_000, 250_400_000)] == ["1.50 MB", "99.00 MB", "250 MB"]


def test_three_files_are_written(tmp_path):
    paths = write_card(make_card(), tmp_path)
    assert [path.name for path in paths] == ["card.html", "card.md", "card.json"]
    assert paths[2].read_text() == render_json(make_card())


def test_the_table_on_a_narrow_terminal_loses_nothing():
    import io

    from rich.console import Console

    from pixelwise.reports.card.terminal import print_card

    stream = io.StringIO()
    print_card(make_card(), Console(file=stream, width=80, highlight=False))
    text = stream.getvalue()
    assert "\u2026" not in text
    for cell in (
        "1.50 MB",
        "58.80",
        "1.20!",
        "97.000",
        "40.0",
        "80.0",
        "512 MiB",
        "[R240] the package <x|y> is missing",
    ):
        assert cell in text
