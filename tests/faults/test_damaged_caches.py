"""Damaged entries of every kind of cache: what they hold is computed again, equal to the first time.

`PRODUCERS` has a row for every registered kind; a new kind without one fails.
"""

from __future__ import annotations

import functools
import os
import random
import re
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import torch
from foreign_data import write_tar
from runs_to_show import shown_run

from pixelwise.checkpoints import initial_weights
from pixelwise.checkpoints.checkpoint import FileRecord
from pixelwise.checkpoints.hub.layout import Description
from pixelwise.checkpoints.hub.resolving import without_links
from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.auditing.ceiling import measure_ceiling
from pixelwise.datasets.auditing.shards.units import PATIENCE, Attempts, Unit
from pixelwise.datasets.classes.inference import read_mask_ids
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.format import FORMATS
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.reading.regions.masks import MaskRegions
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Reading
from pixelwise.datasets.shards.fetching import fetched_index
from pixelwise.datasets.shards.foreign.tar_files import members_of
from pixelwise.datasets.town.scenes import cached_town
from pixelwise.deployment.web import runtime
from pixelwise.deployment.web.runtime import Release, Wanted, runtime_files
from pixelwise.errors import ResourceError
from pixelwise.models import build_model
from pixelwise.observer import SILENT
from pixelwise.pages.catalog import Catalog, Refused
from pixelwise.pages.evaluated import Gallery, open_entry
from pixelwise.pages.pictures import Shown
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import Teacher
from pixelwise.storage import caches, sha256_bytes
from pixelwise.storage.cache_kinds import COMPLEXITY, DECODED, FEATURES, KINDS, TAUGHT, CacheKind
from pixelwise.storage.caches import Found, cache_folder, found_in_cache
from pixelwise.storage.locks import LOCK, stop_using
from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.remote import Version
from pixelwise.storage.stores.store import FolderStore
from pixelwise.testing.miniatures import miniature_of, miniature_scenes
from pixelwise.training.batches import TrainingPairs
from pixelwise.training.decoded_cache import kept_pairs
from pixelwise.training.distillation.kept import keep_taught
from pixelwise.training.distillation.teachers import Sighted, Teachers
from pixelwise.training.features.kept import keep_features
from pixelwise.training.state import TrainingState, begin_state
from pixelwise.zoo import counting


def opened(data: Path):
    return open_dataset(Data(dataset="folder"), data)


def pixels(dataset) -> list:
    return [
        [labels.tolist(), image.shape, int(image.sum())]
        for samples in dataset.splits.values()
        for image, labels in (read_pair(sample, dataset) for sample in samples)
    ]


def miniature(folder: Path, name: str) -> Path:
    root = folder / name
    if not root.exists():
        root.mkdir()
        format = FORMATS.all()[name]
        miniature_of(format).write(root, miniature_scenes(format, (1, 1), (48, 64)))
    return root


def of_outlines(data: Path, folder: Path) -> Any:
    return pixels(open_dataset(Data(dataset="labelme"), miniature(folder, "labelme")))


def of_coco(data: Path, folder: Path) -> Any:
    dataset = open_dataset(Data(dataset="cocoseg21"), miniature(folder, "cocoseg21"))
    return pixels(dataset)


def of_town(data: Path, folder: Path) -> Any:
    root = cached_town(Data(town_images=(1, 1, 1), town_size=(32, 48)))
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.suffix in (".png", ".toml")
    }


def of_decoded(data: Path, folder: Path) -> Any:
    dataset = opened(data)
    settings = apply_overrides(recipe("unet-resnet18"), ["data.dataset=folder", "data.cache=disk"])
    pairs = TrainingPairs(dataset, dataset.samples("train"), settings)
    kept = kept_pairs(pairs, settings, SILENT)
    return [[array.tolist() for array in kept[index]] for index in range(len(pairs))]


