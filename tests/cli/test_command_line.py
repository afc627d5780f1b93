import json
from collections.abc import Callable

import pytest


def test_help_names_every_verb(run_cli: Callable):
    code, stdout, _ = run_cli(["--help"])
    assert code == 0
    for verb in ("recipes", "show", "check", "train", "resume", "evaluate", "predict", "report", "data"):
        assert f"│ {verb}" in stdout


def test_recipes_can_be_listed_and_filtered(run_cli: Callable):
    code, stdout, _ = run_cli(["recipes", "enet", "--json"])
    assert code == 0
    assert {"name": "enet-camvid", "published_miou_percent": 53.12}.items() <= json.loads(stdout)[0].items()
    assert "53.12" in run_cli(["recipes"]).stdout


def test_train_takes_another_run_to_begin_with(run_cli: Callable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run_cli(["train", "town-demo", "--from", "nowhere"])
    assert found.code == 4
    assert "error[K420]: nowhere is not a run folder" in found.stderr
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "enet-camvit"], 2, "error[R200]: no recipe is named 'enet-camvit'; did you mean 'enet-camvid'"),
        (["show", "enet-camvid", "optimizer.lrr=1"], 2, "did you mean 'lr'"),
        (["train", "enet-camvid", "--data", "/nowhere"], 3, "error[D222]: /nowhere: does not exist"),
        (["train", "enet-camvid"], 3, "--data"),
        (["train", "missing.toml"], 2, "error[R205]: missing.toml: there is no such file"),
        (["resume", "/nowhere"], 4, "error[K420]: /nowhere is not a run folder: it does not exist"),
        (["resume", "."], 4, "error[K420]: . is not a run folder: it has no recipe.toml"),
        (["trian"], 2, "No such command 'trian'"),
        (["evaluate"], 2, "Missing argument"),
    ],
)
def test_mistakes_end_with_their_status_and_a_sentence(
    run_cli: Callable, tmp_path, monkeypatch, arguments, code, words
):
    monkeypatch.chdir(tmp_path)
    found = run_cli(arguments)
    assert found.code == code
    assert words in found.stderr
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
    words = run_cli(["check", "--help"]).stdout.splitlines()
    line = next(line for line in words if "Nothing is written" in line)
    assert "Nothing is written into the data folder." in line
