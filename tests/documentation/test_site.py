"""The documentation as a site: it builds without a warning and asks nothing of another host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from documentation.pages import ROOT

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    script = ROOT / "docs" / "site" / "build.py"
    built = subprocess.run(
        [sys.executable, str(script), "--output", str(folder)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "No issues found" in built.stdout + built.stderr
    return folder / "site"


def test_every_page_of_the_repository_is_there(site: Path):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.parent.name for path in (site / "docs").glob("*/index.html")}
    assert "Pixelwise turns labelled images" in (site / "index.html").read_text("utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path):
    loaded = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""")
    found = {page.name: loaded.findall(page.read_text("utf-8")) for page in site.rglob("*.html")}
    assert {page: links for page, links in found.items() if [one for one in links if "canonical" not in one]} == {}
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//", styles) == []


def test_links_lead_to_pages_and_headings(site: Path):
    broken = []
    texts = {page: page.read_text("utf-8") for page in site.rglob("*.html")}
    names = {page: set(re.findall(r'\bid="?([^"\s>]+)', text)) for page, text in texts.items()}
    for page, text in texts.items():
        for link in re.findall(r'<a\b[^>]*?\bhref="?([^"\s>]+)', text):
            path, _, heading = link.partition("#")
            if re.match(r"[a-z]+:|//", link) or page.name == "404.html":
                continue
            target = (page.parent / path).resolve() if path else page
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (heading and target in names and heading not in names[target]):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert broken == []


def test_the_reference_names_every_verb_and_every_public_name(site: Path):
    import pixelwise
    from pixelwise.cli.line.verbs import VERBS

    verbs = (site / "docs/reference/verbs/index.html").read_text("utf-8")
    python = (site / "docs/reference/python/index.html").read_text("utf-8")
    assert [verb for verb in VERBS if f"pixelwise {verb}" not in verbs] == []
    assert [name for name in pixelwise.__all__ if f">{name}<" not in python] == []