def of_features(data: Path, folder: Path) -> Any:
    dataset = opened(data)
    settings = apply_overrides(recipe("generic-linear"), ["data.dataset=folder", "data.classes=[a,b,c]", *FROZEN])
    pairs = TrainingPairs(dataset, dataset.samples("train")[:2], settings)
    kept = keep_features(pairs, settings, begun(settings), SILENT)
    return [
        [array.tolist() for array in kept.features((view, index))] for view in (0, 1) for index in range(len(pairs))
    ]


@functools.cache
def begun(settings: Recipe) -> TrainingState:
    torch.manual_seed(0)
    return begin_state(build_model(settings), settings, torch.device("cpu"))


def of_answers(data: Path, folder: Path) -> Any:
    dataset = opened(data)
    settings = apply_overrides(recipe("generic-linear"), ["data.dataset=folder", "data.classes=[a,b,c]", *FROZEN[:2]])
    settings = apply_overrides(settings, ["teacher=nowhere", "cache_views=2"])
    state = begun(apply_overrides(settings, ["teacher=none", "cache_views=0"]))
    record = Teacher(recipe="a", step=1, weights_sha256="0" * 64)
    seen = Sighted(state.model.eval(), None, None, None)
    teachers = Teachers([seen], settings.distillation, multilabel=False, records=(record,))
    pairs = TrainingPairs(dataset, dataset.samples("train")[:2], settings)
    kept = keep_taught(pairs, settings, state, teachers, SILENT)
    return [kept.answer((view, index)).tolist() for view in (0, 1) for index in range(len(pairs))]


FROZEN = [
    "model.encoder=mobilenetv3_small_050", "augment.crop=[32,32]", "initialize.freeze=true", "data.cache_features=2",
]  # fmt: skip


def of_tiled_masks(data: Path, folder: Path) -> Any:
    (path,) = sorted(data.glob("masks/val/*.png"))[:1]
    with MaskRegions(path, opened(data).label_table, Reading()) as mask:
        return mask.labels(Rectangle(0, 0, *mask.size)).tolist()


def of_first_downloads(data: Path, folder: Path) -> Any:
    initial_weights._compare_with_first_download("a", "1" * 64)


def of_complexity(data: Path, folder: Path) -> Any:
    counting._count.cache_clear()
    return counting._count(recipe("enet-camvid").model, 11, (48, 64))


class Elsewhere(FolderStore):
    """A folder that answers like a store on another machine."""

    def version(self, name: str) -> Version:
        return Version(self.size(name), "mark")


def of_shards(data: Path, folder: Path) -> Any:
    root = folder / "shards"
    if not root.exists():
        shard(data, root)
        (root / "dataset.toml").unlink(missing_ok=True)
    found = fetched_index(place_of("http://example.org/shards"), Elsewhere(root))  # type: ignore[arg-type]
    return {path.name: path.read_bytes() for path in found.iterdir() if path.name in ("index.parquet", "dataset.toml")}


def of_tars(data: Path, folder: Path) -> Any:
    if not (folder / "x.tar").exists():
        write_tar(folder / "x.tar", {path.name: path.read_bytes() for path in sorted(data.rglob("*.png"))[:8]})
    return members_of(FolderStore(folder), {"x.tar": "mark"}, "here", str)


def of_error_kinds(data: Path, folder: Path) -> Any:
    if not (folder / "shown").exists():
        shown_run(folder / "shown")
    catalog = Catalog([folder / "shown"])
    return Gallery(catalog, refused).kinds(open_entry(catalog.entries()[0]))


def refused(*_: object) -> Shown:
    raise Refused("Nothing is predicted here.")


