"""The benchmark of a newcomer's first hour: what it takes for a picture, and its table."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def first_hour(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("first_hour")


def test_only_what_a_command_writes_is_a_picture(first_hour: ModuleType):
    place = Path("/hour")
    seen = ("check.html", "runs/first/live.html", "out/masks/a.png")
    others = ("photos/images/a.png", "held-out/b.jpg", "venv/lib/c.png", "runs/first/log.jsonl")
    assert [name for name in (*seen, *others) if first_hour.is_picture(place / name, place)] == list(seen)


def test_the_table_has_a_row_per_data_set(first_hour: ModuleType):
    steps = [
        {"command": "check", "seconds": 7.0, "first_picture": 6.4},
        {"command": "train", "seconds": 1210.0, "first_picture": None},
        {"command": "predict", "seconds": 30.0, "first_picture": None},
    ]
    result = {
        "data": "cells",
        "minutes": 20,
        "steps": steps,
        "held_out": {"miou": 0.905, "images": 60},
    }
    assert "| cells | 7 | 6 | 1210 (of 20 min) | 30 | 90.5 % of 60 |" in first_hour.page([result])
