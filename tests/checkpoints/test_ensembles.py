from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
import torch

from pixelwise.checkpoints.ensembles import Ensemble, load_network
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.preprocessing import standardize_
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.records.folds.cross_validation import CrossValidation, write_cross_validation
from pixelwise.records.run_folder import read_recipe
from tests.plain_recipe import PLAIN


def networks(number: int) -> list[SegmentationModel]:
    found = []
    for seed in range(number):
        torch.manual_seed(seed)
        found.append(build_model(PLAIN, num_classes=3).eval())
    return found


@torch.no_grad()
def test_probabilities_are_averaged():
    first, second = networks(2)
    images = torch.rand(1, 3, 33, 47)
    logits = Ensemble([first, second]).eval().head_logits(images)[0]
    expected = (first.head_logits(images)[0].softmax(1) + second.head_logits(images)[0].softmax(1)) / 2
    torch.testing.assert_close(logits.softmax(1), expected)


@torch.no_grad()
def test_of_equal_networks_it_says_what_each_of_them_says():
    (one,) = networks(1)
    images = torch.rand(2, 3, 32, 32)
    both = Ensemble([one, one]).eval()(images)
    torch.testing.assert_close(both.softmax(1), one(images).softmax(1), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_classes_by_themselves_are_averaged_each():
    pair = networks(2)
    for one in pair:
        one.multilabel = True
    images = torch.rand(1, 3, 32, 32)
    expected = sum(one.head_logits(images)[0].sigmoid() for one in pair) / 2
    torch.testing.assert_close(Ensemble(pair).eval().head_logits(images)[0].sigmoid(), expected)


@torch.no_grad()
def test_each_network_sees_images_normalised_for_it():
    first, second = networks(2)
    second.preprocessing = Preprocessing(mean=(0.2, 0.3, 0.4), std=(0.5, 0.25, 0.2))
    pixels = torch.rand(1, 3, 32, 32)
    seen = standardize_(pixels.clone(), first.preprocessing)
    expected = first.head_logits(seen)[0].softmax(1)
    expected = (expected + second.head_logits(standardize_(pixels.clone(), second.preprocessing))[0].softmax(1)) / 2
    torch.testing.assert_close(Ensemble([first, second]).eval().head_logits(seen)[0].softmax(1), expected)


def folds_of(run: Path, folder: Path) -> Path:
    recipe = read_recipe(run)
    for fold in ("fold-0", "fold-1"):
        shutil.copytree(run, folder / fold)
    write_cross_validation(folder, CrossValidation(name=recipe.name, recipe=to_toml(recipe), folds=2, images=14))
    return folder


def test_a_cross_validation_loads_as_one_network(tiny_run: Path, tmp_path: Path):
    alone = load_network(tiny_run)
    assert not alone.is_ensemble
    together = load_network(folds_of(tiny_run, tmp_path / "out"))
    assert together.is_ensemble
    assert together.run == tmp_path / "out" / "fold-0"
    assert together.weights_sha256 != alone.weights_sha256
    assert msgspec.to_builtins(together.one.recipe) == msgspec.to_builtins(alone.one.recipe)


def test_an_unfinished_fold_is_named(tiny_run: Path, tmp_path: Path):
    out = folds_of(tiny_run, tmp_path / "out")
    (out / "fold-1" / "recipe.toml").unlink()
    with pytest.raises(CheckpointError, match="fold-1 of its 2 folds is not finished") as caught:
        load_network(out)
    way = f"continue with: pixelwise resume {out}"
    assert (caught.value.code, caught.value.help) == ("K421", f"{way}; a single fold predicts alone: {out / 'fold-0'}")
    (out / "fold-0" / "recipe.toml").unlink()
    with pytest.raises(CheckpointError, match="fold-0, fold-1 of its 2 folds are not finished") as caught:
        load_network(out)
    assert caught.value.help == way