def of_runtime(data: Path, folder: Path) -> Any:
    content = b"runtime"
    if not (folder / "npm").exists():
        (folder / "npm" / "package" / "dist").mkdir(parents=True)
        (folder / "npm" / "package" / "dist" / "ort.wasm").write_bytes(content)
        with tarfile.open(folder / "runtime.tgz", "w:gz") as archive:
            archive.add(folder / "npm" / "package", "package")
    packed = (folder / "runtime.tgz").read_bytes()
    files = {"ort.wasm": Wanted(len(content), sha256_bytes(content))}
    release = Release("runtime", "1.0.0", "MIT", len(packed), sha256_bytes(packed), files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "download", lambda url, target, **_: target.write_bytes(packed))
        return runtime_files(None, release)


def of_attempts(data: Path, folder: Path) -> list[int]:
    return [Attempts(data.name).begin(Unit(0, 9)) for _ in range(PATIENCE + 1)][PATIENCE:]


def of_artefact(data: Path, folder: Path) -> Any:
    exported, contents = folder / "exported", {"model.toml": b"about", "model.xml": b"graph", "model.bin": b"weights"}
    exported.mkdir(exist_ok=True)
    for name, content in contents.items():
        (exported / name).write_bytes(content)
    files = {name: FileRecord(sha256=sha256_bytes(content), bytes=len(content)) for name, content in contents.items()}
    found = without_links(exported, Description(kind="artefact", files=files), "hub://me/exported")
    return {name: (found / name).read_bytes() for name in contents}


PRODUCERS: dict[str, Callable[[Path, Path], Any]] = {
    "decoded": of_decoded,
    "features": of_features,
    "taught": of_answers,
    "drawn": of_outlines,
    "tiled-masks": of_tiled_masks,
    "cocoseg21": of_coco,
    "town": of_town,
    "audit": lambda data, folder: msgspec.to_builtins(audit(opened(data)), enc_hook=str),
    "examined": lambda data, folder: msgspec.to_builtins(audit(opened(data), fresh=False), enc_hook=str),
    "examining": of_attempts,
    "hashes": lambda data, folder: fingerprint(opened(data)),
    "mask-ids": lambda data, folder: read_mask_ids(data, opened(data).samples("train"), Reading()),
    "ceiling": lambda data, folder: measure_ceiling(opened(data), opened(data).samples("val")),
    "complexity": of_complexity,
    "initial-weights": of_first_downloads,
    "shard-index": of_shards,
    "tar-members": of_tars,
    "error-kinds": of_error_kinds,
    "web-runtime": of_runtime,
    "hub-artefacts": of_artefact,
}


class Entry(NamedTuple):
    """An entry of a kind, and the file in it that is damaged; the same path for kinds of single files."""

    kind: CacheKind
    path: Path
    file: Path


def overwrite(change: Callable[[bytes], bytes]) -> Callable[[Entry], None]:
    return lambda entry: entry.file.write_bytes(change(entry.file.read_bytes())) and None


def flipped(content: bytes) -> bytes:
    place = random.Random(len(content)).randrange(len(content))
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def of_another_version(entry: Entry) -> None:
    """What an earlier version wrote, without a checksum."""
    value = {"schema": 99}
    as_json = entry.kind.suffix == ".json"
    entry.file.write_bytes(msgspec.json.encode(value) if as_json else msgspec.msgpack.encode(value))


