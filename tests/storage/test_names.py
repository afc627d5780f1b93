import os

from pixelwise.storage import printable


def test_ordinary_names_stay():
    assert printable("Straße 1 – 写真.png") == "Straße 1 – 写真.png"


def test_undecodable_bytes_and_control_characters_are_escaped():
    assert printable(os.fsdecode(b"b\xff.png")) == "b\\xff.png"
    assert printable("a\nb\x1b[31m.png") == "a\\nb\\x1b[31m.png"
