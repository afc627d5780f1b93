import json

import pytest

from pixelwise.reports.caching import print_cache
from pixelwise.storage.cache_contents import CacheContents, CacheEntry, CacheUse, Cleared

AUDIT = CacheUse(
    kind="audit", purpose="checks", permanent=False, bytes=2_500_000,
    entries=(CacheEntry(name="audit-1", bytes=2_500_000, about="folder"),),
)  # fmt: skip
KEPT = CacheUse(kind="kept", purpose="weights", permanent=True, bytes=100, entries=(CacheEntry(name="k", bytes=100),))
CONTENTS = CacheContents(folder="/cache", bytes=2_500_100, kinds=(AUDIT, KEPT))
CLEARED = Cleared(entries=1, bytes=2_500_000, left={"audit-2": "is in use"})


def printed(capsys: pytest.CaptureFixture[str], contents: CacheContents, chosen: tuple[str, ...] = ()) -> list[str]:
    print_cache(contents, chosen, as_json=False)
    return capsys.readouterr().out.splitlines()


def test_kinds_are_a_table_with_the_sum_below(capsys: pytest.CaptureFixture[str]):
    lines = printed(capsys, CONTENTS)
    assert lines[1].split() == ["audit", "1", "2.5", "MB", "checks"]
    assert lines[-1] == "/cache: 2 entries, 2.5 MB"


def test_chosen_kinds_are_listed_entry_by_entry(capsys: pytest.CaptureFixture[str]):
    lines = printed(capsys, CONTENTS, ("audit", "kept"))
    assert lines[:2] == ["audit: checks", "  audit-1: 2.5 MB, folder"]


def test_what_was_left_is_said_with_its_reason(capsys: pytest.CaptureFixture[str]):
    import msgspec

    lines = printed(capsys, msgspec.structs.replace(CONTENTS, cleared=CLEARED))
    assert "  left: audit-2 is in use" in lines
    assert any(line.startswith("  left: kept,") and "--kind kept" in line for line in lines)
    assert not any("--kind" in line for line in printed(capsys, CONTENTS))


def test_json_holds_both(capsys: pytest.CaptureFixture[str]):
    import msgspec

    print_cache(msgspec.structs.replace(CONTENTS, cleared=CLEARED), (), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["bytes"], found["cleared"]["entries"]) == (2_500_100, 1)
