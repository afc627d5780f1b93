"""The scores of `benchmarks/small_data.py`, by hand; its trainings are run by hand."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def small_data(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("small_data")


def write(path: Path, rows: list[list[int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(rows, np.uint8)).save(path)


def test_masks_are_scored_over_all_pixels_of_all_images(small_data: ModuleType, tmp_path: Path):
    write(tmp_path / "data/masks/test/a.png", [[0, 0, 1, 255]])
    write(tmp_path / "data/masks/test/b.png", [[1, 1]])
    write(tmp_path / "masks/a.png", [[0, 1, 1, 0]])
    write(tmp_path / "masks/b.png", [[1, 0]])
    miou, per_class, images = small_data.score(tmp_path / "masks", tmp_path / "data", ("background", "nucleus"))
    # Of class 0: hit 1, missed 1, wrong 1; of class 1: hit 2, missed 1, wrong 1. The ignored pixel does not count.
    assert per_class == {"background": 1 / 3, "nucleus": 2 / 4}
    assert miou == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert images == 2


@pytest.mark.parametrize(
    ("name", "rows", "message"), [("c.png", [[0]], "a.png is missing"), ("a.png", [[0]], "expected")]
)
def test_a_mask_that_is_missing_or_of_another_size_is_refused(
    small_data: ModuleType, tmp_path: Path, name: str, rows: list[list[int]], message: str
):
    write(tmp_path / "data/masks/test/a.png", [[0, 1]])
    write(tmp_path / "masks" / name, rows)
    with pytest.raises(SystemExit, match=message):
        small_data.score(tmp_path / "masks", tmp_path / "data", ("background", "nucleus"))


@pytest.mark.heavy
def test_nuclei_are_joined_and_no_test_image_is_trained_on(small_data: ModuleType, tmp_path: Path):
    for number in range(165):
        one = tmp_path / "nuclei" / f"image{number:03d}"
        write(one / "images" / f"image{number:03d}.png", [[number, 0], [0, 0]])
        write(one / "masks" / "1.png", [[255, 0], [0, 0]])
        write(one / "masks" / "2.png", [[0, 0], [0, 255]])
    for split, count in (("train", 16), ("val", 2), ("test", 2)):
        for number in range(count):
            write(tmp_path / "camvid" / "images" / split / f"{split}{number:02d}.png", [[0]])
            write(tmp_path / "camvid" / "masks" / split / f"{split}{number:02d}.png", [[number % 12]])
    small_data.divide(tmp_path / "camvid", tmp_path / "nuclei", tmp_path / "work")
    names = {
        (folder.parent.parent.name, folder.name): {path.stem for path in folder.iterdir()}
        for folder in (tmp_path / "work").glob("*/images/*")
    }
    assert {key: len(value) for key, value in names.items()} == {
        ("nuclei-30", "train"): 24, ("nuclei-30", "val"): 6, ("nuclei-100", "train"): 80, ("nuclei-100", "val"): 20,
        ("nuclei-test", "test"): 60, ("camvid-46", "train"): 2, ("camvid-367", "train"): 16, ("camvid-367", "val"): 2,
        ("camvid-test", "test"): 2,
    }  # fmt: skip
    for size in (30, 100):
        trained = names[f"nuclei-{size}", "train"] | names[f"nuclei-{size}", "val"]
        assert len(trained) == size
        assert not trained & names["nuclei-test", "test"]
    mask = next((tmp_path / "work/nuclei-30/masks/train").iterdir())
    assert np.asarray(Image.open(mask)).tolist() == [[1, 0], [0, 1]]
    void = tmp_path / "work/camvid-367/masks/train/train11.png"
    assert np.asarray(Image.open(void)).tolist() == [[255]]


def test_the_table_has_a_row_per_system(small_data: ModuleType):
    def of(data: str, system: str, miou: float) -> object:
        return small_data.Score(
            data=data, system=system, seed=0, minutes=20, cores=1, miou=miou, per_class_iou={}, images=60
        )

    text = small_data.table([of("nuclei-30", "A", 0.8123), of("camvid-46", "A", 0.5), of("nuclei-30", "B", 0.7)])
    assert "| A | 81.2 | not run | 50.0 | not run |" in text
    assert "| B | 70.0 | not run | not run | not run |" in text
    assert "20 minutes on 1 core:" not in text
    assert "after 20 minutes on 1 core." in text
