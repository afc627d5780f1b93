"""The benchmark of the README's quick start: what it types, what it counts, and what the README owes to a newcomer."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = """\
---
title: not shown
---
# A *short* page

![a picture](of/nothing.png)
Read [the two words](https://example.org/never/read), and `one-more`.

```
first --option 3    # said to the reader
second   # and this
```

After it, `photos` counts.

Nobody reads this.
"""


@pytest.fixture
def quick_start(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("quick_start")


def test_commands_are_those_of_the_first_block_without_their_comments(quick_start: ModuleType):
    assert quick_start.shown_commands(PAGE) == ["first --option 3", "second"]


def test_words_are_those_that_a_reader_sees(quick_start: ModuleType):
    #           A short page | Read the two words and one-more | first option 3 said to the reader | second and this
    expected = 3 + 6 + 7 + 3
    assert quick_start.words_read(quick_start.passage(PAGE, "---", "this\n```")) == expected
    assert quick_start.words_read(quick_start.needed(PAGE)) == expected + len(["After", "it,", "photos", "counts."])


def test_typed_are_commands_and_files(quick_start: ModuleType):
    assert quick_start.typed(("abc d", "e"), {"x.yaml": "a: 1\n"}) == {
        "commands": 2, "files": 1, "words": 5, "characters": 11,
    }  # fmt: skip


def test_reading_and_typing_take_less_than_ten_minutes_and_less_than_elsewhere(quick_start: ModuleType):
    found = quick_start.counts()
    ours = found.pop("Pixelwise")
    assert quick_start.minutes_of(ours) < quick_start.LIMIT
    assert len(found) == 2
    for other in found.values():
        assert ours["words"] < other["words"]
        assert ours["characters"] < other["characters"]
        assert ours["read"] < other["read"]
        assert ours["commands"] + ours["files"] <= other["commands"] + other["files"]


def test_the_page_is_that_of_the_readme_and_of_the_last_run(quick_start: ModuleType):
    result = json.loads((ROOT / "benchmarks" / "measurements" / "quick_start.json").read_text("utf-8"))
    assert (ROOT / "benchmarks" / "quick_start.md").read_text("utf-8") == quick_start.page(result), (
        "README.md has changed; run: python benchmarks/quick_start.py --page"
    )
    shown = quick_start.shown_commands((ROOT / "README.md").read_text("utf-8"))
    assert [step["command"].split()[:2] for step in result["steps"]] == [line.split()[:2] for line in shown]
    assert result["masks"] == result["photos"] > 0


def test_drawn_photos_lie_as_the_readme_says(quick_start: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quick_start, "SCENES", {"photos": 2, "more-photos": 1})
    for number, name in enumerate(quick_start.SCENES):
        quick_start.own_photos(tmp_path / name, None, number)
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert written == [
        "more-photos/000.png",
        "photos/images/000.png", "photos/images/001.png", "photos/masks/000.png", "photos/masks/001.png",
    ]  # fmt: skip
