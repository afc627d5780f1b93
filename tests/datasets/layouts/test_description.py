from pathlib import Path

import pytest

from pixelwise.datasets.classes.tables import described_classes
from pixelwise.datasets.layouts.description import DESCRIPTION_FILE, is_described, write_description


def test_what_is_written_is_read_again(tmp_path: Path):
    assert not is_described(tmp_path)
    write_description(tmp_path, ("road", 'a "b"'), ("#804080", "#000000"))
    assert is_described(tmp_path)
    assert described_classes(tmp_path) == (("road", 'a "b"'), None)


@pytest.mark.parametrize("palette", [[(0, 1, 2), (3, 4, 5)], ["#000102", "#030405"], []])
def test_colours_are_written_as_they_are_given(tmp_path: Path, palette: list):
    import tomllib

    write_description(tmp_path, ["a", "b"], palette, ignore=11)
    plain = tomllib.loads((tmp_path / DESCRIPTION_FILE).read_text())
    assert plain["ignore"] == 11
    assert plain.get("palette", []) == [list(color) if isinstance(color, tuple) else color for color in palette]
