from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.known_images import in_words, known_images
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import ALL
from pixelwise.recipes.schema.recipe import Data
from pixelwise.records.environment import Arguments, Environment, write_environment
from pixelwise.records.folds.division import Division, write_division


@pytest.fixture
def copy(tiny_data: Path, tmp_path: Path) -> Path:
    """The data in another place, with a mask that was corrected."""
    copy = shutil.copytree(tiny_data, tmp_path / "copy")
    mask = copy / "masks" / "train" / "01.png"
    Image.fromarray(np.zeros_like(np.asarray(Image.open(mask)))).save(mask)
    return copy


def changed(path: Path) -> None:
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


def test_images_that_a_run_learned_from_are_known_whatever_their_masks_and_names(tiny_run: Path, copy: Path):
    train = len(open_dataset(Data(), copy).splits["train"])
    (copy / "images" / "train" / "01.png").rename(copy / "images" / "train" / "x1.png")
    (copy / "masks" / "train" / "01.png").rename(copy / "masks" / "train" / "x1.png")
    changed(copy / "images" / "train" / "02.png")
    data = open_dataset(Data(), copy)
    known = known_images(tiny_run, data, "train")
    assert len(known) == train - 1
    assert {"x1", "02"} & {id.rpartition("/")[2] for id in known} == {"x1"}
    assert known_images(tiny_run, data, "val") == ()
    assert len(known_images(tiny_run, data, ALL)) == train - 1
    assert in_words(known, train) == f"{train - 1} of {train} images (such as {known[0]})"


def test_a_fold_knows_what_it_learned_from_and_all_folds_know_all(tiny_run: Path, copy: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "fold-0"))
    whole = open_dataset(Data(), copy).with_all().splits[ALL]
    ids = [sample.id for sample in whole]
    write_division(run, Division(learned={"train": tuple(ids[:3]), "val": tuple(ids[3:5])}, held_out=tuple(ids[5:])))
    data = open_dataset(Data(), copy)
    assert known_images(run, data, ALL) == tuple(ids[:5])
    assert known_images(run, data, ALL, folds=True) == tuple(ids)


@pytest.mark.parametrize("place", ["/gone", "s3://bucket/photos"])
def test_nothing_is_found_where_the_training_data_is_gone_or_elsewhere(
    place: str, tiny_run: Path, copy: Path, tmp_path: Path
):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    write_environment(run, Environment(arguments=Arguments(data=place, device="cpu")))
    assert known_images(run, open_dataset(Data(), copy), ALL) == ()


def test_a_score_on_known_images_says_so(tiny_run: Path, copy: Path, tmp_path: Path):
    import pixelwise
    from tests.observers import Told

    run, heard = Path(shutil.copytree(tiny_run, tmp_path / "run")), []
    result = pixelwise.evaluate(run, copy, "train", observer=Told(warn=lambda code, message: heard.append(code)))
    assert "W416" in heard
    number = len(open_dataset(Data(), copy).splits["train"])
    said = f"was trained on {number} of {number} images"
    assert any(said in note for note in result.notes)
    for split in ("val", "test"):
        assert not any("was trained on" in note for note in pixelwise.evaluate(run, copy, split).notes)
