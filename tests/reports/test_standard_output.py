import json
import tomllib
from pathlib import Path

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import from_plain, to_toml
from pixelwise.recipes.schema.recipe import to_plain
from pixelwise.reports.standard_output import write, write_json, write_json_text, write_path

NASTY = "a\x1b[31m\x7f\x9b2J\u202e\u2028\U000e0041\"'\\😀\n"


def test_json_reads_back_and_holds_no_control_characters(capsys: pytest.CaptureFixture[str]):
    write_json({"name": NASTY})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"name": NASTY}
    assert all(one.isprintable() or one == "\n" for one in shown)
    write_json_text('{"a": 1}')
    assert capsys.readouterr().out == '{"a": 1}'


def test_toml_reads_back_and_holds_no_control_characters(capsys: pytest.CaptureFixture[str]):
    plain = to_plain(recipe("town-demo")) | {"notes": NASTY, "summary": NASTY.strip()}
    write(to_toml(from_plain(plain)))
    shown = capsys.readouterr().out
    assert tomllib.loads(shown)["notes"] == NASTY
    assert all(one.isprintable() or one == "\n" for one in shown)


def test_a_path_is_written_without_control_characters(capsys: pytest.CaptureFixture[str]):
    write_path(Path("runs/a\x1b[31m"))
    assert capsys.readouterr().out == "runs/a\\x1b[31m\n"
