import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.records.environment import Environment, write_environment
from pixelwise.records.folds.division import Division, write_division
from pixelwise.records.run_folder import (
    has_checkpoints,
    is_continued,
    is_run,
    new_run_folder,
    palette_of,
    read_recipe,
    refuse_occupied,
    write_page,
    write_recipe,
)


def test_the_recipe_makes_the_folder_a_run(tmp_path: Path):
    assert not is_run(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        read_recipe(tmp_path)
    assert caught.value.code == "K420"
    changed = apply_overrides(recipe("town-demo"), ["optimizer.lr=0.5"])
    write_recipe(tmp_path, changed)
    assert is_run(tmp_path)
    assert read_recipe(tmp_path) == changed
    assert not has_checkpoints(tmp_path)
    (tmp_path / "checkpoints" / "step-00000001").mkdir(parents=True)
    assert has_checkpoints(tmp_path)


@pytest.mark.parametrize(
    ("file", "held"), [("crossval.json", "a cross-validation"), ("seeds.json", "runs of several seeds")]
)
def test_a_folder_of_several_runs_leads_to_one_of_them(tmp_path: Path, file: str, held: str):
    (tmp_path / file).write_text("{}", "utf-8")
    with pytest.raises(RecipeError, match=f"already holds {held}"):
        refuse_occupied(tmp_path)
    with pytest.raises(CheckpointError, match=f"it holds {held}") as caught:
        read_recipe(tmp_path)
    assert (caught.value.code, caught.value.help) == ("K420", f"continue with: pixelwise resume {tmp_path}")
    for name in ("one-0", "one-1"):
        (tmp_path / name).mkdir()
        write_recipe(tmp_path / name, recipe("town-demo"))
    (tmp_path / "one-1" / "checkpoints" / "step-00000001").mkdir(parents=True)
    with pytest.raises(CheckpointError) as caught:
        read_recipe(tmp_path)
    assert f"name one of its runs, such as {tmp_path / 'one-1'}" in caught.value.help


def test_a_fold_that_has_not_begun_leads_to_its_cross_validation(tmp_path: Path):
    write_division(tmp_path / "fold-1", Division(held_out=("a",)))
    with pytest.raises(CheckpointError, match="the training of this fold has not begun") as caught:
        read_recipe(tmp_path / "fold-1")
    assert (caught.value.code, caught.value.help) == ("K420", f"begin it with: pixelwise resume {tmp_path}")


@pytest.mark.parametrize(
    ("content", "code"), [(b"a = ", "R205"), (b"\xff", "R205"), (b'name = "x"\nlearning = 1', "R202")]
)
def test_an_invalid_recipe_file_is_an_error(content: bytes, code: str, tmp_path: Path):
    (tmp_path / "recipe.toml").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path)
    assert caught.value.code == code


def test_a_recipe_of_a_package_that_is_not_installed_names_it(tmp_path: Path):
    text = to_toml(recipe("town-demo")).replace("[loss]", "[loss]\nterms = { hinge = { weight = 0.5 } }")
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(RecipeError, match="hinge") as caught:
        read_recipe(tmp_path)
    assert caught.value.code == "R274"
    write_environment(tmp_path, Environment(plugins={"acme-losses": "1.2", "msgspec": "0"}))
    with pytest.raises(RecipeError, match="hinge") as caught:
        read_recipe(tmp_path)
    assert caught.value.code == "R273"
    assert caught.value.help == "pip install acme-losses==1.2"


def test_a_new_folder_has_the_next_free_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert new_run_folder("enet-camvid") == Path("runs/enet-camvid-1")
    Path("runs/enet-camvid-1").mkdir(parents=True)
    assert new_run_folder("enet-camvid") == Path("runs/enet-camvid-2")
    assert new_run_folder("some/where/mine.toml") == Path("runs/mine-1")


def test_the_palette_is_the_recipes_own_else_the_official_one_else_colour_blind_safe():
    camvid = recipe("enet-camvid")
    assert palette_of(camvid)[0] == (128, 128, 128)
    own = apply_overrides(camvid, ["data.palette=" + str([[number, 0, 0] for number in range(11)])])
    assert palette_of(own)[3] == (3, 0, 0)
    other = apply_overrides(camvid, ["data.dataset=auto", 'data.classes=["a", "b"]'])
    assert len(set(palette_of(other))) == 2


def test_a_page_is_written_into_the_run(tmp_path: Path):
    assert write_page(tmp_path, "<html>") == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text() == "<html>"


def test_reading_a_run_folder_imports_nothing_heavy():
    code = (
        "import importlib, pkgutil, sys, pixelwise.records as records\n"
        "for module in pkgutil.iter_modules(records.__path__, 'pixelwise.records.'):\n"
        "    importlib.import_module(module.name)\n"
        "sys.exit(str({'torch', 'timm', 'cv2', 'matplotlib', 'PIL'} & set(sys.modules) or '') or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("begun", "variables", "expected"),
    [
        (False, {"TORCHELASTIC_RESTART_COUNT": "1"}, False),
        (True, {}, False),
        (True, {"TORCHELASTIC_RESTART_COUNT": "1"}, True),
        # Started again because of another host.
        (True, {"TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_RUN_ID": "12345"}, True),
        (True, {"TORCHELASTIC_RUN_ID": "54321"}, False),
        (True, {"TORCHELASTIC_RUN_ID": "none"}, False),
    ],
)
def test_processes_that_go_on_with_a_run(
    begun: bool, variables: dict[str, str], expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    write_environment(tmp_path, Environment(launch="12345"))
    if begun:
        write_recipe(tmp_path, recipe("enet-camvid"))
    assert is_continued(tmp_path) is expected
