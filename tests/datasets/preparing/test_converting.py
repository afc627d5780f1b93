from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.converting import convert_to_folder
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

RAW = np.array([[7, 8, 7], [0, 8, 255]], np.uint8)
READ = Data(classes=("road", "car"), label_map={"7": 0, "8": 1, "0": 255})


@pytest.fixture
def root(make_folder: Callable[..., Path]) -> Path:
    return make_folder({"train/a": RAW, "train/deep/b": RAW, "val/c": RAW[::-1]})


def test_what_is_written_reads_as_the_original(root: Path, tmp_path: Path):
    dataset = open_dataset(READ, root)
    done = convert_to_folder(dataset, tmp_path / "out")
    assert done.pairs == {"train": 2, "val": 1}
    again = open_dataset(Data(), tmp_path / "out")
    assert again.classes == ("road", "car")
    assert again.palette == dataset.palette
    assert {split: [s.id for s in samples] for split, samples in again.splits.items()} == {
        "train": ["a", "deep/b"],
        "val": ["c"],
    }
    for split, samples in dataset.splits.items():
        for before, after in zip(samples, again.splits[split], strict=True):
            for one, other in zip(read_pair(before, dataset), read_pair(after, again), strict=True):
                np.testing.assert_array_equal(one, other)
    assert np.asarray(Image.open(tmp_path / "out/masks/train/a.png")).tolist() == [[0, 1, 0], [255, 1, 255]]


@pytest.mark.parametrize(
    ("ids", "written"),
    [
        (["train/a", "train/b"], ["a", "b"]),
        (["images/train/a", "images/train/deep/b"], ["a", "deep/b"]),
        (["train2017/a", "train2017/b"], ["a", "b"]),
        (["images/a", "images/b"], ["a", "b"]),
        (["cam/a", "cam/b"], ["cam/a", "cam/b"]),
        (["b", "train/a"], ["b", "train/a"]),
        (["train/train"], ["train"]),
    ],
)
def test_the_folder_of_a_split_is_not_repeated(tmp_path: Path, ids: list[str], written: list[str]):
    root = tmp_path / "lists"
    for key in ids:
        for kind, array in (("in", np.zeros((2, 3, 3), np.uint8)), ("out", np.zeros((2, 3), np.uint8))):
            (root / kind / key).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / kind / f"{key}.png")
    (root / "train.csv").write_text("image,mask\n" + "".join(f"in/{key}.png,out/{key}.png\n" for key in ids))
    (root / "val.csv").write_text(f"image,mask\nin/{ids[0]}.png,out/{ids[0]}.png\n")
    dataset = open_dataset(Data(classes=("a",), label_map={"0": 0}), root)
    samples = tuple(
        msgspec.structs.replace(sample, id=sample.id.removeprefix("in/")) for sample in dataset.splits["train"]
    )
    convert_to_folder(msgspec.structs.replace(dataset, splits={"train": samples}), tmp_path / "out")
    found = sorted(
        path.relative_to(tmp_path / "out/images/train") for path in (tmp_path / "out").rglob("images/**/*.png")
    )
    assert [path.with_suffix("").as_posix() for path in found] == written


def test_what_cannot_be_used_stops_the_conversion_or_is_reported(root: Path, tmp_path: Path):
    (root / "masks/train/a.png").unlink()
    (root / "images/train/notes.heic").write_bytes(b"x")
    dataset = open_dataset(READ, root)
    with pytest.raises(DataError, match="a") as caught:
        convert_to_folder(dataset, tmp_path / "out")
    assert caught.value.code == "D220"
    done = convert_to_folder(dataset, tmp_path / "out", allow=["D220"])
    assert done.pairs == {"train": 1, "val": 1}
    assert {problem.code: problem.total for problem in done.problems} == {"D220": 1, "W215": 1}


def test_images_are_copied_where_reading_changes_nothing(root: Path, tmp_path: Path):
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(root / "images/train/a.webp")
    (root / "images/train/a.png").unlink()
    convert_to_folder(open_dataset(READ, root), tmp_path / "out")
    assert (tmp_path / "out/images/val/c.png").read_bytes() == (root / "images/val/c.png").read_bytes()
    assert Image.open(tmp_path / "out/images/train/a.png").format == "PNG"


def test_a_size_can_be_asked_for(root: Path, tmp_path: Path):
    convert_to_folder(open_dataset(READ, root), tmp_path / "out", size=(4, 6))
    again = open_dataset(Data(), tmp_path / "out")
    image, labels = read_pair(again.splits["train"][0], again)
    assert (image.shape, labels.shape) == ((4, 6, 3), (4, 6))
    assert set(np.unique(labels)) == {0, 1, 255}


def test_an_error_leaves_nothing_and_an_allowed_one_is_left_out(root: Path, tmp_path: Path):
    (root / "images/train/a.png").write_bytes(b"")
    dataset = open_dataset(READ, root)
    with pytest.raises(DataError) as caught:
        convert_to_folder(dataset, tmp_path / "out")
    assert caught.value.code == "D102"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    done = convert_to_folder(dataset, tmp_path / "out", allow=["D102"])
    assert done.pairs == {"train": 1, "val": 1}
    assert list(done.left_out.values()) == ["D102"]


def test_nothing_is_overwritten(root: Path, tmp_path: Path):
    with pytest.raises(DataError) as caught:
        convert_to_folder(open_dataset(READ, root), tmp_path)
    assert caught.value.code == "D225"


@pytest.mark.parametrize("channels", [(0,), (2, 0), (2, 1, 0), (0, 1, 2, 0)])
def test_chosen_channels_are_what_is_written(
    make_folder: Callable[..., Path], tmp_path: Path, channels: tuple[int, ...]
):
    root = make_folder({"train/a": np.tile(RAW, (4, 2))})
    dataset = open_dataset(msgspec.structs.replace(READ, channels=channels), root)
    convert_to_folder(dataset, tmp_path / "out")
    count = len(channels)
    again = open_dataset(Data(channels=None if count == 3 else tuple(range(count))), tmp_path / "out")
    for before, after in zip(dataset.samples("train"), again.samples("train"), strict=True):
        np.testing.assert_array_equal(read_pair(before, dataset)[0], read_pair(after, again)[0])


def test_files_are_called_so_that_every_system_keeps_them_apart(make_folder: Callable[..., Path], tmp_path: Path):
    root = make_folder({"train/a": RAW, "train/A": RAW, "train/b:1": RAW, "val/aux": RAW})
    dataset = open_dataset(READ, root)
    convert_to_folder(dataset, tmp_path / "out")
    names = ["train/A", "train/a-2", "train/b_1", "val/aux_"]
    for kind in ("images", "masks"):
        folder = tmp_path / "out" / kind
        found = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.png"))
        assert found == names
    again = open_dataset(Data(), tmp_path / "out")
    assert [len(again.splits[split]) for split in ("train", "val")] == [3, 1]
    assert not [problem for problem in again.problems if problem.code == "D130"]
