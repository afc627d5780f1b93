import os
import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.storage.cache_contents import NAMES, OTHER, UNFINISHED, cache_contents, clear_cache
from pixelwise.storage.cache_kinds import AUDIT, COMPLEXITY, INITIAL_WEIGHTS, KINDS
from pixelwise.storage.caches import remember
from pixelwise.storage.locks import work_lock


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pixelwise"


@pytest.fixture
def filled(folder: Path) -> Path:
    """Entries of six kinds, of no known kind, and an unfinished one."""
    for name, size in {
        "decoded/0a/pairs": 1000,
        "decoded/0b/pairs": 3000,
        "decoded/0b/lock": 0,
        "drawn-coco-v2-0c@ab/000000-a.png": 200,
        "drawn-coco-v2-0c@ab/index.msgpack": 50,
        "town-0d/images/train/0000.png": 70,
        "audit-0e.msgpack": 10,
        "hashes-0f.msgpack": 20,
        "mask-counts-v1.bin": 5,
        "old/deep/file": 7,
        ".pixelwise-tmp-abc/file": 3,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(size))
    remember(INITIAL_WEIGHTS, "", {})
    return folder


def shown() -> dict[str, tuple[int, int]]:
    return {use.kind: (len(use.entries), use.bytes) for use in cache_contents().kinds if use.entries}


def test_every_kind_is_shown_with_its_entries_and_their_size(filled: Path):
    assert shown() == {
        "decoded": (2, 4000),
        "drawn": (1, 250),
        "town": (1, 70),
        "audit": (1, 10),
        "hashes": (1, 20),
        "initial-weights": (1, 3),
        OTHER: (2, 12),
        UNFINISHED: (1, 3),
    }
    found = cache_contents()
    assert (found.folder, found.bytes) == (str(filled), 4368)
    assert [use.kind for use in found.kinds] == [*(kind.name for kind in KINDS), OTHER, UNFINISHED]
    (decoded,) = cache_contents(["decoded"]).kinds
    assert [(entry.name, entry.bytes) for entry in decoded.entries] == [("decoded/0b", 3000), ("decoded/0a", 1000)]


def test_an_empty_cache_shows_the_kinds_alone():
    assert [use.kind for use in cache_contents().kinds] == [kind.name for kind in KINDS]
    assert clear_cache().entries == 0


def test_clearing_keeps_what_cannot_be_computed_again(filled: Path):
    os.utime(filled / ".pixelwise-tmp-abc", (0, 0))
    cleared = clear_cache()
    assert (cleared.entries, cleared.bytes, cleared.left) == (9, 4365, {})
    assert shown() == {"initial-weights": (1, 3)}
    assert clear_cache(["initial-weights"]).entries == 1
    assert sorted(path.name for path in filled.iterdir()) == ["decoded"]  # empty


def test_one_kind_alone_is_cleared(filled: Path):
    before = shown()
    assert clear_cache(["decoded", "town"]).bytes == 4070
    assert shown() == {kind: use for kind, use in before.items() if kind not in ("decoded", "town")}


@pytest.mark.usefixtures("filled")
def test_a_kind_that_does_not_exist_is_refused():
    for act in (cache_contents, clear_cache):
        with pytest.raises(RecipeError) as caught:
            act(["decodet"])
        assert caught.value.code == "R203"
    assert set(NAMES) == {*(kind.name for kind in KINDS), UNFINISHED}
    assert len(shown()) == 8


def test_what_a_process_works_on_or_just_wrote_is_left(filled: Path):
    with work_lock(filled / "decoded" / "0a"):
        cleared = clear_cache()
    assert set(cleared.left) == {"decoded/0a", ".pixelwise-tmp-abc"}
    assert all(cleared.left.values())
    assert shown() == {"decoded": (1, 1000), "initial-weights": (1, 3), UNFINISHED: (1, 3)}


def test_what_another_process_uses_is_left_until_it_ends(filled: Path):
    script = (
        "import sys; from pathlib import Path; from pixelwise.storage.locks import keep_in_use\n"
        "keep_in_use(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(filled / "drawn-coco-v2-0c@ab")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert set(clear_cache(["drawn"]).left) == {"drawn-coco-v2-0c@ab"}
        assert (filled / "drawn-coco-v2-0c@ab" / "index.msgpack").exists()
        other.communicate("")
    assert clear_cache(["drawn"]).entries == 1
    assert not (filled / "drawn-coco-v2-0c@ab").exists()


def test_links_are_not_followed(filled: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    (outside / "data").mkdir(parents=True)
    (outside / "data" / "image.png").write_bytes(bytes(99))
    (outside / "file").write_bytes(bytes(99))
    (filled / "drawn-coco-v2-0a").symlink_to(outside / "data")
    (filled / "audit-0b.msgpack").symlink_to(outside / "file")
    (filled / "something").symlink_to(outside)
    (filled / "old" / "link").symlink_to(outside)
    (filled / "complexity").symlink_to(outside)
    assert shown()["drawn"][0] == 2
    assert cache_contents().bytes < 4368 + 5 * 99
    cleared = clear_cache()
    links = {"drawn-coco-v2-0a", "audit-0b.msgpack", "something", "complexity"}
    assert set(cleared.left) - {".pixelwise-tmp-abc"} == links
    assert not (filled / "old").exists()
    assert (outside / "data" / "image.png").stat().st_size == 99
    assert sorted(path.name for path in outside.iterdir()) == ["data", "file"]


def test_the_cache_folder_itself_may_be_a_link(folder: Path, tmp_path: Path):
    (tmp_path / "large disk").mkdir()
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "large disk")
    remember(AUDIT, "0a", 1)
    remember(COMPLEXITY, "0b", 1)
    assert clear_cache().entries == 2
    assert folder.is_symlink()


def test_names_of_any_bytes_are_shown_and_cleared(filled: Path):
    file = filled / os.fsdecode(b"bad\xff\nname")
    file.write_bytes(b"x")
    (other,) = (use for use in cache_contents().kinds if use.kind == OTHER)
    assert "bad\\xff\\nname" in [entry.name for entry in other.entries]
    clear_cache()
    assert not file.exists()
