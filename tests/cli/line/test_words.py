"""One rule for the words of all verbs, as a table of what users type and what it means."""

from pathlib import Path

import pytest

from pixelwise.cli.line.words import images, is_setting, sort_words, training, with_data
from pixelwise.errors import DataError, PixelwiseError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two data folders, a folder named like a recipe, a recipe file, and an image whose name looks like a setting."""
    for folder in ("photos", "more", "enet-camvid"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mine.toml").write_text('base = "unet"\n', "utf-8")
    (tmp_path / "alpha=drop").touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "recipe", "data", "expected"),
    [
        ("photos", None, None, ("unet", "photos", ())),
        ("photos epochs=3", None, None, ("unet", "photos", ("epochs=3",))),
        ("epochs=3 photos", None, None, ("unet", "photos", ("epochs=3",))),
        ("unet photos", None, None, ("unet", "photos", ())),
        ("unet-resnet18 photos lr=0.1", None, None, ("unet-resnet18", "photos", ("lr=0.1",))),
        ("photos unet-resnet18", None, None, ("unet-resnet18", "photos", ())),
        ("mine.toml photos", None, None, ("mine.toml", "photos", ())),
        ("unet", None, "photos", ("unet", "photos", ())),
        ("enet-camvid", None, "photos", ("enet-camvid", "photos", ())),
        ("enet-camvid photos", None, None, ("enet-camvid", "photos", ())),
        ("./enet-camvid", None, None, ("unet", "enet-camvid", ())),
        ("photos", "unet-resnet18", None, ("unet-resnet18", "photos", ())),
        ("photos", "mine.toml", None, ("mine.toml", "photos", ())),
        ("", "enet-camvid", None, ("enet-camvid", None, ())),
        ("", "unet-resnet18", "photos", ("unet-resnet18", "photos", ())),
        ("", None, "photos", ("unet", "photos", ())),
        ("town-demo", None, None, ("town-demo", None, ())),
        ("unet", None, "nowhere", ("unet", "nowhere", ())),
    ],
)
def test_what_train_is_asked_for(words: str, recipe: str | None, data: str | None, expected: tuple):
    asked = training(words.split(), recipe, None if data is None else Path(data))
    folder = None if asked.data is None else str(asked.data)
    assert (asked.recipe, folder, asked.settings) == expected


@pytest.mark.parametrize(
    ("words", "recipe", "data", "code", "said"),
    [
        ("", None, None, "R228", "pixelwise train photos"),
        ("epochs=3", None, None, "R228", "nothing is given"),
        ("enet-camvid", None, None, "R228", "a recipe and of a folder"),
        ("photos more", None, None, "R228", "two data folders"),
        ("photos", None, "more", "R228", "two data folders"),
        ("unet photos more", None, None, "R228", "3 names"),
        ("unet photos", "unet-resnet18", None, "R228", "3 names"),
        ("phots", None, None, "R200", "'photos'"),
        ("unett photos", None, None, "R200", "'unet'"),
        ("./phots", None, None, "D222", "does not exist"),
        ("photos schedule.epochs", None, None, "R201", "schedule.epochs=VALUE"),
        ("photos epochs", None, None, "R201", "epochs=VALUE"),
        ("data", None, None, "R200", "no folder here is named 'data'"),
    ],
)
def test_what_is_unclear_is_said(words: str, recipe: str | None, data: str | None, code: str, said: str):
    with pytest.raises(PixelwiseError) as caught:
        training(words.split(), recipe, None if data is None else Path(data))
    assert caught.value.code == code
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "data", "expected"),
    [
        ("", None, (None, ())),
        ("photos", None, ("photos", ())),
        ("photos exif=ignore", None, ("photos", ("exif=ignore",))),
        ("data.exif=ignore", "photos", ("photos", ("data.exif=ignore",))),
        ("nowhere", None, ("nowhere", ())),
    ],
)
def test_the_data_folder_of_a_verb(words: str, data: str | None, expected: tuple):
    asked = with_data(words.split(), data)
    assert (None if asked.data is None else str(asked.data), asked.settings) == expected


def test_two_data_folders_are_refused():
    with pytest.raises(PixelwiseError) as caught:
        with_data(["photos"], "more")
    assert caught.value.code == "R228"
    assert not isinstance(caught.value, DataError)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("data.exif=ignore", True),
        ("data.channels=[0, 1]", True),
        ("exif=ignore", True),
        ("input_range=[0,65535]", True),
        ("optimizer.lr=1", True),
        ("lr=1", False),
        ("data/a=b.png", False),
        ("data.jpg", False),
        ("photo=1.jpg", False),
        ("data.=1", False),
        ("alpha=drop", False),
    ],
)
def test_settings_are_told_from_images(word: str, expected: bool):
    asked = images([word, "a.png"])
    assert asked.settings == ((word,) if expected else ())
    assert set(asked.names) | set(asked.settings) == {word, "a.png"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("epochs=3", True),
        ("nonsense=3", True),
        (" lr = 0.5", True),
        ("loss.terms.poly-1.weight=2", True),
        ("alpha=drop", False),
        ("a/b=3", False),
        ("=3", False),
        ("photos", False),
    ],
)
def test_a_setting_has_a_path_and_a_value_and_is_no_file(word: str, expected: bool):
    assert is_setting(word) is expected
    assert sort_words([word]) == (((), (word,)) if expected else ((word,), ()))
