"""What is kept of masks that are drawn; the layouts' own tests look at the pixels."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.layouts import outlines as drawing
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data


@pytest.fixture
def cache(own_cache: Path) -> Path:
    return own_cache / "pixelwise"


def write(root: Path, left: int) -> Path:
    """One image with LabelMe's annotation of a box."""
    (root / "train").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 10, 3), np.uint8)).save(root / "train" / "a.png")
    box = {"label": "car", "points": [[left, 1], [9, 7]], "shape_type": "rectangle"}
    content = {"version": "5.5.0", "shapes": [box], "imagePath": "a.png", "imageHeight": 8, "imageWidth": 10}
    (root / "train" / "a.json").write_text(json.dumps(content))
    return root


def open_in_another_process(root: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pixelwise.datasets.opening import open_dataset\n"
        "from pixelwise.recipes.schema.recipe import Data\n"
        "open_dataset(Data(), Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", script, str(root)], check=True)


def drawn(cache: Path) -> set[str]:
    return {path.name for path in cache.glob("drawn-labelme-v3-*")}


@pytest.mark.heavy
def test_masks_of_an_annotation_that_changed_go_when_the_new_ones_are_drawn(cache: Path, tmp_path: Path):
    open_in_another_process(write(tmp_path / "one", 1))
    open_in_another_process(write(tmp_path / "other", 1))
    before = drawn(cache)
    dataset = open_dataset(Data(), write(tmp_path / "one", 2))
    (mask,) = {sample.mask_path.parent.name for sample in dataset.samples("train") if sample.mask_path}
    after = drawn(cache)
    assert (len(before), len(after), len(after & before)) == (2, 2, 1)
    assert mask in after - before


@pytest.mark.heavy
def test_masks_that_a_process_works_with_stay(cache: Path, tmp_path: Path):
    open_dataset(Data(), write(tmp_path / "one", 1))
    before = drawn(cache)
    open_in_another_process(write(tmp_path / "one", 22))
    assert len(drawn(cache)) == 2
    assert before < drawn(cache)


def test_masks_that_an_earlier_version_drew_are_used(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = open_dataset(Data(), write(tmp_path / "one", 1))
    (folder,) = cache.glob("drawn-labelme-v3-*")
    name, _, subject = folder.name.partition("@")
    assert len(subject) == 16
    folder.rename(folder.with_name(name))
    monkeypatch.setattr(drawing, "_paint", None)
    again = open_dataset(Data(), tmp_path / "one")
    assert [sample.mask_path.parent.name for sample in again.samples("train") if sample.mask_path] == [name]
    assert again.label_names == first.label_names


@pytest.mark.parametrize("damage", ["missing", "cut", "empty folder"])
def test_a_damaged_index_is_drawn_again(damage: str, cache: Path, tmp_path: Path):
    first = open_dataset(Data(), write(tmp_path / "one", 1))
    (folder,) = cache.glob("drawn-labelme-v3-*")
    index = folder / "index.msgpack"
    if damage == "cut":
        index.write_bytes(index.read_bytes()[:-3])
    else:
        index.unlink()
    if damage == "empty folder":
        for path in folder.iterdir():
            path.unlink()
    assert open_dataset(Data(), tmp_path / "one") == first
    assert {path.name for path in folder.iterdir()} == {"000000-a.png", "index.msgpack", "lock", ".pixelwise-seal"}
