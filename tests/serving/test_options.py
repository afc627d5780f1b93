from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.serving.options import ServeOptions

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"host": "0.0.0.0"}, "R290"),
        ({"host": "::"}, "R290"),
        ({"host": "192.168.1.2"}, "R290"),
        ({"host": "localhost.example"}, "R290"),
        ({"host": ""}, "R290"),
        ({"token": TOKEN[:-1]}, "R260"),
        ({"token": f"{TOKEN} "}, "R260"),
        ({"token": ""}, "R260"),
        ({"name": "a/b"}, "R260"),
        ({"name": "\u00e9"}, "R260"),
    ],
)
def test_open_doors_and_weak_tokens_are_refused(changes, code):
    with pytest.raises(RecipeError) as caught:
        ServeOptions(**changes).refuse_open_doors()
    assert caught.value.code == code


def test_this_computer_needs_no_token_and_others_have_one():
    for changes in ({}, {"host": "localhost"}, {"host": "127.0.0.9"}, {"host": "::1"}, {"host": "::", "token": TOKEN}):
        ServeOptions(**changes).refuse_open_doors()
