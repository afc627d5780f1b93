import os
from pathlib import Path

import numpy as np
import pytest
from editing import grey_png, pixels_of
from PIL import Image

from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.reading.masks import read_class_masks
from pixelwise.pages.fixing.collection import Folder
from pixelwise.pages.fixing.masks import Uneditable
from pixelwise.pages.fixing.png import GREY
from pixelwise.recipes.class_sets.tables import IGNORE_BIT

SESSION = "session-1"


def runs(*each: tuple[int, int, int]) -> np.ndarray:
    return np.array(each, np.int64).reshape(-1, 3)


def white(*places: tuple[int, int]) -> np.ndarray:
    values = np.zeros((4, 6), np.uint8)
    for place in places:
        values[place] = 255
    return values


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images: `a` has all masks, which overlap in a pixel, `b` has only one of `crack`."""
    files = {
        "masks/crack/a.png": white((0, 0), (0, 1)),
        "masks/rust/a.png": white((0, 1)),
        "masks/crack/b.png": white((1, 1)),
    }
    for name in "ab":
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / f"images/{name}.png")
    for name, values in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(grey_png(values))
    return tmp_path


def item_of(folder: Folder, id: str):
    return next(item for item in folder.opened().items.values() if item.sample.id == id)


def save(folder: Folder, id: str, layer_id: int, *each: tuple[int, int, int]):
    item, layer = item_of(folder, id), folder.layer(layer_id)
    target = folder.target(item, layer)
    keeper = folder.keeper(target, layer)
    return target, keeper.save(target, runs(*each), keeper.mask(target).version, SESSION)


def labels_of(root: Path, id: str) -> np.ndarray:
    """What the data set reads: bit k is class k."""
    dataset = open_folder(root)[1]
    sample = next(one for samples in dataset.splits.values() for one in samples if one.id == id)
    found = read_class_masks(sample, dataset, (4, 6))
    assert found.errors == []
    return found.labels


def test_a_class_is_added_and_removed_without_the_others(root: Path):
    folder = Folder(root)
    rust = folder.layer(1)
    assert (rust.name, folder.layer(None).name, folder.layer(255).name, folder.layer(2)) == (
        "rust", "crack", "ignored", None,
    )  # fmt: skip
    mask = folder.mask(item_of(folder, "a"), rust)
    assert (mask.meanings, mask.paints) == ({0: 0, 255: 1}, {0: 0, 1: 255})
    before = (root / "masks/crack/a.png").read_bytes()
    save(folder, "a", 1, (0, 1, 255), (1, 1, 0))
    assert labels_of(root, "a")[0, :3].tolist() == [0b11, 0b01, 0]
    assert (root / "masks/crack/a.png").read_bytes() == before
    assert pixels_of(root / ".pixelwise-fix/originals/masks/rust/a.png")[0, :2].tolist() == [0, 255]


def test_a_class_that_an_image_lacks_gets_a_mask_with_the_first_stroke(root: Path):
    folder = Folder(root)
    target, _ = save(folder, "b", 1, (7, 2, 255))
    assert target.relative == Path("masks/rust/b.png")
    assert np.array_equal(pixels_of(target.path), white((1, 1), (1, 2)))
    target, _ = save(folder, "b", 255, (8, 1, 255))
    assert target.relative == Path("masks/ignore/b.png")
    assert labels_of(root, "b")[1, :4].tolist() == [0, 0b11, IGNORE_BIT, 0]


def test_masks_keep_their_white(root: Path):
    for kind, values in (("crack", white((0, 0)) // 255), ("rust", white((0, 1)))):
        (root / f"masks/{kind}/a.png").write_bytes(grey_png(values))
    image = Image.fromarray(white((2, 2))).convert("1")
    image.save(root / "masks/crack/b.png")
    folder = Folder(root)
    paints = [folder.mask(item_of(folder, id), folder.layer(layer)).paints[1] for id, layer in (("a", 0), ("a", 1))]
    assert paints == [1, 255]
    target, mask = save(folder, "b", 0, (0, 1, 1))
    assert (mask.coding.depth, pixels_of(target.path)[0, 0], pixels_of(target.path)[2, 2]) == (1, 1, 1)
    # Emptied and painted again, as undoing and redoing do.
    save(folder, "a", 1, (1, 1, 0))
    target, _ = save(folder, "a", 1, (2, 1, 255))
    assert np.array_equal(pixels_of(target.path), white((0, 2)))


def test_images_without_any_mask_are_labelled_class_by_class(tmp_path: Path):
    (tmp_path / "images/train").mkdir(parents=True)
    for name in "ab":
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / f"images/train/{name}.png")
    (tmp_path / "dataset.toml").write_text('classes = ["crack", "rust"]\nmultilabel = true')
    folder = Folder(tmp_path)
    item = item_of(folder, "a")
    assert folder.is_unlabelled(item)
    target, mask = save(folder, "a", 1, (0, 1, 255))
    assert (target.relative, mask.coding.kind) == (Path("masks/rust/train/a.png"), GREY)
    assert not folder.is_unlabelled(item)
    assert labels_of(tmp_path, "a")[0, 0] == 0b10
    again = Folder(tmp_path)
    assert again.is_unlabelled(item_of(again, "b"))
    save(again, "b", 0, (3, 1, 255))
    assert labels_of(tmp_path, "b")[0, 3] == 0b01


def test_what_cannot_be_edited_says_why(root: Path):
    (root / "masks/rust/a.png").unlink()
    Image.fromarray(white((0, 1))).save(root / "masks/rust/a.tif")
    folder = Folder(root)
    with pytest.raises(Uneditable, match=r"a\.tif is no PNG file"):
        folder.mask(item_of(folder, "a"), folder.layer(1))
    assert folder.mask(item_of(folder, "a"), folder.layer(0)).meanings == {0: 0, 255: 1}
    with pytest.raises(Uneditable, match="do not tell where"):
        folder.target(item_of(folder, "a"))


def test_the_folder_of_a_class_is_not_mistaken_for_that_of_a_split(tmp_path: Path):
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        (tmp_path / "images" / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "images" / split / f"{name}.png")
    for name in ("train/train/a", "train/road/b", "val/road/c"):
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "masks" / f"{name}.png").write_bytes(grey_png(white((0, 0))))
    folder = Folder(tmp_path)
    assert folder.opened().dataset.classes == ("road", "train")
    paths = {
        (id, layer): folder.target(item_of(folder, id), folder.layer(layer)).relative.as_posix()
        for id in "abc" for layer in (0, 1, 255)
    }  # fmt: skip
    assert paths == {
        ("a", 0): "masks/train/road/a.png", ("a", 1): "masks/train/train/a.png", ("a", 255): "masks/train/ignore/a.png",
        ("b", 0): "masks/train/road/b.png", ("b", 1): "masks/train/train/b.png", ("b", 255): "masks/train/ignore/b.png",
        ("c", 0): "masks/val/road/c.png", ("c", 1): "masks/val/train/c.png", ("c", 255): "masks/val/ignore/c.png",
    }  # fmt: skip


@pytest.mark.parametrize("name", [b"caf\xe9", "Cafe\u0301".encode()])
def test_a_mask_goes_to_the_folder_of_its_class_however_its_name_is_written(root: Path, name: bytes):
    (root / "masks/rust").rename(os.fsdecode(os.path.join(os.fsencode(root), b"masks", name)))
    target, _ = save(Folder(root), "b", 0, (0, 1, 255))
    assert os.fsencode(target.relative) == b"masks/" + name + b"/b.png"
    assert labels_of(root, "b")[0, 0] == 1
