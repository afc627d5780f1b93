from pathlib import Path

import pytest

import pixelwise
from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.files import find, load_toml
from pixelwise.recipes.overrides import to_toml


@pytest.mark.parametrize("name", list_recipes())
def test_toml_is_read_back_equal(name: str, tmp_path: Path):
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(recipe(name)), "utf-8")
    assert load_toml(path) == recipe(name)


def test_the_public_name_takes_a_name_or_a_file(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "enet-camvid"\n[optimizer]\nlr = 0.1\n', "utf-8")
    assert pixelwise.recipe("enet-camvid") == find("enet-camvid") == recipe("enet-camvid")
    assert pixelwise.recipe(str(path)) == find(str(path)) == load_toml(path)


def test_a_file_may_be_given_as_a_path(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "enet-camvid"\n[optimizer]\nlr = 0.25\n', "utf-8")
    assert pixelwise.recipe(path) == pixelwise.recipe(str(path))
    assert pixelwise.recipe(path).optimizer.lr == 0.25
    assert pixelwise.explain(path) == pixelwise.explain(str(path))


def test_the_catalogue_does_not_read_files(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(recipe("enet-camvid")), "utf-8")
    with pytest.raises(RecipeError) as caught:
        recipe(str(path))
    assert caught.value.code == "R200"


def test_a_file_with_a_base_changes_only_what_it_names(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "enet-camvid"\n[optimizer]\nlr = 0.1\n[schedule]\niterations = 9\n', "utf-8")
    mine = find(str(path))
    assert (mine.name, mine.optimizer.lr, mine.optimizer.weight_decay) == ("mine", 0.1, 2e-4)
    assert (mine.schedule.epochs, mine.schedule.iterations) == (None, 9)
    assert mine.published is None


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_circular_bases_are_named(names: list[str], tmp_path: Path):
    files = [tmp_path / f"{name}.toml" for name in names]
    for file, base in zip(files, [*files[1:], files[0]], strict=True):
        file.write_text(f'base = "{base}"\n', "utf-8")
    with pytest.raises(RecipeError) as caught:
        find(str(files[0]))
    assert caught.value.code == "R205"
    assert " -> ".join(map(str, [*files, files[0]])) in caught.value.message
    assert caught.value.help


def test_a_base_may_be_a_file_with_a_base(tmp_path: Path):
    (tmp_path / "a.toml").write_text('base = "enet-camvid"\n[optimizer]\nlr = 0.1\n', "utf-8")
    (tmp_path / "b.toml").write_text(f'base = "{tmp_path}/a.toml"\n[sampling]\nseed = 3\n', "utf-8")
    changed = find(str(tmp_path / "b.toml"))
    assert (changed.name, changed.optimizer.lr, changed.sampling.seed) == ("b", 0.1, 3)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path):
    path = tmp_path / "bad.toml"
    path.write_text("optimizer = [", "utf-8")
    with pytest.raises(RecipeError, match=r"bad\.toml") as caught:
        find(str(path))
    assert caught.value.code == "R205"


def test_an_unknown_field_in_a_file_names_the_file(tmp_path: Path):
    path = tmp_path / "typo.toml"
    path.write_text('base = "enet-camvid"\n[ema]\ndecai = 0.9\n', "utf-8")
    with pytest.raises(RecipeError, match=r"typo\.toml: ema .*'decai'.*'decay'") as caught:
        find(str(path))
    assert caught.value.code == "R202"


def test_a_byte_order_mark_and_crlf_are_accepted(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b'\xef\xbb\xbfbase = "enet-camvid"\r\n[optimizer]\r\nlr = 0.25\r\n')
    assert load_toml(path).optimizer.lr == 0.25
