import errno
import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError, RecipeError, ResourceError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Augment, Data, Recipe
from pixelwise.training import batches as loading
from pixelwise.training import decoded_cache
from pixelwise.training.batches import Batch, collate, mix_items


def pair(size: tuple[int, int] = (2, 3), value: int = 0):
    return np.full((*size, 3), value, np.uint8), np.zeros(size, np.uint8), None, f"image {value}"


def test_pairs_are_stacked_in_order_as_uint8():
    batch = collate([pair(value=1), pair(value=2)])
    assert isinstance(batch, Batch)
    assert (batch.images.shape, batch.images.dtype) == ((2, 2, 3, 3), torch.uint8)
    assert batch.images[:, 0, 0, 0].tolist() == [1, 2]
    assert batch.ids == ["image 1", "image 2"]
    assert batch.colors is None


def test_the_first_error_is_returned_instead_of_a_batch():
    error = DataError("D101", "a.png: truncated")
    assert collate([pair(), error, pair()]) is error


def test_different_sizes_are_an_error_that_names_them():
    error = collate([pair((2, 3)), pair((4, 5))])
    assert isinstance(error, RecipeError)
    assert "2x3, 4x5" in error.message


def test_errors_survive_the_way_from_a_worker_process():
    error = pickle.loads(pickle.dumps(DataError("D101", "a.png: truncated", "export it again")))
    assert (error.code, error.message, error.help) == ("D101", "a.png: truncated", "export it again")
    assert str(error) == "error[D101]: a.png: truncated\nhelp: export it again"
    with pytest.raises(DataError):
        raise error


@pytest.mark.parametrize(("number", "attempts"), [(errno.EIO, 3), (errno.ENOENT, 1)])
def test_only_transient_failures_are_tried_again(
    number: int, attempts: int, monkeypatch: pytest.MonkeyPatch, tiny_data: Path
):
    dataset = open_dataset(Data(), tiny_data)
    calls: list[int] = []

    def failing(*arguments: object):
        calls.append(1)
        raise DataError("D131", "images/a.png: cannot be read") from OSError(number, "no")

    monkeypatch.setattr(loading, "read_to_learn", failing)
    monkeypatch.setattr(loading, "RETRY_SECONDS", 0.0)
    pairs = loading.TrainingPairs(dataset, dataset.samples("train"), recipe("unet-resnet18"))
    error = pairs[0, 0]
    assert isinstance(error, DataError)
    assert len(calls) == attempts
    assert error.code == ("D135" if attempts == 3 else "D131")
    assert "images/a.png" in error.message


def batches(pairs: loading.TrainingPairs, settings: Recipe, workers: int, start: int = 0) -> list[Batch]:
    def warn(code: str, message: str) -> None:
        raise AssertionError(message)

    return list(loading.training_batches(pairs, settings, start=start, steps=4, workers=workers, warn=warn))


@pytest.mark.parametrize("mix", ["cutmix", "classmix"])
def test_mixed_batches_do_not_depend_on_workers_or_on_where_a_run_was_resumed(mix: str, tiny_data: Path):
    settings = apply_overrides(
        recipe("unet-resnet18"),
        [f"augment.mix={mix}", "augment.mix_probability=0.7", "augment.photometric=mmseg", "augment.crop=[32, 40]",
         "sampling.batch_size=4"],
    )  # fmt: skip
    dataset = open_dataset(Data(), tiny_data)
    pairs = loading.TrainingPairs(dataset, dataset.samples("train"), settings)
    whole = batches(pairs, settings, workers=0)
    for others in (batches(pairs, settings, workers=2), [*whole[:2], *batches(pairs, settings, workers=0, start=2)]):
        for one, other in zip(whole, others, strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.labels, other.labels)
            assert one.ids == other.ids
    unmixed = batches(pairs, apply_overrides(settings, ["augment.mix_probability=0.0"]), workers=0)
    assert len(unmixed) == len(whole)


def test_pairs_are_mixed_with_the_unmixed_next_pair():
    augment = Augment(mix="cutmix", mix_probability=1.0)
    items = [
        (np.full((40, 40, 3), value, np.uint8), np.full((40, 40), value, np.uint8), None, f"{value}")
        for value in range(3)
    ]
    mixed = mix_items(items, [(0, 5), (0, 1), (0, 2)], augment, 7)
    for position, (image, labels, color, name) in enumerate(mixed):
        assert set(np.unique(labels)) == {position, (position + 1) % 3}
        assert (labels != position).mean() == pytest.approx(0.5, abs=0.03)
        assert np.array_equal(image[..., 0], labels)
        assert (color, name) == (None, str(position))
    assert all((items[value][1] == value).all() for value in range(3))


