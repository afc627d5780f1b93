from __future__ import annotations

import io
import math

import msgspec
import pytest
from reports.run_folders import write_run_folder
from rich.console import Console

from pixelwise.records.result import Result
from pixelwise.records.scores import GroupResult, MetricResult, MetricValue
from pixelwise.reports.run.metrics import amount, class_columns, further_values, group_values
from pixelwise.reports.run.tables import class_rows, group_headings, group_rows
from pixelwise.reports.run.terminal import group_line, result_table

DISTANCE = MetricResult(
    title="mean distance", class_title="Distance", unit="px", value=4.2, per_class=(1.0, 2.5, 9.1, math.nan)
)
DICE = MetricResult(title="mean Dice", class_title="Dice", unit="%", value=0.5312, per_class=(0.1, 0.2, 0.3, 0.4))
SPREAD = MetricResult(title="spread", unit="%", interval=(0.25, 0.5))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return write_run_folder(tmp_path_factory.mktemp("runs") / "x", names=("a", "b"))


@pytest.fixture
def result(bare: Result) -> Result:
    groups = (
        GroupResult(
            name="north",
            images=1,
            miou=0.5,
            pixel_accuracy=0.75,
            iou=(0.5, None, None, None),
            metrics={"distance": MetricValue(value=3.0), "boundary_iou": MetricValue(value=0.125)},
        ),
        GroupResult(name="south", images=3, miou=0.25, pixel_accuracy=0.5, iou=(0.25, 0.25, None, None)),
    )
    metrics = {"distance": DISTANCE, "dice": DICE, "spread": SPREAD}
    return msgspec.structs.replace(bare, metrics=metrics, groups=groups, boundary_miou=0.25)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5312, "%", "53.12"),
        (4.2, "px", "4.20 px"),
        (0.5, "", "0.50"),
        (math.nan, "px", "n/a"),
        (math.nan, "%", "n/a"),
    ],
)
def test_fractions_are_percent_and_other_numbers_have_their_unit(value: float, unit: str, text: str):
    assert amount(value, unit) == text


def test_what_was_measured_is_shown_whichever_metric_it_is(result: Result):
    shown = {one.title: one.text for one in further_values(result)}
    assert shown["boundary mIoU"] == "25.00"
    assert shown["mean distance"] == "4.20 px"
    assert shown["mean Dice"] == "53.12"
    assert shown["spread"] == "25.00 to 50.00"
    assert "calibration error" not in shown
    assert {one.with_unit for one in further_values(result)} >= {"25.00 %", "4.20 px", "53.12 %"}


def test_an_interval_stands_beside_its_value(bare: Result):
    metric = MetricResult(title="x", unit="px", value=2.0, interval=(1.0, 3.0))
    changed = msgspec.structs.replace(bare, metrics={"x": metric})
    assert further_values(changed)[-1].text == "2.00 px (1.00 px to 3.00 px)"


def test_columns_are_in_the_order_of_class_ids(result: Result):
    distance, dice = class_columns(result)
    assert (distance.title, distance.cells) == ("Distance", ("1.00 px", "2.50 px", "9.10 px", "n/a"))
    assert (dice.title, dice.cells[0]) == ("Dice", "10.00")


def test_groups_show_titles_of_the_result_and_of_our_own_metrics(result: Result):
    north, south = result.groups
    assert [(one.title, one.text) for one in group_values(result, north)] == [
        ("mean distance", "3.00 px"),
        ("boundary mIoU", "12.50"),
    ]
    assert group_values(result, south) == []
    assert group_line(result, north) == (
        "north: mIoU 50.00 (1 of 4 classes)  pixel accuracy 75.00  mean distance 3.00 px  boundary mIoU 12.50  1 image"
    )


def test_a_metric_that_nobody_knows_any_more_is_shown_by_its_name(result: Result):
    stranger = msgspec.structs.replace(result.groups[0], metrics={"lost": MetricValue(value=0.5)})
    assert [(one.title, one.text) for one in group_values(result, stranger)] == [("lost", "50.00")]


def test_the_report_has_a_row_per_group_and_a_cell_per_metric(result: Result):
    assert group_headings(result) == ["mean distance", "boundary mIoU"]
    north, south = group_rows(result)
    assert (north.name, north.images, north.miou, north.classes) == ("north", "1", "50.00", "1 of 4")
    assert (north.further, south.further) == (("3.00 px", "12.50"), ("n/a", "n/a"))
    # Classes are sorted by IoU there, so each is found by its name.
    rows = {row.name: row.further for row in class_rows(result)}
    assert rows["grass"] == ("1.00 px", "10.00")
    assert rows["hut"] == ("n/a", "40.00")


# The columns that are always there take 51 characters, and each further one 2 more than its widest cell.
@pytest.mark.parametrize(
    ("width", "shown"),
    [(57, ()), (58, ("Dice",)), (61, ("Distance",)), (68, ("Distance", "Dice")), (120, ("Distance", "Dice"))],
)
def test_the_terminal_shows_the_columns_that_fit_and_cuts_no_number(result: Result, width: int, shown: tuple[str, ...]):
    headings = [str(column.header) for column in result_table(result, width).columns]
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(result_table(result, width))
    assert tuple(heading for heading in headings if heading in ("Distance", "Dice")) == shown
    assert ("9.10 px" in stream.getvalue()) == ("Distance" in shown)
    assert "…" not in stream.getvalue() or width == 120  # the worst image's name may be cut, numbers never are
