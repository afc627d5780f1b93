"""Features that are computed once: what a head learns from them, and what the cache makes of damage and changes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import shutil
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.torch
import torch
from observers import Told
from torch import Tensor, nn

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError, PixelwiseError, RecipeError, ResourceError, StoppedError
from pixelwise.models import build_model
from pixelwise.observer import SILENT
from pixelwise.ranks import Ranks
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.status import TrainingStatus
from pixelwise.storage import atomic
from pixelwise.storage.cache_contents import cache_contents
from pixelwise.storage.caches import cache_folder
from pixelwise.training.batches import Batch, TrainingPairs, training_batches
from pixelwise.training.features import kept
from pixelwise.training.features.computing import maps_read
from pixelwise.training.features.kept import FeaturePairs, content_of, keep_features, stored
from pixelwise.training.runs import resume, train
from pixelwise.training.state import TrainingState, begin_state
from pixelwise.training.step import train_step
from tests.ranks.processes import in_ranks

CPU = torch.device("cpu")
ENCODER = "model.encoder=mobilenetv3_small_050"
SETTINGS = [
    ENCODER, "augment.crop=[32,40]", "augment.scale=[0.5,2.0]", "augment.brightness=0.3", "augment.flip=0.5",
    "sampling.batch_size=2", "precision.dtype=float32", "initialize.freeze=true", "data.cache_features=2",
]  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def settings(*changes: str, head: str = "generic-linear") -> Recipe:
    return apply_overrides(recipe(head), ["data.dataset=folder", "data.classes=[a,b,c]", *SETTINGS, *changes])


def begun(chosen: Recipe, data: Path) -> tuple[TrainingPairs, TrainingState]:
    torch.manual_seed(0)
    dataset = open_dataset(chosen.data, data)
    return TrainingPairs(dataset, dataset.samples("train"), chosen), begin_state(build_model(chosen), chosen, CPU)


def batches(pairs: TrainingPairs, chosen: Recipe, steps: int, workers: int = 0) -> list[Batch]:
    return list(training_batches(pairs, chosen, start=0, steps=steps, workers=workers, warn=lambda code, message: None))


def views() -> list[Path]:
    return sorted(cache_folder().glob("features/*/view-*"))


def phases_of(pairs: TrainingPairs, chosen: Recipe, state: TrainingState) -> list[str]:
    phases: list[str] = []
    keep_features(pairs, chosen, state, Told(phase=phases.append))
    assert [one for one in phases if one.startswith("keeping")] == [
        one for one in phases if one.endswith(" MB of the disk")
    ]
    return [one for one in phases[1:] if not one.startswith("keeping")]


@pytest.mark.parametrize("head", ["generic-unet", pytest.param("generic-linear", marks=pytest.mark.heavy)])
def test_a_step_on_features_moves_the_head_as_a_step_on_the_images(
    head: str, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
):
    """Bit for bit with features in float32 of single images, and within the rounding of float16 otherwise."""
    chosen = settings("sampling.batch_size=1", head=head)
    pairs, state = begun(chosen, tiny_data)
    whole = copy.deepcopy(state)
    (seen,) = batches(pairs, chosen, 1)
    train_step(chosen, whole, whole.model.head_logits, [seen], None)
    errors: list[Tensor] = []
    wanted: list[Tensor] = []
    expected = {name: one.grad for name, one in whole.model.named_parameters()}
    for exact in (True, False):
        with monkeypatch.context() as patch:
            patch.setattr(kept, "stored", (lambda one: one.numpy()) if exact else stored)
            (known,) = batches(keep_features(pairs, chosen, state, SILENT), chosen, 1)
        shutil.rmtree(cache_folder())
        headed = copy.deepcopy(state)
        headed.model.encoder.requires_grad_(False)  # type: ignore[union-attr]
        assert train_step(chosen, headed, headed.model.head_logits, [known], None).kind == "done"
        for name, one in headed.model.named_parameters():
            gradient = expected[name]
            if gradient is None or one.grad is None:
                assert gradient is one.grad is None
                assert name.startswith("encoder.")
            elif exact:
                assert torch.equal(one.grad, gradient), name
            else:
                errors.append(one.grad - gradient)
                wanted.append(gradient)
    difference, length = (nn.utils.get_total_norm(some) for some in (errors, wanted))
    assert 0 < difference < 0.03 * length


def test_epochs_repeat_the_views_and_draw_the_labels_of_the_images(tiny_data: Path):
    chosen = settings()
    pairs, state = begun(chosen, tiny_data)
    known = keep_features(pairs, chosen, state, SILENT)
    for key in ((0, 3), (1, 3), (1, 7)):
        labels, _, *maps = known.features(key)
        drawn = pairs[key]
        assert not isinstance(drawn, PixelwiseError)
        assert np.array_equal(labels, drawn[1])
        again = known.features((key[0] + 2, key[1]))
        assert all(
            np.array_equal(one, other) for one, other in zip([again[0], *again[2:]], [labels, *maps], strict=True)
        )
        assert {one.dtype for one in maps} == {np.dtype(np.float16)}
    assert not np.array_equal(known.features((0, 3))[2], known.features((1, 3))[2])


def test_maps_that_the_head_does_not_read_are_not_kept(tiny_data: Path):
    chosen = settings("data.cache_features=1", head="generic-linear")
    pairs, state = begun(chosen, tiny_data)
    known = keep_features(pairs, chosen, state, SILENT)
    labels, shapes, *maps = known.features((0, 0))
    channels = state.model.encoder.channels  # type: ignore[union-attr]
    assert labels.shape == (32, 40)
    assert [one.shape for one in maps] == [(channels[-1], 1, 2)]  # type: ignore[index]
    (batch,) = batches(known, chosen, 1)
    assert batch.features is not None
    assert [one.shape[1:] for one in batch.features] == [tuple(shape) for shape in shapes.tolist()]
    assert [one.untyped_storage().nbytes() for one in batch.features[:-1]] == [2] * (len(shapes) - 1)
    assert train_step(chosen, state, state.model.head_logits, [batch], None).kind == "done"


@pytest.mark.heavy
def test_loader_processes_read_the_same(tiny_data: Path):
    chosen = settings()
    pairs, state = begun(chosen, tiny_data)
    known = keep_features(pairs, chosen, state, SILENT)
    expected = batches(known, chosen, 3)
    assert expected[0].images.untyped_storage().nbytes() == 1
    for one, other in zip(batches(known, chosen, 3, workers=1), expected, strict=True):
        assert (one.ids, one.images.shape) == (other.ids, other.images.shape)
        assert torch.equal(one.labels, other.labels)
        assert one.features is not None
        assert all(
            torch.equal(mine.nan_to_num(), others.nan_to_num())
            for mine, others in zip(one.features, other.features or (), strict=True)
        )


@pytest.mark.heavy
def test_features_are_computed_once_and_only_what_is_missing(tiny_data: Path):
    chosen = settings()
    pairs, state = begun(chosen, tiny_data)
    assert phases_of(pairs, chosen, state) == ["computing the features"]
    assert phases_of(pairs, chosen, state) == []
    first, second = views()
    content, stamps = first.read_bytes(), (first.stat().st_mtime_ns, second.stat().st_mtime_ns)
    (use,) = cache_contents(["features"]).kinds
    assert [entry.about for entry in use.entries] == ["folder train, 2 views of 8 images"]
    more = apply_overrides(chosen, ["data.cache_features=3"])
    assert phases_of(pairs, more, state) == ["computing the features"]
    assert [path.stat().st_mtime_ns for path in views()[:2]] == list(stamps)
    # What a killed process leaves is what it had finished.
    first.unlink()
    assert phases_of(pairs, more, state) == ["computing the features"]
    assert first.read_bytes() == content


@pytest.mark.parametrize(
    "changed",
    [
        "weights",
        "image",
        *(pytest.param(one, marks=pytest.mark.heavy) for one in ("augmentation", "seed", "normalisation")),
    ],
)
def test_whatever_features_depend_on_makes_others_and_removes_those_before(
    changed: str, tiny_data: Path, tmp_path: Path
):
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    pairs, state = begun(settings(), data)
    keep_features(pairs, settings(), state, SILENT)
    before = views()
    words = {
        "augmentation": "augment.flip=0.25", "seed": "sampling.seed=1",
        "normalisation": "model.preprocessing={mean=[0.1,0.1,0.1],std=[1,1,1]}",
    }  # fmt: skip
    if changed == "image":
        path = data / "images" / "train" / "00.png"
        path.write_bytes((data / "images" / "train" / "01.png").read_bytes())
    chosen = settings(*([words[changed]] if changed in words else []))
    pairs, state = begun(chosen, data)
    if changed == "weights":
        with torch.no_grad():
            next(state.model.encoder.parameters()).view(-1)[0] += 1  # type: ignore[union-attr]
    assert phases_of(pairs, chosen, state) == ["computing the features"]
    assert len(views()) == 2
    assert not set(before) & set(views())


@pytest.mark.heavy
def test_damage_is_repaired_before_training_and_told_during_it(tiny_data: Path):
    chosen = settings()
    pairs, state = begun(chosen, tiny_data)
    keep_features(pairs, chosen, state, SILENT)
    path, content = views()[0], views()[0].read_bytes()
    path.write_bytes(content[: len(content) // 3] + b"\x55" * 64 + content[len(content) // 3 + 64 :])
    opened = FeaturePairs(pairs, chosen, maps_read(state.model), views())
    with pytest.raises(DataError, match=r"view-0: the features of .* are damaged") as caught:
        batches(opened, chosen, 4)
    assert caught.value.code == "D135"
    assert phases_of(pairs, chosen, state) == ["computing the features"]
    assert path.read_bytes() == content


def computing(data: Path, told: Connection) -> None:
    chosen = settings()
    pairs, state = begun(chosen, data)
    told.send(phases_of(pairs, chosen, state))


@pytest.mark.heavy
def test_of_two_processes_at_once_one_computes_and_both_read(tiny_data: Path):
    spawning = multiprocessing.get_context("spawn")
    processes, ends = [], []
    for _ in range(2):
        mine, theirs = spawning.Pipe()
        processes.append(spawning.Process(target=computing, args=(tiny_data, theirs)))
        ends.append(mine)
    for process in processes:
        process.start()
    told = [end.recv() if end.poll(100) else None for end in ends]
    for process in processes:
        process.join()
    assert sorted(phases.count("computing the features") for phases in told if phases is not None) == [0, 1]
    assert len(views()) == 2


def test_too_small_a_disk_is_refused_before_most_of_the_work(tiny_data: Path, monkeypatch: pytest.MonkeyPatch):
    chosen = settings()
    pairs, state = begun(chosen, tiny_data)
    usage = shutil.disk_usage(tiny_data)._replace(free=1000)
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ResourceError, match="features of 8 images") as caught:
        keep_features(pairs, chosen, state, SILENT)
    assert caught.value.code == "S602"
    assert "data.cache_features" in str(caught.value.help)
    assert views() == []


def test_values_beyond_float16_are_kept_in_float32():
    values = torch.tensor([1.0, -70000.0])
    assert stored(values).tolist() == [1.0, -70000.0]
    assert stored(torch.tensor([1.0, -65504.0])).dtype == np.float16


def test_content_tells_names_shapes_and_values_apart():
    def net(*sizes: int, value: float = 0.0) -> nn.Module:
        layers = nn.Sequential(*(nn.Linear(1, size) for size in sizes))
        for parameter in layers.parameters():
            nn.init.constant_(parameter, value)
        return layers

    nets = [net(2), net(2, value=1.0), net(1, 1), net(1)]
    assert len({content_of(one) for one in nets}) == 4
    assert content_of(net(2)) == content_of(nets[0])


@pytest.mark.parametrize(
    "change",
    ["initialize.freeze=false", "augment.mix=cutmix", "precision.compile=true", "quantization=x86-8bit",
     "distillation.teacher=runs/a",
     "data.cache_features=-1"],
)  # fmt: skip
def test_settings_under_which_features_do_not_last_are_refused(change: str):
    with pytest.raises(RecipeError, match=r"data\.cache_features") as caught:
        settings(change)
    assert caught.value.code == "R203"


RUN = [
    "data.dataset=town", "data.town_images=[6,2,1]", "data.town_size=[32,48]", *SETTINGS, "schedule.epochs=3",
    "selection.every_epochs=0", "selection.weights=last", "checkpoints.every_steps=1", "augment.crop=[32,32]",
]  # fmt: skip


def tensors_of(run: Path) -> dict[str, Tensor]:
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    paths = [path for path in newest.path.iterdir() if path.suffix == ".safetensors"]
    found = {f"{path.stem}.{key}": one for path in paths for key, one in safetensors.torch.load_file(path).items()}
    return {key: one for key, one in found.items() if "random" not in key}


@pytest.fixture
def pretrained(tmp_path: Path) -> str:
    """A run whose weights others begin with."""
    words = [word for word in RUN if "freeze" not in word and "cache_features" not in word]
    run = train("generic-unet", output=tmp_path / "before", overrides=[*words, "schedule.epochs=1"], threads=1)
    return f"initialize.run={run}"


@pytest.mark.heavy
def test_a_run_that_is_stopped_loses_its_cache_and_is_resumed_equals_one_that_never_stopped(
    pretrained: str, tmp_path: Path
):
    def interrupt(status: TrainingStatus) -> None:
        if status.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    whole = train("generic-unet", output=tmp_path / "whole", overrides=[*RUN, pretrained], threads=1)
    stopped = Told(step=interrupt)
    with pytest.raises(StoppedError):
        train("generic-unet", output=tmp_path / "run", overrides=[*RUN, pretrained], threads=1, observer=stopped)
    shutil.rmtree(cache_folder() / "features")
    resume(tmp_path / "run")
    expected, found = tensors_of(whole), tensors_of(tmp_path / "run")
    assert [key for key, one in expected.items() if not torch.equal(one, found[key])] == []
    before = tensors_of(tmp_path / "before")
    encoder = {key: one for key, one in before.items() if key.startswith("ema.encoder.")}
    assert all(torch.equal(one, found[key.replace("ema", "model")]) for key, one in encoder.items())
    assert found.keys() == before.keys() - {key for key in before if key.startswith("training.") and ".encoder." in key}


@pytest.mark.heavy
def test_two_processes_train_the_bits_of_one(pretrained: str, tmp_path: Path):
    words = [*RUN, pretrained, "sampling.accumulate=2", "sampling.batch_size=1"]
    alone = train("generic-unet", output=tmp_path / "alone", overrides=words, threads=1)

    def work(ranks: Ranks) -> Path:
        return train("generic-unet", output=tmp_path / "two", overrides=words, threads=1)

    in_ranks(2, work)
    expected, found = tensors_of(alone), tensors_of(tmp_path / "two")
    assert [key for key, one in expected.items() if not torch.equal(one, found[key])] == []


def test_a_divided_encoder_is_refused(tiny_data: Path):
    pairs, state = begun(settings(), tiny_data)
    state.sharded = object()  # type: ignore[assignment]
    with pytest.raises(RecipeError, match="--shard never") as caught:
        keep_features(pairs, settings(), state, SILENT)
    assert caught.value.code == "R296"


def test_the_recipe_of_a_run_says_how_many_views_it_had():
    assert msgspec.to_builtins(settings().data)["cache_features"] == 2
    assert settings().hash() != settings("data.cache_features=3").hash()
