"""`pixelwise explain`: codes, fields, metrics, protocols and recipes, without anything heavy."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from pixelwise.reports import standard_output


@pytest.mark.parametrize("name", ["D204", "schedule.warmup_iterations", "mIoU", "unet-resnet18"])
def test_a_name_is_explained(run_cli: Callable, name: str):
    code, stdout, _ = run_cli(["explain", name])
    assert code == 0
    assert stdout.startswith("# ")
    assert len(stdout) > 80


def test_an_unknown_name_has_similar_ones(run_cli: Callable):
    found = run_cli(["explain", "unett"])
    assert (found.code, found.stdout) == (2, "")
    assert "error[R263]" in found.stderr
    assert "'unet'" in found.stderr


def test_explaining_needs_no_pytorch():
    script = (
        "import sys; from pixelwise.cli import main; "
        "failed = any([main(['explain', name]) for name in ('K401', 'lr', 'f1', 'unet')]); "
        "sys.exit(failed or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_a_terminal_shows_headings_and_code_without_marks(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(standard_output.sys.stdout, "isatty", lambda: True)
    standard_output.write_markdown("# lr (field)\n\nRate of `optimizer`.\n\n    code\n")
    shown = capsys.readouterr().out
    assert "lr (field)" in shown
    assert "#" not in shown
    assert "`" not in shown
