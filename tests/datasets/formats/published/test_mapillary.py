import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.published.mapillary import mapillary_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
NAMES = ("animal--bird", "object--vehicle--vehicle-group", "construction--flat--road", "void--unlabeled")
NOT_SCORED = (1, 3)


def save(path: Path, values: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        Image.fromarray(np.random.default_rng(list(str(path).encode())).integers(0, 256, (1, 4, 3), np.uint8)).save(
            path
        )
        return
    mask = Image.fromarray(np.array([values], np.uint8), "P")
    mask.putpalette([channel for number in range(256) for channel in (number, 9, 255 - number)])
    mask.save(path)


def write(root: Path, version: str) -> None:
    folder = "labels" if version == "v1.1" else f"{version}/labels"
    labels = [
        {"name": name, "readable": name, "instances": False, "evaluate": number not in NOT_SCORED,
         "color": [number, 9, 255 - number]}
        for number, name in enumerate(NAMES)
    ]  # fmt: skip
    config = "config.json" if version == "v1.1" else f"config_{version}.json"
    (root / config).write_text(json.dumps({"labels": labels, "mapping": "public", "version": version}), "utf-8")
    for split in ("training", "validation"):
        save(root / split / "images" / "a.jpg")
        save(root / split / folder / "a.png", [0, 1, 2, 3] if version != "v1.2" else [2, 2, 2, 2])
    save(root / "testing" / "images" / "t.jpg")


def labels(root: Path, name: str = "auto") -> list[list[int]]:
    dataset = open_dataset(Data(dataset=name), root)
    return [read_pair(sample, dataset)[1][0].tolist() for found in dataset.splits.values() for sample in found]


@pytest.mark.parametrize("version", ["v2.0", "v1.2", "v1.1"])
def test_names_values_and_what_the_score_leaves_out(version: str, tmp_path: Path):
    write(tmp_path, version)
    dataset = open_dataset(Data(), tmp_path)
    assert (dataset.name, dataset.classes) == ("mapillary", (NAMES[0], NAMES[2]))
    assert dataset.palette == ((0, 9, 255), (2, 9, 253))
    assert version in dataset.layout
    assert "2 that the official score leaves out" in dataset.layout
    assert labels(tmp_path) == [[0, 255, 1, 255] if version != "v1.2" else [1] * 4] * 2
    assert [problem.code for problem in dataset.problems] == ["W220"]  # testing/ has no masks
    # The scenes of version 1.2 show a single class.
    assert [one.code for one in audit(dataset).errors] == (["D263"] if version == "v1.2" else [])


def test_of_two_versions_the_newest_is_read_and_the_older_one_by_name(tmp_path: Path):
    for version in ("v1.2", "v2.0"):
        write(tmp_path, version)
    assert labels(tmp_path) == [[0, 255, 1, 255]] * 2
    assert labels(tmp_path, "mapillary-v1") == [[1] * 4] * 2


def test_a_missing_or_damaged_configuration_is_said(tmp_path: Path):
    write(tmp_path, "v2.0")
    for content in ("{", None):
        path = tmp_path / "config_v2.0.json"
        path.unlink() if content is None else path.write_text(content, "utf-8")
        with pytest.raises(DataError, match=r"config_v2\.0\.json") as caught:
            open_dataset(Data(), tmp_path)
        assert caught.value.code == "D230"


def test_files_without_a_partner_are_said(tmp_path: Path):
    write(tmp_path, "v2.0")
    save(tmp_path / "training/images/lonely.jpg")
    save(tmp_path / "training/v2.0/labels/orphan.png", [0, 0, 0, 0])
    messages = " ".join(problem.message for problem in open_dataset(Data(), tmp_path).problems)
    assert "lonely.jpg" in messages
    assert "orphan.png" in messages


def test_training_images_with_labels_alone_are_anybodys(tmp_path: Path):
    for split in ("training", "validation"):
        for name in "ab":
            save(tmp_path / split / "images" / f"{name}.jpg")
            save(tmp_path / split / "labels" / f"{name}.png", [0, 1, 2, 3])
    assert open_dataset(Data(), tmp_path).name == "folder"
    assert mapillary_layout(tmp_path / "training") is None
