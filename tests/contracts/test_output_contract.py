"""Every verb can print JSON, and in a pipe nothing but text of eighty columns; new verbs are tested, too."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixelwise.cli.line.verbs import VERBS, module_of

WITHOUT = {
    "serve": "answers over HTTP until it is stopped",
    "ui": "shows pages until it is stopped",
    "watch": "writes a page for as long as a run trains",
    "schema": "prints JSON whatever happens",
}
"""Verb -> why it has no `--json`."""


def functions() -> dict[str, Callable[..., Any]]:
    """Name -> function of every verb, those of groups included."""
    found = {}
    for name in VERBS:
        module = importlib.import_module(f"pixelwise.cli.{module_of(name)}")
        if hasattr(module, "app"):
            commands = module.app.registered_commands
            found |= {f"{name} {one.name or one.callback.__name__}": one.callback for one in commands}
        else:
            found[name] = module.run
    return found


ALL = functions()


def test_every_verb_prints_json():
    lacking = {name for name, verb in ALL.items() if "json" not in inspect.signature(verb).parameters}
    assert lacking == set(WITHOUT)


@pytest.mark.parametrize("name", ["", *ALL])
def test_help_in_a_pipe_is_text_of_eighty_columns(name: str, run_cli: Callable):
    code, stdout, _ = run_cli([*name.split(), "--help"], env={"COLUMNS": "80"})
    assert code == 0
    assert "\x1b" not in stdout
    # An example is one command, which would not work in two lines.
    assert [line for line in stdout.splitlines() if len(line) > 80] == []


QUICK = {
    "recipes": ("recipes", "enet"),
    "show": ("show", "enet-camvid"),
    "explain": ("explain", "D204"),
    "table": ("table", "002"),
    "check": ("check", "{data}"),
    "data prepare": ("data", "prepare"),
    "data stats": ("data", "stats", "{data}"),
    "data cache": ("data", "cache"),
    "data town": ("data", "town", "{out}/town", "town_images=[2,1,1]", "town_size=[48,64]"),
    "data split": ("data", "split", "{copy}"),
    "data convert": ("data", "convert", "{data}", "{out}/converted"),
    "data shard": ("data", "shard", "{data}", "{out}/shards"),
}
"""Verbs that take no network."""


@pytest.fixture
def filled(tiny_data: Path, tmp_path: Path) -> Callable[[str], list[str]]:
    """The arguments of a quick verb with its folders."""

    def fill(name: str) -> list[str]:
        copy = tmp_path / "copy"
        if "{copy}" in QUICK[name]:
            shutil.copytree(tiny_data, copy)
        return [word.format(data=tiny_data, out=tmp_path, copy=copy) for word in QUICK[name]]

    return fill


@pytest.mark.parametrize("name", QUICK)
def test_json_is_all_that_is_printed(name: str, filled: Callable, run_cli: Callable):
    code, stdout, _ = run_cli([*filled(name), "--json"])
    assert code == 0
    assert json.loads(stdout) not in ({}, [], None)


def test_the_json_of_data_verbs_says_what_was_made(tiny_data: Path, tmp_path: Path, run_cli: Callable):
    made = json.loads(run_cli(["data", "shard", tiny_data, tmp_path / "shards", "--json"]).stdout)
    assert made["root"] == str(tmp_path / "shards")
    assert made["pairs"] == {"train": 8, "val": 3, "test": 3}
    found = json.loads(run_cli(["data", "verify", tmp_path / "shards", "--json"]).stdout)
    assert (found["images"], found["problems"]) == (14, [])


@pytest.mark.heavy
def test_the_report_of_a_run_is_named_in_json(tiny_run: Path, tmp_path: Path, run_cli: Callable):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    found = json.loads(run_cli(["report", run, "--json"]).stdout)
    assert found == {"run": str(run), "report": str(run / "report.html")}


@pytest.mark.heavy
def test_training_ends_with_json(tiny_data: Path, tiny_recipe: Path, tmp_path: Path, run_cli: Callable):
    found = run_cli(["train", tiny_recipe, "--data", tiny_data, "-o", tmp_path / "run", "--json"])
    made = json.loads(found.stdout)
    stored = json.loads(next((tmp_path / "run").glob("evaluations/*/result.json")).read_text("utf-8"))
    assert made["run"] == str(tmp_path / "run")
    assert Path(made["report"]).is_file()
    assert made["results"][0]["miou"] == stored["miou"]


COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")


@pytest.mark.heavy
@pytest.mark.parametrize("name", QUICK)
def test_a_terminal_of_eighty_columns_without_colours_is_respected(name: str, filled: Callable):
    """In a real terminal: what is printed fits, and NO_COLOR leaves no colour."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "pixelwise", *filled(name)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=follower, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        shown += block
    os.close(leader)
    assert process.wait() == 0
    text = shown.decode("utf-8")
    assert not COLOUR.search(text)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")
    longest = [line for line in plain.splitlines() if len(line) > 80]
    # Paths, commands and TOML are not broken, so that they can be copied.
    assert [line for line in longest if not re.search(r"/|pixelwise |^[\w.\"-]+ = |^# not set", line)] == []
