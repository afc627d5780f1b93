from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import pixelwise.cli
from pixelwise.cli import app
from pixelwise.cli.line.verbs import VERBS, command, module_of, summary


def test_every_module_of_the_command_line_is_a_verb():
    folder = Path(pixelwise.cli.__file__).parent
    packages = {path.parent.name for path in folder.glob("*/__init__.py")} - {"line"}
    found = [*folder.glob("*.py"), *(path for name in packages for path in (folder / name).glob("*.py"))]
    modules = {".".join(path.relative_to(folder).with_suffix("").parts) for path in found if path.stem != "__init__"}
    assert modules - {"options"} == {module_of(verb) for verb in VERBS}


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_says_what_the_verbs_own_help_begins_with(verb: str):
    first = inspect.cleandoc(command(verb).help).partition("\n\n")[0]
    assert summary(verb) == " ".join(first.split())
    assert summary(verb).endswith(".")


def test_listing_imports_no_verb():
    code = (
        "import sys; from pixelwise.cli import main; code = main(['--help']); "
        "from pixelwise.cli.line.verbs import VERBS, module_of; "
        "sys.exit(code or any('pixelwise.cli.' + module_of(verb) in sys.modules for verb in VERBS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in VERBS)


def test_commands_are_found_by_name_and_listed_in_order():
    group = typer.main.get_command(app)
    context = group.make_context("pixelwise", ["recipes"])
    assert group.list_commands(context) == list(VERBS)  # type: ignore[attr-defined]
    assert group.get_command(context, "train").name == "train"  # type: ignore[attr-defined]
    assert group.get_command(context, "trian") is None  # type: ignore[attr-defined]
