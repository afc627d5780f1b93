"""`hub://OWNER/NAME` stands for a run in every verb that takes one; a new verb without a row here fails."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from model_hub import ModelHub

import pixelwise
from pixelwise.cli.line.verbs import VERBS, module_of
from pixelwise.records.environment import read_environment
from pixelwise.records.run_folder import read_recipe

ADDRESS = "hub://me/tiny"
SIZE = ("--size", "64x48")
TINY = ("selection.every_epochs=0", "selection.weights=last", "schedule.epochs=1")


class Row(NamedTuple):
    """A command.

    Attributes:
        arguments: Arguments; `{hub}` is the address, `{data}` and `{recipe}` are inputs, `{out}` is an empty folder.
        written: A file that is there afterwards, relative to `{out}`, which is the working folder, as a pattern.
        quick: Whether it is tested by default.
    """

    arguments: tuple[str, ...]
    written: str = ""
    quick: bool = False


TABLE = {
    "predict": Row(("predict", "{hub}", "{data}/images/val", "-o", "masks"), "masks/masks/*.png", quick=True),
    "prelabel": Row(("prelabel", "{hub}", "{data}/images/val", "-o", "pre"), "pre/queue.json"),
    "evaluate": Row(("evaluate", "{hub}", "--data", "{data}"), "runs/tiny-*/evaluations/test-native*/result.json"),
    "report": Row(("report", "{hub}"), "runs/tiny-*/report.html", quick=True),
    "export": Row(("export", "{hub}", "-o", "exported", *SIZE), "exported/model.onnx"),
    "quantize": Row(("quantize", "{hub}", "-o", "int8", "--data", "{data}", "--force", *SIZE), "int8/model.onnx"),
    "deploy": Row(
        ("deploy", "{hub}", "-o", "card", "--data", "{data}", "--targets", "onnx", "--rounds", "1", *SIZE),
        "card/card.json",
    ),
    "profile": Row(("profile", "{hub}", "--size", "32x32"), quick=True),
    "push": Row(("push", "{hub}", "me/again", "--licence", "mit"), quick=True),
    "train": Row(
        ("train", "{recipe}", "--data", "{data}", "--from", "{hub}", "-o", "run", *TINY), "run/checkpoints/*/*.json"
    ),
    "distill": Row(
        ("distill", "{recipe}", "--data", "{data}", "--teacher", "{hub}", "-o", "run", *TINY),
        "run/checkpoints/*/*.json",
    ),
}
REFUSED = {
    "resume": ("resume", "{hub}"),
    "watch": ("watch", "{hub}", "--once"),
    "track": ("track", "{hub}", "--to", "tensorboard"),
}
"""Verbs of trainings that go on."""
ELSEWHERE = {
    "crossval": "refuses runs that know its images: `test_folds_do_not_begin_with_a_published_run_of_the_same_images`",
    "serve": "serves until it is stopped: `test_a_server_resolves_the_address_before_it_listens`",
    "compare": "needs scores of single images, which are not published: `test_a_published_run_is_compared_when_scored`",
}


def takes_a_run(verb: str) -> bool:
    module = importlib.import_module(f"pixelwise.cli.{module_of(verb)}")
    if hasattr(module, "app"):
        return False
    parameters = inspect.signature(module.run).parameters.values()
    shown = [str(getattr(one.default, "metavar", "") or "") for one in parameters]
    return any(name in ("RUN", "RUN|RECIPE", "RECIPE|RUN") or name.startswith("RUN") for name in shown)


def test_every_verb_that_takes_a_run_has_a_row():
    assert {verb for verb in VERBS if takes_a_run(verb)} <= {*TABLE, *REFUSED, *ELSEWHERE}


@pytest.fixture
def fill(hub: ModelHub, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path, monkeypatch) -> Callable:
    """The arguments of a row, in an empty working folder, after the tiny run was published."""
    pixelwise.push(tiny_run, "me/tiny", licence="mit")
    monkeypatch.chdir(tmp_path)
    places = {"hub": ADDRESS, "data": tiny_data, "recipe": tiny_recipe, "out": tmp_path}
    return lambda words: [word.format(**places) for word in words]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if row.quick else pytest.mark.heavy) for name, row in TABLE.items()]
)
def test_an_address_stands_for_a_run(name: str, fill: Callable, run_cli: Callable, tmp_path: Path):
    code, _, stderr = run_cli(fill(TABLE[name].arguments))
    assert code == 0, stderr
    assert not TABLE[name].written or list(tmp_path.glob(TABLE[name].written))


@pytest.mark.parametrize("name", REFUSED)
def test_a_training_does_not_go_on_from_the_hub(name: str, run_cli: Callable, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = run_cli([word.format(hub=ADDRESS) for word in REFUSED[name]])
    assert code == 4
    assert "error[K497]" in stderr
    assert f"--from {ADDRESS}" in stderr
    assert list(tmp_path.iterdir()) == []


def test_a_server_resolves_the_address_before_it_listens(fill: Callable, hub: ModelHub, monkeypatch):
    served: list[Path] = []
    monkeypatch.setattr("pixelwise.api.serve.serve_model", lambda run, *rest: served.append(run))
    pixelwise.serve(ADDRESS)
    assert [read_recipe(one).name for one in served] == ["tiny"]
    assert served[0].name == hub.repositories["me/tiny"].head


def test_folds_do_not_begin_with_a_published_run_of_the_same_images(fill: Callable, run_cli: Callable, tmp_path: Path):
    words = ("crossval", "{recipe}", "{data}", "--folds", "2", "--from", "{hub}", "-o", "folds", *TINY)
    code, _, stderr = run_cli(fill(words))
    assert (code, "error[R311]" in stderr) == (2, True), stderr
    assert "hub://me/tiny was trained on" in " ".join(stderr.split())
    assert not (tmp_path / "folds" / "crossval.json").exists()


@pytest.mark.heavy
def test_a_published_run_is_compared_when_scored(fill: Callable, run_cli: Callable, tiny_run: Path, tmp_path: Path):
    other = shutil.copytree(tiny_run, tmp_path / "other")
    assert run_cli(["evaluate", str(other), "--split", "test"]).code == 0
    words = fill(("compare", "{hub}", str(other), "--each", "--split", "test"))
    code, _, stderr = run_cli(words)
    assert (code, "error[R301]" in stderr) == (2, True), stderr
    assert run_cli(fill(("evaluate", "{hub}", "--data", "{data}", "--split", "test"))).code == 0
    code, stdout, stderr = run_cli([*words, "--json"])
    assert code == 0, stderr
    assert len(json.loads(stdout)["sides"]) == 2


@pytest.mark.heavy
def test_a_training_records_the_commit_that_it_began_with(fill: Callable, hub: ModelHub, run_cli: Callable, tmp_path):
    commit = hub.repositories["me/tiny"].head
    assert run_cli(fill(TABLE["train"].arguments)).code == 0
    assert read_recipe(tmp_path / "run").initialize.run == f"{ADDRESS}@{commit}"
    start = read_environment(tmp_path / "run").initial_weights.run
    assert start is not None
    described = hub.repositories["me/tiny"].files
    assert start.weights_sha256 in described["pixelwise.json"].decode()


def test_python_takes_addresses_too(fill: Callable, tmp_path: Path):
    run = pixelwise.Run(ADDRESS)
    assert run.recipe.name == "tiny"
    assert (tmp_path / run).parent == tmp_path / "runs"
    assert pixelwise.load(Path(ADDRESS)).classes == ("ground", "box", "ball")


def test_a_mistyped_address_is_refused_before_anything_heavy(run_cli: Callable):
    for words in (["predict", "hub://me", "photos"], ["evaluate", "hub://me/a b"], ["push", "runs/none", "me"]):
        code, _, stderr = run_cli(words)
        assert (code, "error[K490]" in stderr) == (4, True), stderr


def test_an_address_is_no_place_to_write_to_and_no_data(run_cli: Callable, tiny_run: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["predict", tiny_run, "hub://me/photos", "-o", "x"], ["train", "unet", "--data", "hub://me/photos"]):
        code, _, stderr = run_cli(words)
        assert code in (2, 3), stderr
        assert "hub://me/photos" in stderr
    assert list(tmp_path.iterdir()) == []
