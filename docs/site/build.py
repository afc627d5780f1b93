"""Builds the documentation as a site that asks nothing of any network.

    python docs/site/build.py [--output build/docs]

Every Markdown page of the repository that a reader is led to becomes a page: README, docs and benchmarks as they are,
the files and folders that these link to as source, and the reference of the verbs and of the Python interface from the
code itself. A link that leads nowhere is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from reference import python_page, verbs_page

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = Path(__file__).resolve().with_name("zensical.toml")
PAGES = ("README.md", "*.md", "docs/*.md", "docs/tutorials/*.md", "benchmarks/*.md")
"""Patterns of the Markdown files that are pages."""
LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
"""A link or a picture whose target is a path."""
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".json": "json", ".sbatch": "bash", ".sh": "bash"}
PICTURES = {".webp", ".png", ".svg", ".jpg"}
HIDDEN = {"__pycache__", ".venv"}


def main() -> int:
    """Build the site and say where it is; returns the exit status of the builder, 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "docs")
    folder = parser.parse_args().output.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    write_pages(folder / "pages")
    shutil.copy(CONFIGURATION, folder / CONFIGURATION.name)
    builder = Path(sys.executable).with_name("zensical")
    command = [str(builder), "build", "--clean", "--strict", "--config-file", str(folder / CONFIGURATION.name)]
    status = subprocess.run(command, cwd=folder, env=os.environ | {"NO_COLOR": "1"}, check=False).returncode
    if status == 0:
        print(f"The site is in {folder / 'site'}; to read it: python -m http.server --directory {folder / 'site'}")
    return status


def write_pages(target: Path) -> None:
    """Write the Markdown of all pages, and the pictures and sources that they link to."""
    waiting = sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})
    pages = set(waiting)
    while waiting:
        source = waiting.pop()
        found = list(_targets(source)) if source.suffix == ".md" else []
        news = sorted(set(found) - pages)
        pages.update(news)
        waiting += news
        _write(source, target)
    _save(target / "docs/reference/verbs.md", verbs_page())
    _save(target / "docs/reference/python.md", python_page())
    shutil.copy(CONFIGURATION.with_name("style.css"), target / "style.css")


def _targets(page: Path) -> Iterator[Path]:
    """Files and folders to which a Markdown page links."""
    for link in LINK.finditer(_outside_code(page.read_text("utf-8"))):
        path = (page.parent / link[2]).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            raise SystemExit(f"{page.relative_to(ROOT)}: the link to {link[2]} leads nowhere")
        if path.is_dir():
            yield from _files(path)
        yield path


def _files(folder: Path) -> list[Path]:
    """Files below a folder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".pyc", ".safetensors"))
    return [path for path in found if not HIDDEN & set(path.relative_to(folder).parts)]


def _write(source: Path, target: Path) -> None:
    """Write what stands for a file or a folder."""
    place = target / _place(source)
    if source.suffix in PICTURES:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    elif source.suffix == ".md":
        _save(place, LINK.sub(lambda link: _link(link, source), source.read_text("utf-8")))
    elif source.is_dir():
        names = [
            f"- [{path.relative_to(source)}]({_place(path).relative_to(_place(source).parent)})"
            for path in _files(source)
        ]
        _save(place, "\n".join([f"# {source.relative_to(ROOT)}", "", *names]) + "\n")
    else:
        text = source.read_text("utf-8")
        fence = "`" * 4
        _save(
            place, f"# {source.relative_to(ROOT)}\n\n{fence}{LANGUAGES.get(source.suffix, 'text')}\n{text}\n{fence}\n"
        )


def _place(source: Path) -> Path:
    """Path of a page within the site's pages."""
    path = source.relative_to(ROOT)
    if path == Path("README.md"):
        return Path("index.md")
    if source.is_dir():
        return path / "index.md"
    return path if source.suffix in {".md", *PICTURES} else path.with_name(f"{path.name}.md")


def _link(link: re.Match[str], page: Path) -> str:
    """The link of a page, to where its target is in the site."""
    there = _place((page.parent / link[2]).resolve())
    return f"{link[1]}{os.path.relpath(there, _place(page).parent)}{link[3] or ''}{link[4]}"


def _outside_code(text: str) -> str:
    """Markdown without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
