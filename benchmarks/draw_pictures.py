"""Which committed pictures are stale: what each one shows, as it is now and as it was when the picture was drawn.

    python benchmarks/draw_pictures.py                      # lists what changed under which picture, how to redraw it
    python benchmarks/draw_pictures.py --keep docs/ui.webp  # the change cannot be seen in it: record what it shows now

A picture depends on the script that draws it, and on those templates, styles, colours and measurements that can be seen
in it; not on all code that a run needs. `docs/pictures.json` has a SHA-256 of each picture, and of each source without
its comments and its white space. A script that draws a picture ends with `record_file`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RECORDS = Path("docs/pictures.json")
TEMPLATES, STATIC = "src/pixelwise/pages/templates/", "src/pixelwise/pages/static/"
REPORTS, SETS = "src/pixelwise/reports/pages/", "src/pixelwise/recipes/class_sets/"
TOWN = ("src/pixelwise/storage/cache_kinds.py:TOWN", SETS + "camvid.py")
"""The version of the drawn town, which changes with what it looks like, and the colours of its classes."""


class Picture(NamedTuple):
    """How a picture is made, and what can be seen in it.

    Attributes:
        command: What draws it anew.
        sources: Files below the repository; `FILE:NAME` is one assignment of a Python file.
    """

    command: str
    sources: tuple[str, ...]


def _pages(*names: str) -> tuple[str, ...]:
    return tuple(f"{TEMPLATES}{name}.html" for name in names)


def _plot(name: str) -> Picture:
    return Picture("python benchmarks/all.py --tables", (f"benchmarks/measurements/{name}.json",))


PICTURES = {
    "docs/overview.webp": Picture(
        "make pictures",
        (
            "benchmarks/overview.py",
            *(REPORTS + name for name in ("report.html", "report_style.html")),
            "src/pixelwise/reports/run/page.py",
            *TOWN,
        ),
    ),
    "docs/ui.webp": Picture(
        "make pictures",
        (
            "benchmarks/ui_pictures.py",
            *_pages("layout", "parts", "result", "cell", "data_parts", "data_grid", "fix"),
            *(STATIC + name for name in ("pages.css", "data.css", "fix.css")),
            REPORTS + "report_style.html",
            *TOWN,
        ),
    ),
    **{f"benchmarks/plots/{name}.svg": _plot(name) for name in ("data_path", "evaluation", "prediction", "training")},
    "benchmarks/plots/scale.svg": Picture("python benchmarks/scale.py", ("benchmarks/measurements/scale.json",)),
    "benchmarks/plots/suite.svg": Picture(
        "the command at the top of benchmarks/suite.md", ("benchmarks/measurements/suite.json",)
    ),
}
"""Every picture of the documentation, by its path below the repository."""


def main() -> int:
    """List stale pictures, or keep one; 1 if any is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", nargs="+", default=[], choices=list(PICTURES), metavar="PICTURE")
    options = parser.parse_args()
    record(*options.keep)
    found = stale(ROOT)
    print("\n".join(found) or "every picture shows what is there")
    return bool(found)


def stale(root: Path) -> list[str]:
    """A sentence for each picture below `root` that no longer shows what is there, with the command that redraws it."""
    recorded = json.loads((root / RECORDS).read_text("utf-8"))
    sentences = []
    for name, picture in PICTURES.items():
        before, now = recorded.get(name, {}), seen(root, name)
        changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if changed:
            sentences.append(
                f"{name} is stale, because of {', '.join(changed)}. Draw it anew: {picture.command}. If nothing of the "
                f"change can be seen in it: python benchmarks/draw_pictures.py --keep {name}"
            )
    return sentences


def record(*names: str) -> None:
    """Write down what pictures show now."""
    path = ROOT / RECORDS
    records: dict[str, Mapping[str, str]] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    records |= {name: seen(ROOT, name) for name in names}
    kept = {name: records[name] for name in PICTURES if name in records}
    path.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def record_file(path: Path) -> None:
    """Write down what a picture shows that was just drawn, if it is one of the committed ones."""
    name = path.resolve().relative_to(ROOT).as_posix() if path.resolve().is_relative_to(ROOT) else ""
    if name in PICTURES:
        record(name)


def seen(root: Path, name: str) -> dict[str, str]:
    """Beginning of the SHA-256 of a picture itself (of bytes), and of each source (of what matters in it)."""
    picture = {name: (root / name).read_bytes()}
    sources = {source: what_matters(root, source).encode() for source in PICTURES[name].sources}
    return {key: hashlib.sha256(content).hexdigest()[:16] for key, content in (picture | sources).items()}


def what_matters(root: Path, source: str) -> str:
    """Text of a source without comments and white space, so that neither words about it nor its layout count."""
    path, _, assigned = source.partition(":")
    text = (root / path).read_text("utf-8")
    match Path(path).suffix:
        case ".py":
            text = without_comments(text)
            if assigned:
                found = re.search(rf"^{assigned}\b.*?(?=^\S)", text + "\nend", re.MULTILINE | re.DOTALL)
                if found is None:
                    raise SystemExit(f"{path} assigns nothing to {assigned}")
                text = found[0]
        case ".css":
            text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        case ".html":
            text = re.sub(r"\{#.*?#\}|<!--.*?-->", "", text, flags=re.DOTALL)
    return "".join(text.split())


def without_comments(text: str) -> str:
    """A Python file without its comments and the docstrings of modules, classes and functions."""
    lines = text.splitlines(keepends=True)
    before = tokenize.INDENT
    for token in list(tokenize.generate_tokens(io.StringIO(text).readline)):
        row, column = token.start
        docstring = token.type == tokenize.STRING and before in (tokenize.INDENT, tokenize.NEWLINE, tokenize.DEDENT)
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column] + "\n"
        elif docstring:
            for number in range(row - 1, token.end[0]):
                lines[number] = "\n"
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.type
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
