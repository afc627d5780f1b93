"""What a check proposes is accepted by `train`, `evaluate` and `data split`, too, and gives the right labels there.

`evaluate` opens data by the classes of a network and prints fixes of its own, which are followed like those of a check.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from contracts.mistakes import MISTAKES, PAIRS, VOID, Mistake, Truth, no_void, pairs
from contracts.test_fixes_contract import WRONG_AT_BORDERS, alternatives, messages, over

import pixelwise
from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.cli import main
from pixelwise.errors import PixelwiseError
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe as find
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.schema.recipe import Evaluation, Recipe
from pixelwise.records.result import Result
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE
from pixelwise.storage import write_text

ONE_STEP = (
    "schedule.epochs=1",
    "schedule.warmup_iterations=0",
    "augment.crop=[32,32]",
    "selection.every_epochs=0",
    "selection.weights=last",
    "initialize.encoder=none",
    "data.workers=0",
)
# Reading with other channels, and labels of polygons that the network does not know, are about other networks.
OTHER_NETWORK = ("deep", "bands", "unnamed-label", "instances", "bilinear-without-gaps")
# Smaller masks are scored at their own size: pixels of the image per pixel of the mask.
OWN_GRID = {"smaller": 4}


def fixes_of(mistake: Mistake, root: Path) -> list[list[str]]:
    """The settings that the check proposes, together with those made before."""
    checked = pixelwise.check(root, mistake.settings)
    found = next(finding for finding in checked.audit.findings if finding.code == mistake.code)
    return [over(mistake.settings, settings) for settings in alternatives(found.fix)]


def small() -> Recipe:
    return msgspec.structs.replace(find("unet-resnet18"), model=LinearSpec(encoder="resnet10t"))


def network(run: Path, classes: Sequence[str]) -> Path:
    """Weights of a network that was trained elsewhere, for these classes."""
    recipe = small()
    data = msgspec.structs.replace(recipe.data, classes=tuple(classes))
    recipe = msgspec.structs.replace(recipe, data=data, evaluation=Evaluation(protocols=("native",)))
    torch.manual_seed(0)
    tensors = {"model": build_model(recipe, len(classes)).state_dict()}
    save_checkpoint(run / CHECKPOINTS, step=7, tensors=tensors, state={}, miou=None, metadata={})
    write_text(run / RECIPE, to_toml(recipe))
    return run


def rows(truth: Truth, number: int) -> np.ndarray:
    """Labelled pixels of each class."""
    return sum(
        (np.bincount(labels[labels != VOID], minlength=number) for labels in truth.values()), np.zeros(number, int)
    )


def named_classes(settings: Sequence[str], truth: Truth) -> Sequence[str]:
    """The classes that the settings name, or names that the data does not give."""
    given = apply_overrides(find("unet-resnet18"), settings).data.classes
    number = max(2, *(int(labels[labels != VOID].max(initial=0)) + 1 for labels in truth.values()))
    return given or tuple(f"thing {letter}" for letter in "abcdefgh"[:number])


def compare(result: Result, truth: Truth, mistake: Mistake) -> None:
    """Demand that every class was scored on its own pixels."""
    assert result.confusion_matrix is not None
    found = np.array(result.confusion_matrix).sum(axis=1)
    right = rows(truth, len(result.per_class)) // OWN_GRID.get(mistake.name, 1)
    total = right.sum()
    assert found.sum() <= total
    assert np.all(np.abs(found - right) <= (mistake.lost + WRONG_AT_BORDERS * bool(mistake.lost)) * total), (
        found,
        right,
    )


def one_per_finding(mistakes: Sequence[Mistake]) -> list[Any]:
    """All: the first with each finding is heavy; the fix of another is one more value of the same settings."""
    seen: set[str] = set()
    found = []
    for mistake in mistakes:
        mark = pytest.mark.fuzz if mistake.code in seen else pytest.mark.heavy
        found.append(pytest.param(mistake, id=mistake.name, marks=mark))
        seen.add(mistake.code)
    return found


FIXED = [mistake for mistake in MISTAKES if mistake.fixed]


@pytest.mark.parametrize("mistake", one_per_finding([one for one in FIXED if one.name not in OTHER_NETWORK]))
def test_evaluate_takes_the_fixes_of_the_check_and_its_own(tmp_path: Path, mistake: Mistake):
    truth = mistake.write(tmp_path / "data")
    tried = fixes_of(mistake, tmp_path / "data")[:1]
    run = network(tmp_path / "run", named_classes(tried[0], truth))
    try:
        result = pixelwise.evaluate(run, tmp_path / "data", "all", boundary=False, overrides=mistake.settings)
        compare(result, truth, mistake)
    except PixelwiseError as refused:
        # The first remedy is the one for the mistake; others are for another meaning of the same values.
        tried += [over(mistake.settings, settings) for settings in alternatives(refused.help or "")[:1]]
    for settings in tried:
        result = pixelwise.evaluate(run, tmp_path / "data", "all", boundary=False, overrides=settings)
        compare(result, truth, mistake)


@pytest.mark.parametrize("mistake", one_per_finding(FIXED))
def test_train_and_split_take_every_fix(tmp_path: Path, mistake: Mistake):
    truth = mistake.write(tmp_path / "data")
    for number, settings in enumerate(fixes_of(mistake, tmp_path / "data")):
        divided = pixelwise.split(tmp_path / "data", settings, output=tmp_path / f"lists{number}")
        words = over([*ONE_STEP, "sampling.batch_size=4"], settings)
        run = pixelwise.train(small(), tmp_path / "data", tmp_path / f"run{number}", overrides=words)
        result = pixelwise.evaluate(run, split="all", boundary=False)
        if number == 0:
            assert sum(divided.pairs.values()) == len(truth)
            compare(result, truth, mistake)


def plain(root: Path, number: int = PAIRS, split: Callable[[int], str] = lambda index: "") -> None:
    pairs(root, lambda labels, index: no_void(labels), number=number, split=split)


FOLDERS: dict[str, tuple[Callable[[Path], object], Sequence[str]]] = {
    "no splits": (plain, ()),
    "three images": (lambda root: plain(root, 3), ()),
    "train and test": (lambda root: plain(root, split=lambda index: "train/" if index < 9 else "test/"), ()),
    "train alone": (lambda root: plain(root, split=lambda index: "train/"), ()),
    "training and testing": (lambda root: plain(root, split=lambda index: ("training/", "testing/")[index > 8]), ()),
    'it\'s a "name" with $signs': (plain, ['data.classes=["back ground","it\'s","b"]']),
    "one without mask": (MISTAKES[[one.name for one in MISTAKES].index("missing")].write, ['data.allow=["D220"]']),
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", FOLDERS)
def test_the_command_that_a_check_ends_with_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
):
    write, settings = FOLDERS[name]
    monkeypatch.chdir(tmp_path)
    root = Path(name)
    write(root)
    checked = pixelwise.check(root, settings)
    assert not checked.refused, messages(checked)
    assert main(["check", str(root), *settings]) == 0
    printed = capfd.readouterr().out.splitlines()
    if "pixelwise data split" in printed[-1]:  # without images to score on, these are held out first
        assert main(shlex.split(printed[-1][printed[-1].index("pixelwise data split") :])[1:]) == 0
        assert main(["check", str(root), *settings]) == 0
        printed = capfd.readouterr().out.splitlines()
    words = shlex.split(printed[-1][printed[-1].index("pixelwise train") :])[1:]
    given = {word.partition("=")[0] for word in words}
    less = [word for word in (*ONE_STEP, "model.encoder=mobilenetv3_small_050") if word.partition("=")[0] not in given]
    assert main([*words, *less, "--output", "run"]) == 0, capfd.readouterr().err
    assert "mIoU" in capfd.readouterr().out
    # A hint before it may propose to divide the images.
    for line in printed:
        if "pixelwise data split" in line:
            assert main(shlex.split(line[line.index("pixelwise data split") :])[1:]) == 0
