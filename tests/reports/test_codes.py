import re
import shutil
import subprocess
import sys
from pathlib import Path

from pixelwise.reports import codes as module
from pixelwise.reports.codes import codes, explanation_of, read_sections

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_sections_are_read_by_their_codes():
    first = "# Codes\n\n## Data\n\nIntro.\n\n### D101\n\nOne.\n\n    code\n\n### W102\n\nTwo.\n\n"
    text = first + "## Recipes\n\nBetween.\n\n### R200\n\nThree.\n"
    assert read_sections(text) == {"D101": "One.\n\n    code", "W102": "Two.", "R200": "Three."}


def test_every_code_of_the_document_is_explained():
    documented = re.findall(r"^### ([A-Z]\d{3})", DOCUMENT.read_text("utf-8"), re.M)
    assert codes() == documented
    assert [code for code in documented if len(explanation_of(code) or "") < 30] == []
    assert explanation_of("D999") is None


def test_the_packaged_copy_comes_first(tmp_path: Path, monkeypatch):
    (tmp_path / "errors.md").write_text("### D101\n\nFrom the wheel.\n", "utf-8")
    monkeypatch.setattr(module, "PACKAGED", tmp_path / "errors.md")
    assert read_sections(module._document().read_text("utf-8")) == {"D101": "From the wheel."}


def test_a_wheel_carries_the_document(tmp_path: Path):
    clone = tmp_path / "clone"
    (clone / "docs").mkdir(parents=True)
    (clone / "src" / "pixelwise").mkdir(parents=True)
    root = DOCUMENT.parents[1]
    package = "src/pixelwise/__init__.py"  # which has the version
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "docs/errors.md", package):
        shutil.copyfile(root / name, clone / name)
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path / "built"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "built" / "pixelwise" / "errors.md").read_bytes() == DOCUMENT.read_bytes()
