"""`pixelwise check` from the command line."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


@pytest.mark.heavy
def test_files_are_written_although_nobody_reads_what_is_printed(tiny_data: Path, tmp_path: Path):
    # As `| head -1` does: the reader of standard output is gone before the first line.
    command = [sys.executable, "-c", "from pixelwise.cli import entry; entry()", "check", str(tiny_data)]
    files = ["--html", str(tmp_path / "page.html"), "--write", str(tmp_path / "mine.toml")]
    process = subprocess.Popen([*command, *files], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=120)
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert tomllib.loads((tmp_path / "mine.toml").read_text("utf-8"))["data"]["classes"] == ["ground", "box", "ball"]
