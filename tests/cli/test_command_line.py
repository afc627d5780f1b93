import inspect
import json
import textwrap
from collections.abc import Callable

import pytest

import pixelwise
from pixelwise.cli import check, main


def test_help_names_every_verb(run_cli: Callable):
    code, stdout, _ = run_cli(["--help"])
    assert code == 0
    for verb in ("recipes", "show", "check", "train", "resume", "evaluate", "predict", "report", "data"):
        assert f"\n   {verb} " in stdout


def test_recipes_can_be_listed_and_filtered(run_cli: Callable):
    code, stdout, _ = run_cli(["recipes", "enet", "--json"])
    assert code == 0
    assert {"name": "enet-camvid", "published_miou_percent": 53.12}.items() <= json.loads(stdout)[0].items()
    assert "53.12" in run_cli(["recipes"]).stdout


def test_train_takes_another_run_to_begin_with(run_cli: Callable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run_cli(["train", "town-demo", "--from", "nowhere"])
    assert found.code == 4
    assert "error[K420]: nowhere" in found.stderr
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "enet-camvit"], 2, ("error[R200]", "'enet-camvit'", "'enet-camvid'")),
        (["show", "enet-camvid", "optimizer.lrr=1"], 2, ("lrr", "'lr'")),
        (["train", "enet-camvid", "--data", "/nowhere"], 3, ("error[D222]", "/nowhere")),
        (["train", "enet-camvid"], 3, ("--data",)),
        (["train", "missing.toml"], 2, ("error[R205]", "missing.toml")),
        (["resume", "/nowhere"], 4, ("error[K420]", "/nowhere")),
        (["resume", "."], 4, ("error[K420]", "recipe.toml")),
        (["trian"], 2, ("'trian'",)),
        (["evaluate"], 2, ("RUN",)),
    ],
)
def test_mistakes_end_with_their_status_and_a_message(run_cli: Callable, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    found = run_cli(arguments)
    assert found.code == code
    assert [word for word in words if word not in found.stderr] == []
    assert "Traceback" not in found.stderr


def test_debug_shows_the_traceback_and_keeps_the_status(run_cli: Callable):
    found = run_cli(["--debug", "show", "nothing"])
    assert found.code == 2
    assert "Traceback" in found.stderr
    assert "error[R200]" in found.stderr
    assert "Traceback" not in run_cli(["show", "nothing"]).stderr


def test_the_town_can_be_drawn(run_cli: Callable, tmp_path):
    code, stdout, _ = run_cli(["data", "town", tmp_path / "town", "data.town_images=[2,1,1]", "data.town_size=[48,64]"])
    assert code == 0
    assert "2 train, 1 val, 1 test" in stdout
    assert len(list((tmp_path / "town" / "masks").rglob("*.png"))) == 4


def test_help_fills_the_lines_of_a_narrow_terminal(run_cli: Callable, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    paragraph = " ".join((inspect.getdoc(check.run) or "").split("\n\n")[1].split())
    shown = run_cli(["check", "--help"]).stdout
    assert [line for line in textwrap.wrap(paragraph, 78) if line not in shown] == []


@pytest.mark.parametrize(
    ("raised", "code", "shown"),
    [
        (KeyError("x"), 1, "error[R280]: unexpected KeyError: 'x'"),
        (MemoryError(), 6, "error[D151]: there is not enough memory"),
        (OSError(36, "File name too long", "a\x1b"), 2, "error[R281]: a\\u001b: File name too long"),
        (RecursionError("deep\nlines"), 1, "error[R280]: unexpected RecursionError: deep"),
    ],
)
def test_no_other_exception_reaches_a_user(
    raised: Exception, code: int, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(pixelwise, "recipe", fail)
    assert main(["show", "town-demo"]) == code
    printed = capsys.readouterr()
    assert printed.err.startswith(shown)
    assert "help: " in printed.err
    assert "Traceback" not in printed.err
    assert main(["--debug", "show", "town-demo"]) == code
    assert "Traceback" in capsys.readouterr().err
