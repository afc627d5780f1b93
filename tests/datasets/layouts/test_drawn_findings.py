from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.drawn_findings import drawing_problems, found_elsewhere

FILE = Path("all.json")


def problems(*images: tuple[str | None, str], **others: list[tuple[object, object]]) -> dict[str, Finding]:
    kinds = {"broken": [], "skipped": [], "unused": [], "elsewhere": [], **others}
    return {one.code: one for one in drawing_problems(images, **kinds)}  # type: ignore[arg-type]


def test_nothing_is_said_of_data_in_order():
    assert problems((None, "a.png"), (None, "b.png")) == {}
    assert problems(("train", "a.png"), ("val", "b.png")) == {}


def test_images_outside_the_splits_and_no_images_are_said():
    assert problems(("train", "a.png"), (None, "b.png"))["W216"].files == ("b.png",)
    assert problems().keys() == {"D221"}


def test_every_kind_of_problem_has_an_example():
    broken = [(FILE, f"image {n}.png does not exist") for n in range(3)]
    found = problems((None, "a"), broken=[*broken, (FILE, "annotation 7: category 3 does not exist")])["D230"]
    assert found.message.startswith(
        "4 annotations cannot be used, e.g. all.json: image 0.png does not exist; all.json: "
    )
    assert "category 3" in found.message
    assert "1.png" not in found.message
    assert (found.files, found.total) == (("all.json",), 1)


def test_a_single_problem_is_told_in_full():
    assert problems((None, "a"), broken=[(FILE, "is damaged")])["D230"].message == "all.json: is damaged"
    assert problems((None, "a"), unused=[(FILE, "notes")])["W223"].message == "all.json: notes"


def test_what_is_left_out_is_counted():
    found = problems((None, "a"), skipped=[(FILE, "box"), (FILE, "box"), (FILE, "line")], unused=[(FILE, "x")] * 2)
    assert found["W221"].message.startswith("3 shapes without an area are left out (box, line)")
    assert found["W223"].message.startswith("2 ")


def test_files_found_elsewhere_are_counted_with_both_paths():
    found = found_elsewhere([("/home/me/a.png", "images/a.png"), ("x/b.png", "images/b.png")], "lists")
    assert found.code == "W225"
    assert all(part in found.message for part in ("2 ", "lists", "/home/me/a.png", "images/a.png"))
    assert problems((None, "a"), elsewhere=[("x/a.png", Path("a.png"))]).keys() == {"W225"}
