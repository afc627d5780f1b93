"""Statistics of normalisation layers for the weights that are evaluated: against PyTorch's own, batch by batch."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError, StoppedError
from pixelwise.layers.shared_statistics import Statistics
from pixelwise.models import SegmentationModel
from pixelwise.ranks import ALONE
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Data, Recipe
from pixelwise.training.batches import TrainingPairs
from pixelwise.training.optimization import statistics
from pixelwise.training.optimization.statistics import StatisticsRenewal, batch_size, still
from pixelwise.transforms.augmentation import random_pair
from pixelwise.transforms.color import has_color


class Net(SegmentationModel):
    """Two normalised convolutions, dropout, and a head that only training has."""

    def __init__(self) -> None:
        super().__init__(ENetSpec(), ("a", "b"))
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second, self.second_norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4, momentum=0.3)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(4, 2, 1)
        self.auxiliary = nn.BatchNorm2d(4)

    def features(self, images: Tensor) -> Tensor:
        seen = self.norm(self.conv(images)).relu()
        return self.dropout(self.second_norm(self.second(seen)).relu())

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        seen = self.features(images)
        main = self.classifier(seen)
        return (main, self.classifier(self.auxiliary(seen))) if self.training else (main,)


def images(number: int) -> list[np.ndarray]:
    """Images that differ much: of a colour each, with a little noise."""
    random = np.random.default_rng(0)
    means = random.integers(20, 230, (number, 1, 1, 3))
    return list(np.clip(means + random.normal(0, 8, (number, 12, 16, 3)), 0, 255).astype(np.uint8))


def pairs_of(pictures: list[np.ndarray], recipe: Recipe, folder: Path) -> TrainingPairs:
    """The images as files of a data set, with labels."""
    labels = (np.arange(12 * 16).reshape(12, 16) % 2).astype(np.uint8)
    for kind in ("images", "masks"):
        (folder / kind / "train").mkdir(parents=True)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / "images" / "train" / f"{number:03d}.png")
        Image.fromarray(labels).save(folder / "masks" / "train" / f"{number:03d}.png")
    dataset = open_dataset(Data(), folder)
    return TrainingPairs(dataset, dataset.samples("train"), recipe)


def recipe_with(*changes: str) -> Recipe:
    common = ["sampling.batch_size=2", "augment.crop=[12, 16]", "augment.flip=0", "augment.brightness=0"]
    return apply_overrides(find_recipe("town-demo"), [*common, "augment.contrast=0", *changes])


def network() -> Net:
    torch.manual_seed(0)
    net = Net()
    for norm in (net.norm, net.second_norm, net.auxiliary):
        norm.running_mean = torch.full((4,), 3.0)
        norm.running_var = torch.full((4,), 7.0)
    return net


def test_two_batches_by_hand():
    first, second = (Statistics(torch.tensor([a]), torch.tensor([b])) for a, b in ((1.0, 2.0), (3.0, 4.0)))
    mean, variance = torch.zeros(1), torch.zeros(1)
    statistics._write(statistics._Layer(mean, variance, [(2, first), (2, second)]), ALONE)
    # The variance within the batches is 3 on average; their means lie 1 from that of all.
    assert (mean.item(), variance.item()) == (2.0, 4.0)
    infinite = [(2, Statistics(torch.tensor([float("inf")]), torch.tensor([1.0])))]
    statistics._write(statistics._Layer(mean, variance, infinite), ALONE)
    assert (mean.item(), variance.item()) == (2.0, 4.0)
    statistics._write(statistics._Layer(mean, variance, [(3, first), (1, second)]), ALONE)
    # Three images have the mean 1, one has 3: 1.5. Within: (3 * 2 + 4) / 4; between: (3 * 0.25 + 2.25) / 4.
    assert (mean.item(), variance.item()) == (1.5, 2.5 + 0.75)


def test_every_layer_gets_mean_and_variance_of_what_it_sees(tmp_path: Path):
    recipe = recipe_with("selection.statistics_images=16")
    net, pictures = network(), images(16)
    renew = StatisticsRenewal(recipe, pairs_of(pictures, recipe, tmp_path), ALONE)
    expected = {}
    own = network().train()
    own.dropout.eval()
    for norm in ("norm", "second_norm"):
        getattr(own, norm).momentum = 1.0
    found: dict[str, list[tuple[Tensor, Tensor]]] = {"norm": [], "second_norm": []}
    for indices in renew._batches:
        assert len(indices) == 8  # four batches of the training
        batch = torch.stack([torch.from_numpy(pictures[index]).permute(2, 0, 1) for index in indices]) / 255
        mean, std = (torch.tensor(one)[:, None, None] for one in (net.preprocessing.mean, net.preprocessing.std))
        own.features((batch - mean) / std)
        for name, kept in found.items():
            norm = getattr(own, name)
            kept.append((norm.running_mean.clone(), norm.running_var.clone()))
    for name, kept in found.items():
        means, variances = (torch.stack(one) for one in zip(*kept, strict=True))
        expected[name] = (means.mean(0), variances.mean(0) + ((means - means.mean(0)) ** 2).mean(0))
    renew(net)
    for name, (mean, variance) in expected.items():
        torch.testing.assert_close(getattr(net, name).running_mean, mean)
        torch.testing.assert_close(getattr(net, name).running_var, variance)


def test_nothing_else_changes(tmp_path: Path):
    recipe = recipe_with("selection.statistics_images=16")
    net = network()
    net.dropout.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = {name: module.training for name, module in net.named_modules()}
    drawn = torch.get_rng_state()
    StatisticsRenewal(recipe, pairs_of(images(16), recipe, tmp_path), ALONE)(net)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert {name: module.training for name, module in net.named_modules()} == modes
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"{name}.running_{kind}" for name in ("norm", "second_norm") for kind in ("mean", "var")}


class Pooled(Net):
    """Normalises what global pooling leaves of an image: a single value per channel."""

    def features(self, images: Tensor) -> Tensor:
        seen = self.norm(self.conv(images)).relu()
        return seen + self.second_norm(self.second(seen).mean((2, 3), keepdim=True))


@pytest.mark.parametrize(
    ("there", "changes", "renewed"),
    [
        (1, (), False),
        (11, ("selection.statistics_images=1",), False),
        (11, ("augment.crop=none",), True),  # batches of two and one of one
        (2, (), True),
    ],
)
def test_one_value_per_channel_has_no_variance(there: int, changes: tuple[str, ...], renewed: bool, tmp_path: Path):
    recipe = recipe_with("selection.statistics_images=64", *changes)
    torch.manual_seed(0)
    net = Pooled()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    StatisticsRenewal(recipe, pairs_of(images(there), recipe, tmp_path), ALONE)(net)
    after = net.state_dict()
    for name in ("running_mean", "running_var"):
        assert not torch.equal(after[f"norm.{name}"], before[f"norm.{name}"])
        assert torch.equal(after[f"second_norm.{name}"], before[f"second_norm.{name}"]) is not renewed
    assert all(value.isfinite().all() for value in after.values())


def test_what_the_statistics_were_before_does_not_matter(tmp_path: Path):
    recipe = recipe_with("selection.statistics_images=10")
    renew = StatisticsRenewal(recipe, pairs_of(images(16), recipe, tmp_path), ALONE)
    net, other = network(), network()
    other.norm.running_mean = torch.full((4,), -20.0)
    for one in (net, other, other):
        renew(one)
    found, again = net.state_dict(), other.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in found.items())


@pytest.mark.parametrize(
    ("wanted", "there", "batch", "batches"),
    [(64, 100, 4, [16] * 4), (64, 40, 4, [14, 13, 13]), (5, 40, 8, [5]), (64, 3, 1, [3]), (64, 64, 32, [32, 32])],
)
def test_images_are_drawn_once_each_into_batches_of_the_same_size(
    wanted: int, there: int, batch: int, batches: list[int], tmp_path: Path
):
    recipe = recipe_with(f"selection.statistics_images={wanted}", f"sampling.batch_size={batch}")
    renew = StatisticsRenewal(recipe, pairs_of(images(there), recipe, tmp_path), ALONE)
    assert [len(one) for one in renew._batches] == batches
    drawn = np.concatenate(renew._batches)
    assert len(set(drawn.tolist())) == len(drawn) == min(wanted, there)


def test_images_that_have_their_own_sizes_are_taken_as_the_training_takes_them():
    recipe = recipe_with("augment.crop=none", "augment.resize=none", "sampling.batch_size=1")
    assert batch_size(recipe) == 1
    assert batch_size(recipe_with("sampling.batch_size=1")) == 4


def test_a_request_to_stop_changes_no_statistic(tmp_path: Path):
    recipe = recipe_with("selection.statistics_images=16")
    net = network()
    answers = iter([False, True])
    with pytest.raises(StoppedError):
        StatisticsRenewal(recipe, pairs_of(images(16), recipe, tmp_path), ALONE)(net, lambda: next(answers))
    assert net.norm.running_mean is not None
    assert (net.norm.running_mean == 3).all()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    recipe = recipe_with("selection.statistics_images=2")
    pairs = pairs_of(images(2), recipe, tmp_path)
    (tmp_path / "images" / "train" / "001.png").unlink()
    with pytest.raises(DataError, match=r"001\.png"):
        StatisticsRenewal(recipe, pairs, ALONE)(network())


def test_networks_without_batch_normalisation_read_nothing(tmp_path: Path):
    class Plain(SegmentationModel):
        def __init__(self) -> None:
            super().__init__(ENetSpec(), ("a", "b"))
            self.conv, self.norm = nn.Conv2d(3, 2, 1), nn.GroupNorm(1, 2)

        def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
            raise AssertionError("it was computed")

    recipe = recipe_with("selection.statistics_images=2")
    StatisticsRenewal(recipe, pairs_of(images(2), recipe, tmp_path), ALONE)(Plain())


def test_an_image_of_the_size_of_the_crop_stays_as_it_is_whatever_the_augmentation():
    augments = {name: find_recipe(name).augment for name in ("unet", "enet-camvid", "town-demo", "generic-eomt")}
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    labels = np.random.default_rng(1).integers(0, 3, (32, 64), dtype=np.uint8)
    for name, augment in augments.items():
        wanted = still(msgspec.structs.replace(augment, crop=(32, 64), fit=None, resize=None))
        for seed in range(3):
            seen, told = random_pair(image, labels, wanted, np.random.default_rng(seed), (0, 0, 0))
            assert np.array_equal(seen, image), name
            assert np.array_equal(told, labels), name
        assert not has_color(wanted)


@pytest.mark.parametrize("every", [0, 1])
@pytest.mark.parametrize("averaged", [True, False], ids=["average", "weights"])
def test_the_saved_network_has_them(every: int, averaged: bool, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    from pixelwise.training.runs import train

    ends = ["schedule.iterations=3", f"selection.every_epochs={every}", "selection.weights=last"]
    changes = [*ends, *([] if averaged else ["ema=none"])]
    found = []
    for number in (0, 4):
        run = train(
            str(tiny_recipe), data=tiny_data, output=tmp_path / f"run{number}", threads=1,
            overrides=[*changes, f"selection.statistics_images={number}"],
        )  # fmt: skip
        checkpoint = newest_checkpoint(run / "checkpoints")
        assert checkpoint is not None
        found.append(checkpoint.tensors("ema" if averaged else "model"))
    plain, renewed = found
    differing = {name for name in plain if not torch.equal(plain[name], renewed[name])}
    assert differing
    assert {name.rpartition(".")[2] for name in differing} == {"running_mean", "running_var"}


def test_a_run_whose_last_statistics_failed_gets_them_when_it_is_resumed(
    tiny_data: Path, tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from pixelwise.training.runs import resume, train

    changes = ["schedule.iterations=3", "selection.every_epochs=0", "selection.weights=last"]

    def begin(name: str) -> Path:
        settings = [*changes, "selection.statistics_images=4"]
        return train(str(tiny_recipe), data=tiny_data, output=tmp_path / name, threads=1, overrides=settings)

    def fail(*_: object) -> None:
        raise ValueError("unexpected")

    undisturbed = begin("undisturbed")
    with monkeypatch.context() as patched:
        patched.setattr(StatisticsRenewal, "__call__", fail)
        with pytest.raises(ValueError, match="unexpected"):
            begin("run")
    assert newest_checkpoint(tmp_path / "run" / "checkpoints") is not None  # the training is not lost
    resume(tmp_path / "run")
    expected, found = (newest_checkpoint(folder / "checkpoints") for folder in (undisturbed, tmp_path / "run"))
    assert expected is not None
    assert found is not None
    for part in ("ema", "model"):
        tensors = found.tensors(part)
        assert all(torch.equal(value, tensors[name]) for name, value in expected.tensors(part).items())