def test_the_share_of_mixed_pairs_is_their_probability_and_sizes_must_agree():
    augment = Augment(mix="cutmix", mix_probability=0.3)
    items = [(np.full((4, 4, 3), value, np.uint8), np.full((4, 4), value, np.uint8), None, "") for value in range(2)]
    changed = 0
    for index in range(2000):
        mixed = mix_items(items, [(0, 2 * index), (0, 2 * index + 1)], augment, 7)
        changed += sum((labels != value).any() for value, (_, labels, _, _) in enumerate(mixed))
    assert changed / 4000 == pytest.approx(0.3, abs=0.03)
    unlike = [items[0], (np.ones((5, 4, 3), np.uint8), np.ones((5, 4), np.uint8), None, "")]
    for (_, before, _, _), (_, after, _, _) in zip(
        unlike, mix_items(unlike, [(0, 0), (0, 1)], augment, 7), strict=True
    ):
        assert np.array_equal(before, after)


def test_an_error_in_a_mixed_batch_is_returned(monkeypatch: pytest.MonkeyPatch, tiny_data: Path):
    dataset = open_dataset(Data(), tiny_data)
    settings = apply_overrides(recipe("unet-resnet18"), ["augment.mix=cutmix"])
    pairs = loading.TrainingPairs(dataset, dataset.samples("train"), settings)
    error = DataError("D101", "a.png: truncated")
    monkeypatch.setattr(loading, "read_to_learn", lambda sample, dataset: (_ for _ in ()).throw(error))
    assert collate(pairs.__getitems__([(0, 0), (0, 1)])) is error


def test_padding_has_the_mean_colour_of_the_networks_preprocessing(tiny_data: Path):
    dataset = open_dataset(Data(), tiny_data)
    settings = apply_overrides(
        recipe("unet-resnet18"),
        ["augment.fill=mean", "augment.pad=end", "augment.crop=[200, 200]", "augment.resampling=bilinear"],
    )
    item = loading.TrainingPairs(dataset, dataset.samples("train"), settings)[0, 0]
    assert isinstance(item, tuple)
    image, labels, _, _ = item
    assert labels[-1, -1] == 255
    assert image[-1, -1].tolist() == [124, 116, 104]


@pytest.mark.parametrize("cached", ["no", "memory", "shared"])
def test_a_spawned_process_reads_the_same_pairs(cached: str, tiny_data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoded_cache, "FORKS", cached != "shared")
    dataset = open_dataset(Data(), tiny_data)
    pairs = loading.TrainingPairs(dataset, dataset.samples("train"), recipe("unet-resnet18"))
    if cached != "no":
        decoded_cache.keep_in_memory(pairs)
    there = pickle.loads(ForkingPickler.dumps(pairs))
    assert (len(there), there.samples[0].id) == (8, pairs.samples[0].id)
    for one, other in zip(there[1, 5], pairs[1, 5], strict=True):
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    for function in (collate, loading._begin_worker):
        assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.heavy
@pytest.mark.parametrize("cached", [False, True])
def test_batches_of_spawned_processes_are_the_same(cached: bool, tiny_data: Path, monkeypatch: pytest.MonkeyPatch):
    dataset = open_dataset(Data(), tiny_data)
    settings = apply_overrides(recipe("unet-resnet18"), ["augment.crop=[32, 40]", "sampling.batch_size=4"])
    pairs = loading.TrainingPairs(dataset, dataset.samples("train"), settings)
    here = batches(pairs, settings, workers=0)
    monkeypatch.setattr(loading, "START_METHOD", "spawn")
    monkeypatch.setattr(decoded_cache, "FORKS", False)
    if cached:
        decoded_cache.keep_in_memory(pairs)
    for one, other in zip(here, batches(pairs, settings, workers=2), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert one.ids == other.ids


@pytest.mark.parametrize("forks", [True, False])
def test_where_processes_are_spawned_the_help_names_the_main_guard(
    forks: bool, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loading, "FORKS", forks)
    dataset = open_dataset(Data(), tiny_data)
    pairs = loading.TrainingPairs(dataset, dataset.samples("train"), recipe("unet-resnet18"))
    with pytest.raises(ResourceError) as caught:
        loading._handle_worker_death(4, [0], pairs, RuntimeError("died"), lambda code, message: None)
    assert caught.value.code == "S603"
    assert ("__main__" in caught.value.help) is not forks
