"""Committed pictures show what is there: their hashes, and those of what can be seen in them, are those of now."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pictures(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("draw_pictures")


@pytest.fixture
def clone(pictures: ModuleType, tmp_path: Path) -> Path:
    """A copy of the pictures, their records and their sources."""
    sources = {source.partition(":")[0] for one in pictures.PICTURES.values() for source in one.sources}
    for name in {str(pictures.RECORDS), *pictures.PICTURES, *sources}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def test_no_picture_is_stale(pictures: ModuleType):
    assert pictures.stale(ROOT) == []


def test_every_picture_of_the_pages_is_watched(pictures: ModuleType):
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    shown = {
        (page.parent / path).resolve().relative_to(ROOT).as_posix()
        for page in pages
        for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text("utf-8"))
    }
    assert shown == set(pictures.PICTURES)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("src/pixelwise/pages/static/pages.css", "}", "color: red; }"),
        ("src/pixelwise/pages/templates/cell.html", "{% block", "<b>new</b>{% block"),
        ("benchmarks/ui_pictures.py", "WIDTH, HEIGHT, GAP = 1280", "WIDTH, HEIGHT, GAP = 1024"),
    ],
)
def test_what_can_be_seen_makes_a_picture_stale_and_the_command_is_named(
    pictures: ModuleType, clone: Path, file: str, old: str, new: str
):
    text = (clone / file).read_text("utf-8")
    assert old in text
    (clone / file).write_text(text.replace(old, new, 1), "utf-8")
    (sentence,) = pictures.stale(clone)
    assert sentence.startswith(f"docs/ui.webp is stale, because of {file}. Draw it anew: make pictures.")
    assert "\npictures: " in (ROOT / "Makefile").read_text("utf-8")


def test_another_town_makes_both_pictures_of_it_stale(pictures: ModuleType, clone: Path):
    file = clone / "src/pixelwise/storage/cache_kinds.py"
    before = file.read_text("utf-8")
    town = before[before.index("\nTOWN = ") :].partition("\n)")[0]
    file.write_text(before.replace(town, re.sub(r"\bversion=\d+", "version=99", town)), "utf-8")
    assert [one.partition(" is stale")[0] for one in pictures.stale(clone)] == ["docs/overview.webp", "docs/ui.webp"]


def test_words_about_a_source_make_nothing_stale(pictures: ModuleType, clone: Path):
    for file, comment in (
        ("src/pixelwise/pages/static/pages.css", "/* said */"),
        ("src/pixelwise/pages/templates/cell.html", "{# said #}"),
        ("benchmarks/ui_pictures.py", "# said"),
        ("src/pixelwise/storage/cache_kinds.py", "OTHER = 1"),
    ):
        with (clone / file).open("a", encoding="utf-8") as appended:
            appended.write(f"\n\n{comment}\n")
    assert pictures.stale(clone) == []


def test_a_picture_that_was_replaced_by_hand_is_stale(pictures: ModuleType, clone: Path):
    shutil.copyfile(clone / "docs/ui.webp", clone / "docs/overview.webp")
    (sentence,) = pictures.stale(clone)
    assert sentence.startswith("docs/overview.webp is stale, because of docs/overview.webp.")


def test_records_are_those_of_pictures_that_exist(pictures: ModuleType):
    assert set(json.loads((ROOT / pictures.RECORDS).read_text("utf-8"))) == set(pictures.PICTURES)


def test_comments_and_docstrings_of_python_do_not_count(pictures: ModuleType):
    text = '"""Words."""\n\nA = "#1"  # why\n\n\ndef f():\n    """More\n    words."""\n    return "text"\n'
    assert "".join(pictures.without_comments(text).split()) == 'A="#1"deff():return"text"'
