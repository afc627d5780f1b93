import math

import msgspec

from pixelwise.storage import json_text


class Point(msgspec.Struct):
    y: int
    x: float


def test_two_spaces_per_level_and_a_line_break_at_the_end():
    assert json_text({"b": [1, 2], "a": None}) == '{\n  "b": [\n    1,\n    2\n  ],\n  "a": null\n}\n'


def test_indent_and_order_can_be_chosen():
    assert json_text({"b": 1, "a": 2}, indent=1, order="sorted") == '{\n "a": 2,\n "b": 1\n}\n'


def test_nan_becomes_null():
    assert json_text(Point(y=1, x=math.nan)) == '{\n  "y": 1,\n  "x": null\n}\n'
