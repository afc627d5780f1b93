from pathlib import Path

import pytest

from pixelwise.prediction.inputs import Input
from pixelwise.prediction.receipts.division import MEAN_LENGTH, key_of, units


def images(names: list[str], folder: str = "photos") -> list[Input]:
    return [Input(Path(folder, f"{name}.jpg"), Path(name)) for name in names]


NAMES = [f"frame_{number:06d}" for number in range(20_000)]


def test_units_are_all_images_once_in_their_order():
    found = list(units(images(NAMES)))
    assert [one.name.as_posix() for unit in found for one in unit] == NAMES
    assert all(1 <= len(unit) <= 4 * MEAN_LENGTH for unit in found)
    assert len(NAMES) / len(found) == pytest.approx(MEAN_LENGTH, rel=0.15)


def test_no_images_have_no_units():
    assert list(units([])) == []


@pytest.mark.heavy
@pytest.mark.parametrize("place", [0, 1, 9_999, 19_999])
@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_change_of_the_images_changes_the_units_around_it_alone(place: int, change: str):
    before = {tuple(unit) for unit in units(images(NAMES))}
    names = [*NAMES[:place], *(["between"] if change == "added" else []), *NAMES[place + (change == "removed") :]]
    after = {tuple(unit) for unit in units(images(names))}
    assert len(before - after) <= 3


def test_images_of_another_folder_or_name_have_other_keys():
    first = Input(Path("photos/a.jpg"), Path("a"))
    others = [Input(Path("more/a.jpg"), Path("a")), Input(Path("photos/a.jpg"), Path("a.jpg"))]
    assert len({key_of(image) for image in (first, *others)}) == 3
    assert key_of(first) == key_of(Input(Path("photos/a.jpg").absolute(), Path("a")))
    assert len(key_of(first)) == 32
