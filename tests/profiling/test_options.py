from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.profiling.options import ProfileOptions

TORCH = ("torch",)


@pytest.mark.parametrize(
    ("options", "overrides"),
    [
        ({}, ["ema.decay=0.9"]),
        ({"size": (32, 48), "steps": 3, "threads": (2,), "num_classes": 5, "device": "cpu"}, []),
        ({"train": True, "data": "photos", "size": (32, 48), "steps": 3, "threads": (1,), "output": "a.png"}, ["a=1"]),
        ({"runtimes": TORCH, "threads": (1, 2), "batch": 2, "rounds": 3, "size": (32, 48), "num_classes": 5}, []),
    ],
)
def test_options_of_one_kind_go_together(options: dict, overrides: list[str]) -> None:
    ProfileOptions(**options).refuse_contradictions(overrides)


@pytest.mark.parametrize(
    ("options", "overrides", "word"),
    [
        ({"runtimes": TORCH}, ["ema.decay=0.9"], "recipe"),
        ({"runtimes": TORCH, "train": True}, [], "`train`"),
        ({"runtimes": TORCH, "steps": 3}, [], "`steps`"),
        ({"runtimes": TORCH, "device": "cpu"}, [], "`device`"),
        ({"runtimes": TORCH, "output": "a.png"}, [], "`output`"),
        ({"train": True, "num_classes": 5}, [], "`num_classes`"),
        ({"train": True, "batch": 2}, [], "`batch`"),
        ({"train": True, "threads": (1, 2)}, [], "`threads`"),
        ({"data": "photos"}, [], "`data`"),
        ({"output": "a.png"}, [], "`output`"),
        ({"rounds": 3}, [], "`rounds`"),
        ({"threads": (1, 2)}, [], "`threads`"),
    ],
)
def test_an_option_that_means_nothing_is_named(options: dict, overrides: list[str], word: str) -> None:
    with pytest.raises(RecipeError) as caught:
        ProfileOptions(**options).refuse_contradictions(overrides)
    assert caught.value.code == "R251"
    assert word in caught.value.message
