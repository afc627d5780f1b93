import multiprocessing
import shutil
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch
from observers import Told
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import ResourceError
from pixelwise.observer import SILENT
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Augment, Data, Recipe
from pixelwise.storage import atomic
from pixelwise.storage.cache_contents import CacheEntry, cache_contents, clear_cache
from pixelwise.storage.cache_kinds import DECODED_FILE
from pixelwise.storage.caches import cache_folder
from pixelwise.storage.locks import is_held
from pixelwise.training import batches as loading
from pixelwise.training import decoded_cache as decoded
from pixelwise.training.batches import Batch, TrainingPairs, training_batches
from pixelwise.training.decoded_cache import keep_decoded, kept_pairs

AUGMENTED = ["augment.crop=[32, 40]", "augment.scale=[0.5, 2.0]", "augment.brightness=0.3", "sampling.batch_size=4"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """Tiny data with one image of another size, as a copy that may be changed."""
    root = tmp_path / "data"
    shutil.copytree(tiny_data, root)
    for part in ("images", "masks"):
        path = sorted((root / part / "train").iterdir())[3]
        picture = Image.open(path)
        picture.resize((80, 50), Image.Resampling.NEAREST).save(path)
    return root


def settings(*overrides: str) -> Recipe:
    return apply_overrides(recipe("unet-resnet18"), ["data.dataset=folder", *AUGMENTED, *overrides])


def pairs_of(root: Path, chosen: Recipe) -> TrainingPairs:
    dataset = open_dataset(chosen.data, root)
    return TrainingPairs(dataset, dataset.samples("train"), chosen)


def entries() -> tuple[CacheEntry, ...]:
    (use,) = cache_contents(["decoded"]).kinds
    return use.entries


def only_folder() -> Path:
    (entry,) = entries()
    return cache_folder() / entry.name


def batches(pairs: TrainingPairs, chosen: Recipe, workers: int = 0) -> list[Batch]:
    def warn(code: str, message: str) -> None:
        raise AssertionError(message)

    return list(training_batches(pairs, chosen, start=0, steps=4, workers=workers, warn=warn))


def same(some: list[Batch], others: list[Batch]) -> bool:
    return all(
        torch.equal(one.images, other.images)
        and torch.equal(one.labels, other.labels)
        and (one.colors is None) == (other.colors is None)
        and (one.colors is None or other.colors is None or torch.equal(one.colors, other.colors))
        and one.ids == other.ids
        for one, other in zip(some, others, strict=True)
    )


@pytest.mark.parametrize(
    "extra", [(), ("augment.resize=[36, 50]",), ("augment.photometric=mmseg", "augment.mix=cutmix")]
)
def test_batches_are_the_same_from_files_memory_and_disk_with_and_without_workers(
    extra: tuple[str, ...], data: Path, monkeypatch: pytest.MonkeyPatch
):
    chosen = settings(*extra)
    expected = batches(pairs_of(data, chosen), chosen)
    for cache in ("memory", "disk", "disk"):
        pairs = pairs_of(data, chosen)
        keep_decoded(pairs, apply_overrides(chosen, [f"data.cache={cache}"]), (50, 80), SILENT)
        with monkeypatch.context() as patch:
            patch.setattr(loading, "read_to_learn", None)  # nothing is decoded any more
            for workers in (0, 2):
                assert same(expected, batches(pairs, chosen, workers))


def test_pairs_that_are_not_cropped_are_the_same_too(data: Path):
    augment = Augment(resize=(20, 30), flip=0.5)
    chosen = msgspec.structs.replace(apply_overrides(recipe("unet-resnet18"), ["data.dataset=folder"]), augment=augment)
    chosen = apply_overrides(chosen, ["sampling.batch_size=4"])
    expected = batches(pairs_of(data, chosen), chosen)
    pairs = pairs_of(data, chosen)
    keep_decoded(pairs, apply_overrides(chosen, ["data.cache=disk"]), (50, 80), SILENT)
    assert same(expected, batches(pairs, chosen, 0))


def test_the_file_is_made_once_with_progress_and_used_again(data: Path):
    told: list[tuple[str, int, int | None]] = []
    kept_pairs(pairs_of(data, settings()), settings(), Told(progress=lambda *what: told.append(what)))
    assert told == [("decoding the images", done, 8) for done in range(1, 9)]
    phases: list[str] = []
    kept_pairs(pairs_of(data, settings()), settings(), Told(phase=phases.append))
    assert phases == ["comparing the data with the cache"]
    (entry,) = entries()
    assert entry.about == "folder train, 8 pairs"
    assert entry.bytes > 7 * 48 * 64 * 4 + 50 * 80 * 4


@pytest.mark.parametrize("changed", ["image", "mask", "reading", "resize", "versions"])
def test_anything_that_changes_pixels_makes_another_file(changed: str, data: Path, monkeypatch: pytest.MonkeyPatch):
    kept_pairs(pairs_of(data, settings()), settings(), SILENT)
    chosen = settings()
    if changed in ("image", "mask"):
        path = sorted((data / f"{changed}s" / "train").iterdir())[0]
        pixels = np.array(Image.open(path))
        pixels[0, 0] = 1 - pixels[0, 0] % 2
        Image.fromarray(pixels).save(path)
    elif changed == "versions":
        monkeypatch.setattr(decoded.cv2, "__version__", "other")
    else:
        chosen = settings({"reading": "data.alpha=black", "resize": "augment.resize=[48, 64]"}[changed])
    pairs = pairs_of(data, chosen)
    kept = kept_pairs(pairs, chosen, SILENT)
    # Of data that changed, the file of its earlier state is gone.
    assert len(entries()) == (1 if changed in ("image", "mask") else 2)
    for index in range(len(pairs)):
        for array, expected in zip(kept[index], pairs.read(index), strict=True):
            assert np.array_equal(array, expected)


def test_augmentation_makes_no_other_file(data: Path):
    for overrides in ([], ["augment.flip=0.0", "sampling.seed=3"]):
        kept_pairs(pairs_of(data, settings(*overrides)), settings(*overrides), SILENT)
    assert len(entries()) == 1


@pytest.mark.parametrize("damage", ["short", "empty", "leftover"])
def test_an_incomplete_file_is_rewritten(damage: str, data: Path):
    kept_pairs(pairs_of(data, settings()), settings(), SILENT)
    path = only_folder() / DECODED_FILE
    whole = path.read_bytes()
    leftover = path.parent / f"{atomic.TEMPORARY_PREFIX}abc"
    if damage == "leftover":
        path.unlink()
        leftover.write_bytes(whole[:100])
    else:
        path.write_bytes(whole[: len(whole) // 2 if damage == "short" else 0])
    kept_pairs(pairs_of(data, settings()), settings(), SILENT)
    assert path.read_bytes() == whole
    assert not leftover.exists()


def test_a_damaged_pair_is_decoded_from_its_own_files_and_the_next_run_rewrites_the_cache(data: Path):
    pairs = pairs_of(data, settings())
    kept_pairs(pairs, settings(), SILENT)
    path = only_folder() / DECODED_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    kept = kept_pairs(pairs, settings(), SILENT)
    for index in range(len(pairs)):
        for array, expected in zip(kept[index], pairs.read(index), strict=True):
            assert np.array_equal(array, expected)
    assert not path.exists()
    kept_pairs(pairs, settings(), SILENT)
    assert path.read_bytes() == whole


def make_slowly(data: Path, pipe: Connection) -> None:
    """In another process: stops after two pairs until it is told to go on; sends the sum of all pixels."""
    pairs = pairs_of(data, settings())

    def progress(what: str, done: int, total: int | None) -> None:
        if (what, done) == ("decoding the images", 2):
            pipe.send("two are decoded")
            pipe.recv()

    kept = kept_pairs(pairs, settings(), Told(progress=progress))
    pipe.send(sum(int(kept[index][0].sum()) for index in range(len(pairs))))


@pytest.fixture
def other_process(data: Path):
    """A process that has decoded two pairs, and the pipe to it."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=make_slowly, args=(data, there))
    process.start()
    assert here.recv() == "two are decoded"
    yield process, here
    process.kill()
    process.join()


def test_of_two_processes_one_makes_the_file_and_the_other_waits_for_it(
    data: Path, other_process: tuple[BaseProcess, Connection]
):
    _, pipe = other_process
    told: list[str] = []

    def phase(what: str) -> None:
        told.append(what)
        if what.startswith("waiting"):
            pipe.send("go on")

    pairs = pairs_of(data, settings())
    kept = kept_pairs(pairs, settings(), Told(phase=phase))
    assert told == ["comparing the data with the cache", "waiting for another process that decodes the images"]
    assert sum(int(kept[index][0].sum()) for index in range(len(pairs))) == pipe.recv()


def test_a_killed_process_leaves_no_file_that_looks_complete(data: Path, other_process: tuple[BaseProcess, Connection]):
    process, _ = other_process
    folder = only_folder()
    # What a process is making stays.
    assert clear_cache(["decoded"]).left == {entries()[0].name: "is in use by a process"}
    assert is_held(folder)
    assert "pairs" not in entries()[0].about  # the description of a complete entry
    process.kill()
    process.join()
    assert not is_held(folder)
    assert any(path.name.startswith(atomic.TEMPORARY_PREFIX) for path in folder.iterdir())
    pairs = pairs_of(data, settings())
    kept = kept_pairs(pairs, settings(), SILENT)
    assert {path.name for path in folder.iterdir()} - {"lock"} == {DECODED_FILE}
    assert all(np.array_equal(kept[index][0], pairs.read(index)[0]) for index in range(len(pairs)))


def test_a_full_disk_is_an_error_before_anything_is_written(data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: SimpleNamespace(free=20_000))
    with pytest.raises(ResourceError, match=r"\b8 decoded pairs .*data\.cache=disk.* 0\.1 MB.* 0\.0 MB") as caught:
        kept_pairs(pairs_of(data, settings()), settings(), SILENT)
    assert caught.value.code == "S602"
    assert "data.cache=off" in (caught.value.help or "")
    assert {path.name for path in only_folder().iterdir()} <= {"lock"}


def test_clearing_the_cache_does_not_disturb_its_readers(data: Path):
    pairs = pairs_of(data, settings())
    kept = kept_pairs(pairs, settings(), SILENT)
    assert clear_cache(["decoded"]).entries == 1
    assert entries() == ()
    assert np.array_equal(kept[7][0], pairs.read(7)[0])


def test_the_cache_is_used_when_a_quarter_of_the_memory_is_enough(monkeypatch: pytest.MonkeyPatch, tiny_data: Path):
    samples = open_dataset(Data(), tiny_data).samples("train")
    unet = recipe("unet-resnet18")
    needed = 8 * 48 * 64 * 4
    monkeypatch.setattr(decoded, "available_memory", lambda: 4 * needed)
    assert decoded.fits_in_memory(samples, unet, (48, 64))
    assert not decoded.fits_in_memory(samples, unet, (49, 64))
    assert decoded.fits_in_memory(samples, apply_overrides(unet, ["data.cache=memory"]), (4900, 6400))
    assert not decoded.fits_in_memory(samples, apply_overrides(unet, ["data.cache=off"]), (1, 1))
    # Each of two processes of this host keeps a copy.
    for name, number in (("WORLD_SIZE", "4"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, number)
    assert decoded.fits_in_memory(samples, unet, (24, 64))
    assert not decoded.fits_in_memory(samples, unet, (25, 64))
    # 200 million pixels are more than data.max_pixels: such images are read in parts.
    assert not decoded.fits_in_memory(samples, apply_overrides(unet, ["data.cache=memory"]), (10_000, 20_000))