def clear(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace_by(make: Callable[[Path], None], place: Callable[[Entry], Path]) -> Callable[[Entry], None]:
    def damage(entry: Entry) -> None:
        clear(place(entry))
        make(place(entry))

    return damage


def full_folder(path: Path) -> None:
    path.mkdir()
    (path / "something").write_text("else")


DAMAGES: dict[str, Callable[[Entry], None]] = {
    "emptied": overwrite(lambda content: b""),
    "cut": overwrite(lambda content: content[: len(content) // 2]),
    "one byte less": overwrite(lambda content: content[:-1]),
    "flipped": overwrite(flipped),
    "longer": overwrite(lambda content: content + b"\0"),
    "zeros": overwrite(lambda content: bytes(len(content))),
    "of another version": of_another_version,
    "missing": lambda entry: entry.file.unlink(),
    "file is a folder": replace_by(full_folder, lambda entry: entry.file),
    "file is a pipe": replace_by(os.mkfifo, lambda entry: entry.file),
    "file is unreadable": replace_by(lambda path: path.symlink_to(path), lambda entry: entry.file),
    "entry is a folder": replace_by(full_folder, lambda entry: entry.path),
    "entry is a file": replace_by(lambda path: path.touch(), lambda entry: entry.path),
    "entry is a pipe": replace_by(os.mkfifo, lambda entry: entry.path),
    "entry is unreadable": replace_by(lambda path: path.symlink_to(path), lambda entry: entry.path),
}


def test_every_kind_has_a_row():
    assert set(PRODUCERS) == {kind.name for kind in KINDS}


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data that was written long ago: facts about files that may still change are not cached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    long_ago = time.time() - 10**6
    for path in root.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    return root


def entries_of(kind: CacheKind) -> Iterator[Found]:
    return (one for one in found_in_cache() if one.kind is kind)


def files_of(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    return [file for file in found if file.is_file() and file.name not in (LOCK, "something")]


def files_of_kind(kind: CacheKind) -> set[Path]:
    return {file for found in entries_of(kind) for file in files_of(found.path)}


def forget(path: Path) -> None:
    """What a new process does not know."""
    caches._intact.clear()
    stop_using(path)


SLOW = (COMPLEXITY, FEATURES, TAUGHT)
"""Kinds whose entries take a network to make."""


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, id=kind.name, marks=[pytest.mark.heavy] if kind in SLOW else []) for kind in KINDS],
)
def test_a_damaged_entry_is_made_again(kind: CacheKind, data: Path, tmp_path: Path):
    produce = PRODUCERS[kind.name]
    expected = produce(data, tmp_path)
    chooser = random.Random(kind.name)
    for name, damage in DAMAGES.items():
        if kind is COMPLEXITY and name not in ("cut", "flipped", "of another version", "entry is a folder"):
            continue  # counting takes a second
        found, *_ = entries_of(kind)
        before = files_of_kind(kind)
        forget(found.path)
        if kind.permanent and "unreadable" in name:
            continue
        damage(Entry(kind, found.path, chooser.choice(files_of(found.path))))
        if kind.name == "examined":  # is read only if there is no audit
            audits = list(cache_folder().glob("audit-*"))
            assert audits
            for path in audits:
                path.unlink()
        assert produce(data, tmp_path) == expected, name
        if kind is DECODED:  # damaged pixels are found, and removed, when they are read
            assert produce(data, tmp_path) == expected, name
        assert files_of_kind(kind) >= before, name
        assert [path for path in cache_folder().rglob(".pixelwise-tmp-*") if path.exists()] == [], name


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.permanent], ids=lambda kind: kind.name)
def test_a_whole_entry_is_used_as_it_is(kind: CacheKind, data: Path, tmp_path: Path):
    produce = PRODUCERS[kind.name]
    expected = produce(data, tmp_path)
    states = {file: file.stat().st_mtime_ns for file in files_of_kind(kind)}
    assert states
    for found in entries_of(kind):
        forget(found.path)
    assert produce(data, tmp_path) == expected
    assert {file: file.stat().st_mtime_ns for file in files_of_kind(kind)} == states


def test_what_cannot_be_made_again_is_not_overwritten_because_it_is_unreadable(data: Path, tmp_path: Path):
    (kind,) = [kind for kind in KINDS if kind.permanent]
    PRODUCERS[kind.name](data, tmp_path)
    (found,) = entries_of(kind)
    found.path.unlink()
    found.path.symlink_to(found.path)
    with pytest.raises(ResourceError, match=re.escape(found.path.name)) as caught:
        PRODUCERS[kind.name](data, tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("S608", 6)
    assert found.path.is_symlink()
