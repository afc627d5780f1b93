"""What a shell offers, by the functions themselves and through the shell's protocol."""

import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.cli.line import completion


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for folder in ("photos/train", "unused", ".hidden"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("mine.toml", "unlike.txt", "data.jpg"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)


def words(offers: list) -> list[str]:
    return [one if isinstance(one, str) else one[0] for one in offers]


@pytest.mark.parametrize(
    ("function", "typed", "offered"),
    [
        (completion.recipes, "unet-", ["unet-resnet18"]),
        (completion.recipes, "mi", ["mine.toml"]),
        (completion.folders, "", ["photos/", "unused/"]),
        (completion.folders, "photos/t", ["photos/train/"]),
        (completion.folders, "nowhere/x", []),
        (completion.settings, "schedule.ep", ["schedule.epochs="]),
        (completion.settings, "epo", ["epochs="]),
        (completion.settings, "exif=", ["exif=apply", "exif=ignore"]),
        (
            completion.settings,
            "schedule.kind=",
            [f"schedule.kind={kind}" for kind in ("constant", "step", "poly", "cosine", "one-cycle")],
        ),
        (completion.settings, "batch_siz", []),
        (completion.data_words, "pho", ["photos/", "photometric="]),
        (completion.image_words, "data.ex", ["data.exif="]),
        (completion.image_words, "data.j", []),
        (completion.image_words, "", []),
        (completion.protocols, "nat", ["native"]),
        (completion.subjects, "D204", ["D204"]),
        (completion.names_of("pixelwise.runtimes.targets:target_names"), "onn", ["onnx"]),
    ],
)
def test_what_is_offered(function, typed: str, offered: list[str]):
    found = words(function(typed))
    assert [one for one in found if one.startswith(typed)] == found
    assert [one for one in offered if one not in found] == []
    if function is not completion.subjects:
        assert len(found) == len(offered)


def test_what_train_takes_first_is_offered_first():
    found = words(completion.training_words(""))
    assert found[:3] == ["photos/", "unused/", "unet"]
    assert "mine.toml" in found
    assert words(completion.training_words("un"))[:3] == ["unused/", "unet", "unet-resnet18"]


def test_recipes_and_runs_are_offered_together():
    assert {"photos/", "unet"} <= set(words(completion.recipes_and_runs("")))


def test_every_offer_says_what_it_means():
    assert dict(completion.settings("optimizer.lr"))["optimizer.lr="] == "Base learning rate."
    assert all(text for _, text in completion.protocols(""))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pixelwise train une", "unet-resnet18"),
        ("pixelwise train photos schedule.ep", "schedule.epochs="),
        ("pixelwise evaluate x --protocol nat", "native"),
        ("pixelwise show enet-cam", "enet-camvid"),
        ("pixelwise explain mIo", "mIoU"),
    ],
)
def test_a_shell_receives_the_offers(line: str, offered: str):
    place = len(line.split()) - 1
    script = (
        "import os, sys; "
        f"os.environ.update(_PIXELWISE_COMPLETE='complete_bash', COMP_WORDS={line!r}, COMP_CWORD='{place}'); "
        "from pixelwise.cli import main; main([]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert offered in done.stdout.split(), done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
