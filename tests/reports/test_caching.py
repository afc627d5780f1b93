import json

import pytest

from pixelwise.reports.caching import print_cache
from pixelwise.storage.cache_contents import CacheContents, CacheEntry, CacheUse, Cleared

ENTRIES = (CacheEntry(name="decoded/0b", bytes=3_200_000, about="town train, 5 pairs"), CacheEntry(name="x", bytes=0))
CONTENTS = CacheContents(
    folder="/cache/pixelwise",
    bytes=3_200_030,
    kinds=(
        CacheUse(kind="decoded", purpose="pixels", permanent=False, bytes=3_200_000, entries=ENTRIES),
        CacheUse(kind="weights", purpose="hashes", permanent=True, bytes=30, entries=(CacheEntry(name="w", bytes=30),)),
    ),
)
CLEARED = Cleared(entries=1, bytes=3_200_000, left={"x": "is in use by a process"})


def test_kinds_are_a_table_with_a_sum(capsys: pytest.CaptureFixture[str]):
    print_cache(CONTENTS, None, [], as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["decoded", "2", "3.2", "MB", "pixels"],
        ["weights", "1", "0.0", "MB", "hashes"],
        ["/cache/pixelwise:", "3", "entries,", "3.2", "MB"],
    ]


def test_a_kind_that_was_named_is_listed_entry_by_entry(capsys: pytest.CaptureFixture[str]):
    print_cache(CONTENTS, None, ["decoded"], as_json=False)
    out = capsys.readouterr().out
    assert "  decoded/0b: 3.2 MB, town train, 5 pairs\n  x: 0.0 MB\n" in out


@pytest.mark.parametrize(("chosen", "said"), [([], True), (["weights"], False)])
def test_what_clearing_left_is_said_with_the_reason(chosen: list[str], said: bool, capsys: pytest.CaptureFixture[str]):
    print_cache(CONTENTS, CLEARED, chosen, as_json=False)
    out = capsys.readouterr().out
    assert "removed 1 entry, 3.2 MB\n  left: x is in use by a process\n" in out
    assert ("--kind weights" in out) == said


def test_json_holds_the_same(capsys: pytest.CaptureFixture[str]):
    print_cache(CONTENTS, CLEARED, [], as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["cleared"] == {"entries": 1, "bytes": 3_200_000, "left": {"x": "is in use by a process"}}
    assert found["kinds"][0]["entries"][0] == {"name": "decoded/0b", "bytes": 3_200_000, "about": "town train, 5 pairs"}
    assert (found["bytes"], found["kinds"][1]["permanent"]) == (3_200_030, True)
