"""Names that try to control a terminal, inject markup or begin a formula, through every way out of the program."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image
from reports.run_folders import write_run_folder

from pixelwise.records.result import load_per_image, load_result, save_result
from pixelwise.storage.cells import text_in

NASTY = (
    "[red]markup[/red]",
    "[link=http://evil]x[/link]",
    "\x1b[31m\x1b]8;;http://evil\x1b\\link",
    "\x9b2Jcleared\x07",
    "gnp.\u202eexe\u2066",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><b onmouseover=alert(1)>',
    "</script><!--",
    "{{ 7 * 7 }}{% raw %}",
    "=1+cmd|' /C calc'!A0",
    "+1",
    "@SUM(A1)",
    "-2+3",
    "$\\frac{1}{0}$ :smile:",
    "two\nerror[D101]: lines",
)
Cli = Callable[..., Any]


def controls(text: str) -> list[str]:
    """What could control a terminal or disguise text; styles of our own may be there."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return [one for one in plain if unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp") and one not in "\n\t"]


class Tags(HTMLParser):
    """The tags and the event handlers of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def harmless_page(page: str, plain: str) -> None:
    """Check that a page has the elements of the same page with plain names."""
    found, expected = Tags(page), Tags(plain)
    assert found.handlers == expected.handlers
    assert set(found.tags) == set(expected.tags)
    assert found.tags.count("script") == expected.tags.count("script")
    assert controls(page) == []


def file_name(name: str) -> str:
    """A name as files can have it on Linux."""
    return name.replace("/", "_").replace("\0", "_")


def data_of(root: Path, names: tuple[str, ...]) -> Path:
    """A data set with one class per name, and images that are called like them as far as files can be."""
    for number, name in enumerate(names):
        labels = np.full((8, 10), number, np.uint8)
        stem = f"{number}{file_name(name)}"
        for split in ("train", "val"):
            pixels = np.random.default_rng([number, len(split)]).integers(0, 256, (8, 10, 3), np.uint8)
            for kind, values in (("images", pixels), ("masks", labels)):
                (root / kind / split).mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(root / kind / split / f"{stem}.png")
    # Something to complain about, by name.
    (root / "images" / "train" / f"x{file_name(names[2])}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(9))
    (root / "dataset.toml").write_text(tomli_w.dumps({"classes": list(names)}), "utf-8")
    return root


def recipe_of(path: Path, names: tuple[str, ...]) -> Path:
    content = {
        "base": "town-demo",
        "summary": " ".join(names),
        "notes": " ".join(names),
        "data": {"dataset": "folder", "classes": list(names)},
    }
    path.write_text(tomli_w.dumps(content), "utf-8")
    return path


@pytest.fixture
def plain() -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(len(NASTY)))


@pytest.mark.heavy
def test_check_on_a_terminal_as_json_as_a_page_and_as_a_recipe(tmp_path: Path, plain: tuple[str, ...], run_cli: Cli):
    root = data_of(tmp_path / "nasty", NASTY)
    done = run_cli(["check", root, "--html", tmp_path / "a.html", "--write", tmp_path / "a.toml"])
    assert controls(done.stdout + done.stderr) == []
    assert "[red]markup[/red]" in done.stdout
    assert not re.search(r"^error\[D101\]: lines", done.stdout + done.stderr, re.MULTILINE)
    run_cli(["check", data_of(tmp_path / "plain", plain), "--html", tmp_path / "b.html"])
    harmless_page((tmp_path / "a.html").read_text("utf-8"), (tmp_path / "b.html").read_text("utf-8"))
    written = (tmp_path / "a.toml").read_text("utf-8")
    assert tuple(tomllib.loads(written)["data"]["classes"]) == NASTY
    assert controls(written) == []
    done = run_cli(["check", root, "--json"])
    assert controls(done.stdout) == []
    assert tuple(json.loads(done.stdout)["classes"]) == NASTY
    done = run_cli(["data", "stats", root])
    assert controls(done.stdout + done.stderr) == []


def test_show_prints_toml_json_and_sources_that_read_back(tmp_path: Path, run_cli: Cli):
    recipe = recipe_of(tmp_path / "a.toml", NASTY)
    for options, read in (([], tomllib.loads), (["--explain"], tomllib.loads), (["--json"], json.loads)):
        done = run_cli(["show", recipe, *options])
        assert done.code == 0, done.stderr
        assert controls(done.stdout) == []
        assert tuple(read(done.stdout)["data"]["classes"]) == NASTY


def test_a_recipe_whose_name_and_fields_are_nasty_is_refused_harmlessly(tmp_path: Path, run_cli: Cli):
    for number, name in enumerate(NASTY):
        file = tmp_path / f"{number}{file_name(name)}.toml"
        file.write_text(tomli_w.dumps({"base": "town-demo", "data": {name: 1}}), "utf-8")
        done = run_cli(["show", file])
        assert done.code == 2
        assert controls(done.stderr) == []
        done = run_cli(["show", name])
        assert done.code == 2
        assert controls(done.stderr) == []


@pytest.mark.heavy
def test_the_report_and_the_tables_of_a_run(tmp_path: Path, plain: tuple[str, ...], run_cli: Cli):
    pages = []
    for kind, names in (("nasty", NASTY), ("plain", plain)):
        run = tmp_path / kind
        ids = tuple(f"{number}{name}" for number, name in enumerate(names[:4])) if kind == "plain" else names[2:6]
        result = write_run_folder(run, names=ids, steps=20)
        classes = tuple(
            type(entry)(**{**{f: getattr(entry, f) for f in entry.__struct_fields__}, "name": name})
            for entry, name in zip(result.per_class, names, strict=False)
        )
        folder = next((run / "evaluations").iterdir())
        changed = type(result)(**{**{f: getattr(result, f) for f in result.__struct_fields__}, "per_class": classes})
        save_result(changed, load_per_image(folder), folder)
        assert tuple(one.name for one in load_result(folder).per_class) == tuple(names[: len(classes)])
        done = run_cli(["report", run])
        assert done.code == 0, done.stderr
        assert controls(done.stdout + done.stderr) == []
        pages.append((run / "report.html").read_text("utf-8"))
    harmless_page(*pages)


def test_tables_hold_no_formulas(tmp_path: Path):
    run = tmp_path / "run"
    write_run_folder(run, names=NASTY[10:14], steps=20)
    folder = next((run / "evaluations").iterdir())
    rows = list(csv.reader(io.StringIO((folder / "per_image.csv").read_text("utf-8"), newline="")))
    # "+1" is a number and stays one.
    assert [row[0][:1] for row in rows[1:]] == ["'", "+", "'", "'"]
    assert tuple(text_in(row[0]) for row in rows[1:]) == NASTY[10:14]
    assert tuple(one.id for one in load_per_image(folder)) == NASTY[10:14]
