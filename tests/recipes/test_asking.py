import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.errors import DataError, PixelwiseError, RecipeError
from pixelwise.recipes.asking import DEFAULT_RECIPE, recipe_and_data
from pixelwise.recipes.catalog import recipe


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder `photos`, a folder named like a recipe, a recipe file and a file of another kind."""
    for folder in ("photos", "enet-camvid", "with.toml"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mine.toml").write_text('base = "unet"\n', "utf-8")
    (tmp_path / "list.txt").write_text("", "utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("first", "data", "expected"),
    [
        ("photos", None, (DEFAULT_RECIPE, Path("photos"))),
        (Path("photos"), None, (DEFAULT_RECIPE, Path("photos"))),
        ("photos/", None, (DEFAULT_RECIPE, Path("photos"))),
        ("./enet-camvid", None, (DEFAULT_RECIPE, Path("enet-camvid"))),
        ("with.toml", None, (DEFAULT_RECIPE, Path("with.toml"))),
        ("unet", None, ("unet", None)),
        ("unet", "photos", ("unet", Path("photos"))),
        ("unet", "nowhere", ("unet", Path("nowhere"))),
        ("enet-camvid", "photos", ("enet-camvid", Path("photos"))),
        ("mine.toml", "photos", ("mine.toml", Path("photos"))),
        ("missing.toml", None, ("missing.toml", None)),
        (Path("mine.toml"), None, (Path("mine.toml"), None)),
    ],
)
def test_what_is_meant(first, data, expected):
    assert recipe_and_data(first, data) == expected


def test_a_recipe_object_is_itself():
    unet = recipe("unet")
    assert recipe_and_data(unet) == (unet, None)
    assert recipe_and_data(unet, "photos") == (unet, Path("photos"))


@pytest.mark.parametrize(
    ("first", "data", "kind", "code", "said"),
    [
        ("enet-camvid", None, RecipeError, "R228", "'enet-camvid' is the name of a recipe and of a folder here"),
        ("photos", "photos", RecipeError, "R228", "two data folders are given, photos and photos"),
        ("unett", None, RecipeError, "R200", "no recipe and no folder here is named 'unett'; did you mean 'unet"),
        ("fotos", None, RecipeError, "R200", "did you mean 'photos'"),
        ("fotos", "photos", RecipeError, "R200", "no recipe is named 'fotos'"),
        ("./fotos", None, DataError, "D222", "./fotos: does not exist"),
        ("list.txt", None, DataError, "D222", "list.txt: is not a folder"),
    ],
)
def test_what_cannot_be_meant_is_said(first: str, data: str | None, kind: type, code: str, said: str):
    with pytest.raises(PixelwiseError) as caught:
        recipe_and_data(first, data)
    assert isinstance(caught.value, kind)
    assert caught.value.code == code
    assert said in caught.value.message


def test_the_ways_out_work():
    with pytest.raises(RecipeError) as caught:
        recipe_and_data("enet-camvid")
    assert "./enet-camvid" in caught.value.help
    assert recipe_and_data("./enet-camvid") == (DEFAULT_RECIPE, Path("enet-camvid"))
    assert recipe_and_data("enet-camvid", "enet-camvid") == ("enet-camvid", Path("enet-camvid"))


def test_torch_stays_out():
    script = (
        "import sys; from pixelwise.recipes.asking import recipe_and_data; recipe_and_data('photos'); "
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
