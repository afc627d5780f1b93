import os
import pickle
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from prediction.shards.killing import killed_workers

import pixelwise
from pixelwise.datasets.auditing.options import CheckOptions
from pixelwise.errors import RecipeError
from pixelwise.prediction.shards import ray_engine


def test_the_page_and_the_recipe_file_are_written(tiny_data: Path, tmp_path: Path):
    checked = pixelwise.check(tiny_data, html=tmp_path / "page.html", write=tmp_path / "mine.toml")
    assert not checked.refused
    assert tomllib.loads((tmp_path / "mine.toml").read_text())["data"]["classes"] == ["ground", "box", "ball"]
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    # The file is one that training takes.
    assert pixelwise.recipe(str(tmp_path / "mine.toml")).data.dataset == "folder"


def test_options_come_as_a_struct_or_by_keyword(tiny_data: Path):
    options = CheckOptions(recipe="town-demo")
    overrides = ["data.dataset=folder"]
    assert pixelwise.check(tiny_data, overrides, options).recipe.name == "town-demo"
    assert pixelwise.check(tiny_data, overrides, options, recipe="enet-camvid").recipe.name == "enet-camvid"
    with pytest.raises(TypeError, match="did you mean 'recipe'"):
        pixelwise.check(tiny_data, recipes="town-demo")


def test_nothing_is_written_without_being_asked_for(tiny_data: Path):
    before = sorted(tiny_data.rglob("*"))
    pixelwise.check(tiny_data, fresh=True)
    assert sorted(tiny_data.rglob("*")) == before


def test_a_recipe_file_does_not_become_its_own_base(tiny_data: Path, tmp_path: Path):
    mine = tmp_path / "mine.toml"
    mine.write_text('base = "unet-resnet18"\n', "utf-8")
    with pytest.raises(RecipeError, match="`write`") as caught:
        pixelwise.check(tiny_data, recipe=str(mine), write=tmp_path / "x" / ".." / "mine.toml")
    assert caught.value.code == "R205"
    assert mine.read_text("utf-8") == 'base = "unet-resnet18"\n'


def test_paths_of_files_may_be_text(tiny_data: Path, tmp_path: Path):
    pixelwise.check(str(tiny_data), html=str(tmp_path / "page.html"), write=str(tmp_path / "mine.toml"))
    assert (tmp_path / "page.html").is_file()
    assert (tmp_path / "mine.toml").is_file()


def test_settings_are_held_against_the_data(tiny_data: Path, run_cli: Callable):
    overrides = [
        "augment.crop=[32,48]",
        "schedule.epochs=10",
        "schedule.warmup_iterations=100",
        "sampling.batch_size=4",
    ]
    (one,) = pixelwise.check(tiny_data, overrides).settings
    assert (one.code, one.severity, one.fix) == ("W511", "warning", "schedule.warmup_iterations=2")
    assert pixelwise.check(tiny_data, [*overrides, one.fix]).settings == ()
    code, stdout, _ = run_cli(["check", tiny_data, *overrides])
    assert code == 0
    assert f"warning W511  {one.message}" in stdout
    assert "fix: schedule.warmup_iterations=2" in stdout
    # It is a warning about the recipe, so the data is ready.
    assert "; ready: pixelwise train" in stdout.splitlines()[-1]  # after the number of warnings about the data


@pytest.mark.parametrize("read", [True, False])
def test_a_terminal_reads_what_was_found_and_a_program_does_not(
    read: bool, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("pixelwise.api.check.is_read_here", lambda: read)
    checked = pixelwise.check(str(tiny_data))
    assert (checked.verdict in capsys.readouterr().out) == read
    pixelwise.check(str(tiny_data), observer=pixelwise.Observer())  # as the command line does, which prints itself
    assert capsys.readouterr().out == ""


def test_parts_take_no_options_about_the_whole(tiny_data: Path, tmp_path: Path):
    for option in ({"fresh": True}, {"html": tmp_path / "a.html"}, {"write": tmp_path / "a.toml"}):
        with pytest.raises(RecipeError, match=f"`{next(iter(option))}` does not go with `shard`") as caught:
            pixelwise.check_part(tiny_data, "0/2", **option)
        assert caught.value.code == "R251"
    with pytest.raises(RecipeError, match="expected I/N") as caught:
        pixelwise.check_part(tiny_data, "2/2")
    assert caught.value.code == "R260"


def test_a_part_is_that_of_the_positions(tiny_data: Path):
    total = sum(pixelwise.check(tiny_data).audit.splits.values())
    part = pixelwise.check_part(str(tiny_data), "1/2", recipe="unet")
    assert (part.first, part.pairs, part.total) == (total // 2, total - total // 2, total)


def test_workers_find_what_one_process_finds(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "one"))
    here = pixelwise.check(tiny_data)
    asked = []

    def over_ray(units: list, open_worker: Callable, kind: type, options: CheckOptions) -> Iterator:
        asked.append((len(units), kind.__name__, options.workers))
        work = pickle.loads(pickle.dumps(open_worker))()
        return (work(unit) for unit in reversed(units))

    monkeypatch.setattr(ray_engine, "over_ray", over_ray)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "several"))
    for _ in range(2):  # what is known already needs no workers
        assert msgspec.json.encode(
            pixelwise.check(tiny_data, engine="ray", workers=2).to_plain()
        ) == msgspec.json.encode(here.to_plain())
    assert asked == [(1, "Brief", 2)]


def test_workers_are_not_asked_for_in_vain(tiny_data: Path):
    with pytest.raises(RecipeError, match="`workers` and `address` are for Ray") as caught:
        pixelwise.check(tiny_data, workers=2)
    assert caught.value.code == "R251"
    with pytest.raises(RecipeError, match="`shard` is a part for one job of an array") as caught:
        pixelwise.check_part(tiny_data, "0/2", engine="ray")
    assert caught.value.code == "R251"


@pytest.mark.fuzz  # Ray starts in ten seconds
def test_workers_of_ray_that_are_killed_leave_what_one_process_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    overrides = ["data.town_images=[240,20,20]", "data.town_size=[96,128]"]
    root = pixelwise.draw_town(tmp_path / "town", overrides).root
    root.joinpath("images", "train", "0003.png").write_bytes(b"no image")
    for path in root.rglob("*.png"):
        os.utime(path, (1e9, 1e9))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "one"))
    here = pixelwise.check(root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "several"))
    with killed_workers() as killed:
        there = pixelwise.check(root, engine="ray", workers=1)
    assert killed
    assert msgspec.json.encode(there.to_plain()) == msgspec.json.encode(here.to_plain())
    assert [found.code for found in there.audit.errors] == ["D102"]
