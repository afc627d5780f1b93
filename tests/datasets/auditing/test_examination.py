from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.auditing.examination import Examination, examine
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import sha256_file

MakeFolder = Callable[..., Path]
MASK = np.array([[0, 1], [1, 255]], np.uint8)


def examined(root: Path, data: Data | None = None) -> Examination:
    dataset = open_dataset(data or Data(classes=("a", "b")), root)
    return examine("train", dataset.samples("train")[0], dataset, HashCache(root))


def codes(examination: Examination) -> list[str]:
    return [error.code for _, error in examination.errors]


def test_a_good_pair_gives_counts_sizes_and_hash(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK})
    found = examined(root)
    assert codes(found) == []
    assert found.pixels is not None
    assert {class_id: int(n) for class_id, n in enumerate(found.pixels) if n} == {0: 1, 1: 2, 255: 1}
    assert (found.size, found.encoding) == ((2, 2), "8-bit PNG")
    assert found.digest == sha256_file(root / "images" / "train" / "a.png")
    assert not found.misnamed


def test_both_files_of_a_pair_can_be_wrong_at_once(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK})
    for kind in ("images", "masks"):
        (root / kind / "train" / "a.png").write_bytes(b"<html>")
    found = examined(root)
    assert [(path.parent.parent.name, error.code) for path, error in found.errors] == [
        ("images", "D102"),
        ("masks", "D102"),
    ]
    assert found.pixels is None


def test_a_wrong_size_and_unknown_ids_are_both_reported(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK})
    Image.fromarray(np.full((1, 1), 7, np.uint8)).save(root / "masks" / "train" / "a.png")
    assert codes(examined(root)) == ["D202", "D201"]


def test_counts_are_taken_at_image_size_where_masks_may_be_resized(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK})
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(root / "masks" / "train" / "a.png")
    found = examined(root, Data(classes=("a", "b"), mask_resize="nearest"))
    assert found.pixels is not None
    assert int(found.pixels[0]) == 4


def test_the_colours_of_a_palette_mask_are_noted_for_the_ids_that_occur(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK})
    mask = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8))
    mask.putpalette([1, 1, 1, 2, 2, 2, 3, 3, 3])
    mask.save(root / "masks" / "train" / "a.png")
    assert examined(root).colors == {0: (1, 1, 1), 1: (2, 2, 2)}


def test_content_of_another_format_than_the_name_is_noted(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK})
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(root / "images" / "train" / "a.png", "BMP")
    found = examined(root)
    assert found.misnamed
    assert codes(found) == []


def test_a_sample_without_mask_has_no_counts(make_folder: MakeFolder):
    dataset = open_dataset(Data(classes=("a", "b")), make_folder({"train/a": MASK}))
    sample = msgspec.structs.replace(dataset.samples("train")[0], mask_path=None)
    assert isinstance(sample, Sample)
    assert examine("train", sample, dataset, HashCache(dataset.root)).pixels is None


def test_an_examination_survives_its_cache(make_folder, tmp_path):
    import os

    from pixelwise.datasets.auditing.examination import ExaminationCache
    from pixelwise.datasets.opening import open_dataset
    from pixelwise.recipes.schema.recipe import Data

    root = make_folder({"train/a": np.array([[0, 1], [7, 255]], np.uint8).repeat(40, 0).repeat(40, 1)})
    dataset = open_dataset(Data(classes=("a", "b")), root)
    (sample,) = dataset.splits["train"]
    found = examine("train", sample, dataset, HashCache(root))
    cache = ExaminationCache(dataset)
    cache.put(found)
    assert cache.get("train", sample) is None, "a file that was just written may change again"
    for path in root.rglob("*.png"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    cache.put(found)
    cache.save()
    again = ExaminationCache(dataset).get("train", sample)
    assert again is not None
    assert [(path, error.code, error.message, error.help) for path, error in again.errors] == [
        (path, error.code, error.message, error.help) for path, error in found.errors
    ]
    for name in ("image", "size", "digest", "encoding", "raw_ids", "unknown_ids", "colors", "look", "channel_means"):
        assert getattr(again, name) == getattr(found, name)
    assert again.look.hash >= 0
    other = open_dataset(Data(classes=("a", "b", "c")), root)
    assert ExaminationCache(other).get("train", sample) is None
