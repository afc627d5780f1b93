from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from foreign_data import as_parquet, as_webdataset
from prediction.shards.photos import make_photos

from pixelwise.datasets.preparing.sharding import shard
from pixelwise.errors import DataError
from pixelwise.prediction.shards.units import find_units, marks_match


@pytest.fixture
def shards(tiny_data: Path, tmp_path: Path) -> Path:
    return shard(tiny_data, tmp_path / "shards", size="20kB").root


def test_a_tar_is_a_unit_with_the_keys_of_its_images(shards: Path):
    found = find_units([shards]).units
    tars = sorted(path.stem for path in shards.glob("*.tar"))
    assert len(tars) > 3
    assert sorted(unit.name.rpartition("-")[0] for unit in found) == tars
    names = [picture.name for unit in found for picture in unit.pictures]
    assert sorted(names) == sorted(
        f"{split}/{number:02}" for split, count in (("train", 8), ("val", 3), ("test", 3)) for number in range(count)
    )
    assert {picture.key for unit in found for picture in unit.pictures} == {f"{number:02}" for number in range(8)}


def test_a_unit_is_sent_to_another_process_without_its_images(shards: Path):
    unit = find_units([shards]).units[0]
    sent = pickle.dumps(unit)
    assert b".png" not in sent
    assert [picture.name for picture in pickle.loads(sent).pictures] == [picture.name for picture in unit.pictures]
    assert pickle.loads(sent).pictures[0].image.path.read_bytes() == unit.pictures[0].image.path.read_bytes()


@pytest.mark.heavy
def test_an_image_more_changes_one_unit_and_a_changed_one_its_own(tmp_path: Path):
    photos = make_photos(tmp_path / "photos", 60)
    for number in range(60, 1500):
        (photos / f"{number:04}.png").touch()
    before = {unit.name: [p.name for p in unit.pictures] for unit in find_units([photos]).units}
    assert len(before) > 3
    assert max(map(len, before.values())) <= 1024
    (photos / "0500b.png").touch()
    after = {unit.name for unit in find_units([photos]).units}
    assert len(set(before) - after) == 1
    (photos / "0500b.png").unlink()
    os.utime(photos / "0700.png", ns=(1, 1))
    (changed,) = set(before) - {unit.name for unit in find_units([photos]).units}
    assert "0700" in before[changed]


def test_keys_have_no_dot_and_are_distinct(tmp_path: Path):
    photos = make_photos(tmp_path / "photos", 1)
    for name in ("a.b.png", "a_b.png", "day/x.y.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes((photos / "000.png").read_bytes())
    (unit,) = find_units([photos]).units
    keys = [picture.key for picture in unit.pictures]
    assert len({key.casefold() for key in keys}) == 4
    assert not any("." in Path(key).name for key in keys)
    assert [picture.name for picture in unit.pictures] == ["000", "a.b", "a_b", "day/x.y"]


def test_data_that_changed_since_it_was_listed_is_refused(tmp_path: Path):
    photos = make_photos(tmp_path / "photos", 2)
    (unit,) = find_units([photos]).units
    marks_match(unit)
    os.utime(photos / "001.png", ns=(1, 1))
    with pytest.raises(DataError, match="changed since") as caught:
        marks_match(unit)
    assert caught.value.code == "D271"


def test_tars_and_tables_of_other_programs_are_units_too(tiny_data: Path, tmp_path: Path):
    tars, tables = as_webdataset(tiny_data, tmp_path / "tars", each=4), as_parquet(tiny_data, tmp_path / "tables")
    for root, number in ((tars, 4), (tables, 6)):
        found = find_units([root]).units
        assert len(found) == number
        assert {picture.name for unit in found for picture in unit.pictures} == {
            f"{split}/{place:02}" for split, count in (("train", 8), ("val", 3), ("test", 3)) for place in range(count)
        }
        assert {picture.key for unit in found for picture in unit.pictures} == {f"{place:02}" for place in range(8)}
        for unit in found:
            marks_match(unit)
