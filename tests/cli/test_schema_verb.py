"""`pixelwise schema`: printed, or written beside recipe files."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pixelwise


def test_files_that_were_written_are_named(run_cli: Callable, tmp_path: Path):
    (tmp_path / "mine.toml").write_text('base = "unet"\n', "utf-8")
    code, stdout, _ = run_cli(["schema", tmp_path / "mine.toml"])
    assert code == 0
    assert stdout.splitlines() == [str(tmp_path / "recipe.schema.json"), str(tmp_path / "mine.toml")]
    found = run_cli(["schema", tmp_path / "none.toml"])
    assert found.code == 2
    assert "error[R205]" in found.stderr


def test_the_schema_is_printed_without_pytorch():
    script = "import sys; from pixelwise.cli import main; sys.exit(main(['schema']) or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout) == pixelwise.schema().schema
