from __future__ import annotations

import io
import math

import msgspec
import pytest
from reports.run_folders import write_run_folder
from rich.console import Console

from pixelwise.reports.run.terminal import further_totals, other_conventions, print_result, totals


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return write_run_folder(tmp_path_factory.mktemp("runs") / "x", names=("a", "b"))


def printed(result, width: int = 100) -> str:
    stream = io.StringIO()
    print_result(result, Console(file=stream, width=width, force_terminal=False))
    return stream.getvalue()


def with_class(result, **changes):
    first, *rest = result.per_class
    return msgspec.structs.replace(result, per_class=(msgspec.structs.replace(first, **changes), *rest))


def test_every_class_has_a_row_with_its_numbers(result):
    lines = printed(with_class(result, iou=0.9615, accuracy=0.5, precision=0.25, images=2)).splitlines()

    assert lines[0].split()[:4] == ["class", "IoU", "accuracy", "precision"]
    assert [line.split()[0] for line in lines[1:5]] == ["grass", "path", "pond", "hut"]
    assert lines[1].split()[1:4] == ["96.15", "50.00", "25.00"]


def test_the_last_line_says_everything_about_the_mean(result):
    absent = msgspec.structs.replace(result.per_class[3], pixels=0, iou=math.nan)
    classes = (*result.per_class[:3], absent)
    changed = msgspec.structs.replace(result, miou=0.648, per_class=classes, images_per_second=31.24)

    assert totals(changed) == (
        f"mIoU 64.80 (3 of 4 classes)  pixel accuracy {100 * result.pixel_accuracy:.2f}  "
        "test, camvid-480x360, 2 images, 31.2 img/s"
    )


def test_a_class_without_iou_is_not_available(result):
    text = printed(
        with_class(result, iou=float("nan"), accuracy=float("nan"), precision=float("nan"), worst_image=None)
    )

    assert text.splitlines()[1].split()[:4] == ["grass", "n/a", "n/a", "n/a"]


def test_conventions_of_other_pages_are_shown_where_their_number_is_another(result):
    # IoU 3/4 and 4/5; the third class occurs nowhere.
    matrix = ((3, 1, 0), (0, 4, 0), (0, 0, 0))
    left_out = msgspec.structs.replace(result, confusion_matrix=matrix, miou=0.775)
    line = other_conventions(left_out)
    assert line.endswith(": united-perception 51.67, edgeai 51.67")
    assert line in printed(left_out)
    zero = other_conventions(msgspec.structs.replace(left_out, miou=1.55 / 3))
    assert zero.endswith(": cityscapes 77.50, pytorch-enet 77.50, sssegmentation 77.50")
    assert other_conventions(msgspec.structs.replace(result, confusion_matrix=((3, 1), (0, 4)), miou=0.775)) == ""


def test_a_class_in_one_image_is_marked(result):
    lines = printed(with_class(result, images=1)).splitlines()

    assert "1 !" in lines[1]
    assert any(line.startswith("! ") for line in lines)


def test_a_class_in_several_images_is_not_marked(result):
    assert "!" not in printed(with_class(result, images=2))


def test_names_are_text_and_no_markup(result):
    text = printed(with_class(result, name="[red]x[/red]\x1b[31m", worst_image="[bold]\n.png"))

    assert "[red]x[/red]\\x1b[31m" in text
    assert "[bold]\\n.png" in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_narrow_terminal_shortens_image_names_but_no_number(result, width):
    text = printed(with_class(result, worst_image="sequence/" * 20), width)

    assert len(text.splitlines()[1]) <= width
    assert f"{100 * result.per_class[1].iou:.2f}" in text


def test_nothing_labelled_is_no_division_by_zero(result):
    empty = tuple(msgspec.structs.replace(entry, pixels=0) for entry in result.per_class)

    assert "grass" in printed(msgspec.structs.replace(result, per_class=empty))


def test_further_numbers_follow_where_they_were_measured(result):
    nothing = dict.fromkeys(("mean_accuracy", "frequency_weighted_iou", "boundary_miou", "calibration_error"), math.nan)
    bare = msgspec.structs.replace(result, miou_interval=None, **nothing)

    assert further_totals(bare) == ""
    changed = msgspec.structs.replace(bare, miou_interval=(0.501, 0.5604), boundary_miou=0.25)
    assert further_totals(changed) == "mIoU 95 % over images 50.10 to 56.04  boundary mIoU 25.00"
    assert printed(changed).splitlines()[6].startswith("mIoU 95 % over images 50.10")
    videos = msgspec.structs.replace(changed, drawn=36, images=900)
    assert further_totals(videos).startswith("mIoU 95 % over 36 series of images 50.10 to 56.04")
