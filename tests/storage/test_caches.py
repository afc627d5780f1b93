import hashlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pixelwise.errors import ResourceError
from pixelwise.storage import cache_kinds, caches
from pixelwise.storage.cache_kinds import AUDIT, CEILING, COMPLEXITY, DRAWN, INITIAL_WEIGHTS, CacheKind
from pixelwise.storage.caches import (
    building_entry,
    cache_folder,
    entry_path,
    is_cached,
    recall,
    remember,
    remembered,
    subject_of,
)
from pixelwise.storage.locks import stop_using

KEY, OTHER = "aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pixelwise"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def never() -> dict[str, int]:
    raise AssertionError("it was kept")


def test_the_cache_is_where_the_user_says_and_private(folder: Path):
    assert cache_folder() == folder
    assert cache_folder().stat().st_mode & 0o777 == 0o700


def test_a_file_is_cached_if_it_lies_in_the_cache_folder_itself(folder: Path, tmp_path: Path):
    inside, outside = cache_folder() / "kind" / "file", tmp_path / "outside"
    inside.parent.mkdir(parents=True)
    outside.touch()
    inside.symlink_to(outside)
    assert is_cached(inside.parent / "another")
    assert not is_cached(inside)
    assert not is_cached(outside)
    assert not is_cached(cache_folder())


def test_a_value_is_computed_once_and_kept(folder: Path):
    assert remembered(AUDIT, KEY, dict[str, int], lambda: {"a": 1}) == {"a": 1}
    assert remembered(AUDIT, KEY, dict[str, int], never) == {"a": 1}
    assert names(folder) == [f"audit-v{AUDIT.version}-{KEY}.msgpack"]
    assert remembered(AUDIT, KEY, dict[str, int], lambda: {"a": 2}, fresh=True) == {"a": 2}
    assert remembered(AUDIT, KEY, dict[str, int], never) == {"a": 2}


def test_json_is_kept_as_text_that_people_can_read(folder: Path):
    remember(COMPLEXITY, KEY, {"b": 1, "a": 2})
    text = (folder / "complexity" / f"{KEY}.json").read_text()
    digest = hashlib.sha256(b'{"a":2,"b":1}').hexdigest()
    assert text == f'{{\n  "sha256": "{digest}",\n  "value": {{\n    "a": 2,\n    "b": 1\n  }}\n}}\n'
    assert recall(COMPLEXITY, KEY, dict[str, int]) == {"a": 2, "b": 1}


@pytest.mark.parametrize("content", [b"", b"\x81\xa1a", msgspec.msgpack.encode({"a": "no number"}), b"\xc1", None])
def test_damaged_values_are_computed_again(content: bytes | None, folder: Path):
    remember(AUDIT, KEY, {"a": 1})
    file = folder / f"audit-v{AUDIT.version}-{KEY}.msgpack"
    if content is None:
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(content)
    assert recall(AUDIT, KEY, dict[str, int]) is None
    assert remembered(AUDIT, KEY, dict[str, int], lambda: {"a": 3}) == {"a": 3}
    assert recall(AUDIT, KEY, dict[str, int]) == {"a": 3}


def test_values_not_worth_keeping_are_not_cached():
    assert remembered(AUDIT, KEY, int, lambda: 0, keep=bool) == 0
    assert recall(AUDIT, KEY, int) is None


def test_the_earlier_state_of_a_subject_goes_when_the_new_one_is_written(folder: Path):
    here, there = subject_of(Path("/data/here"), "train"), subject_of(Path("/data/there"), "train")
    assert here != there
    for key, subject in ((KEY, here), (KEY.replace("a", "c"), there), (OTHER, here)):
        remember(AUDIT, key, 1, subject=subject)
    remember(CEILING, OTHER, 1)
    assert names(folder) == [
        f"audit-v{AUDIT.version}-{OTHER}@{here}.msgpack",
        f"audit-v{AUDIT.version}-{'c' * 20}@{there}.msgpack",
        f"ceiling-v2-{OTHER}.msgpack",
    ]


def test_an_entry_is_found_whatever_its_subject(folder: Path):
    remember(AUDIT, KEY, 1)
    assert recall(AUDIT, KEY, int, subject="ab") == 1
    remember(AUDIT, OTHER, 2, subject="ab")
    assert recall(AUDIT, OTHER, int, subject="cd") == 2
    assert entry_path(AUDIT, OTHER, subject="cd").name == f"audit-v{AUDIT.version}-{OTHER}@ab.msgpack"
    # That nobody can say what it is of does not make it superseded.
    assert recall(AUDIT, KEY, int) == 1


def changed(kind: CacheKind, version: int) -> CacheKind:
    return msgspec.structs.replace(kind, version=version)


def test_entries_of_an_older_version_go_when_a_new_one_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch):
    remember(AUDIT, KEY, 1)
    remember(CEILING, KEY, 1)
    newer = changed(AUDIT, AUDIT.version + 1)
    monkeypatch.setattr(caches, "KINDS", (*(kind for kind in cache_kinds.KINDS if kind is not AUDIT), newer))
    assert recall(newer, KEY, int) is None
    remember(newer, OTHER, 2)
    assert names(folder) == [f"audit-v{AUDIT.version + 1}-{OTHER}.msgpack", f"ceiling-v2-{KEY}.msgpack"]


def test_entries_of_a_newer_version_stay(folder: Path):
    remember(changed(AUDIT, AUDIT.version + 1), KEY, 1)
    remember(AUDIT, OTHER, 2)
    assert len(names(folder)) == 2


@pytest.fixture
def unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))


@pytest.mark.usefixtures("unwritable")
def test_an_unwritable_cache_is_an_error_for_permanent_kinds_only():
    assert remembered(AUDIT, KEY, int, lambda: 5) == 5
    with pytest.raises(ResourceError) as caught:
        remember(INITIAL_WEIGHTS, "", {})  # what cannot be computed again has to be kept
    assert caught.value.code == "S606"
    with pytest.raises(ResourceError):
        recall(INITIAL_WEIGHTS, "", dict[str, str])
    with pytest.raises(ResourceError) as caught:
        entry_path(DRAWN, KEY, variant="coco")
    assert caught.value.code == "S606"


def build(key: str, content: str = "whole", subject: str = "ab") -> Path:
    path = entry_path(DRAWN, key, variant="coco", subject=subject)
    with building_entry(DRAWN, path, variant="coco", subject=subject) as folder:
        (folder / "file").write_text(content)
    return path


def build_in_another_process(key: str) -> None:
    script = (
        "import sys; from pixelwise.storage.cache_kinds import DRAWN\n"
        "from pixelwise.storage.caches import building_entry, entry_path\n"
        "path = entry_path(DRAWN, sys.argv[1], variant='coco', subject='ab')\n"
        "with building_entry(DRAWN, path, variant='coco', subject='ab') as folder:\n"
        "    (folder / 'file').write_text('whole')"
    )
    subprocess.run([sys.executable, "-c", script, key], check=True)


def test_a_folder_appears_whole_and_replaces_one_that_was_damaged(folder: Path):
    path = build(KEY)
    assert (path, names(path)) == (folder / f"drawn-coco-v3-{KEY}@ab", [".pixelwise-seal", "file", "lock"])
    assert build(KEY, "again") == path
    assert (path / "file").read_text() == "again"
    assert names(folder) == [path.name]


def test_a_folder_that_fails_leaves_nothing(folder: Path):
    path = entry_path(DRAWN, KEY, variant="coco")

    def fail() -> None:
        with building_entry(DRAWN, path) as unfinished:
            (unfinished / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(folder) == []


def test_an_entry_finished_by_another_process_meanwhile_is_kept(folder: Path):
    path = entry_path(DRAWN, KEY, variant="coco", subject="ab")
    with building_entry(DRAWN, path, variant="coco", subject="ab") as unfinished:
        (unfinished / "file").write_text("second")
        build_in_another_process(KEY)
    assert (path / "file").read_text() == "whole"
    assert names(folder) == [path.name]


def test_a_folder_of_an_earlier_state_goes_unless_a_process_uses_it(folder: Path):
    build_in_another_process(KEY)
    assert names(folder) == [f"drawn-coco-v3-{KEY}@ab"]
    build(OTHER)  # from now on in use here
    assert names(folder) == [f"drawn-coco-v3-{OTHER}@ab"]
    build_in_another_process("c" * 20)
    assert names(folder) == [f"drawn-coco-v3-{OTHER}@ab", f"drawn-coco-v3-{'c' * 20}@ab"]


def test_leftovers_of_killed_processes_are_removed_once_they_are_old(folder: Path):
    script = (
        "import os, signal, sys; from pixelwise.storage.cache_kinds import DRAWN\n"
        "from pixelwise.storage.caches import building_entry, entry_path\n"
        "with building_entry(DRAWN, entry_path(DRAWN, 'dd', variant='coco')): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    (left,) = names(folder)  # its lock says that nobody works on it, however new it is
    (folder / ".pixelwise-tmp-file").write_text("half")
    (folder / ".pixelwise-tmp-old").write_text("half")
    os.utime(folder / ".pixelwise-tmp-old", (0, 0))
    build(KEY)
    assert left.startswith(".pixelwise-tmp-")
    assert names(folder) == [".pixelwise-tmp-file", f"drawn-coco-v3-{KEY}@ab"]


@pytest.fixture
def as_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that neither renames nor removes what is open: no folder may be moved while its lock is open here."""
    monkeypatch.setattr(caches, "MOVES_OPEN_FILES", False)
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        descriptors = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        opened = [os.readlink(path) for path in descriptors if os.path.exists(path)]
        assert not [path for path in opened if path.startswith(f"{source}{os.sep}")]
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)


@pytest.mark.usefixtures("as_on_windows")
def test_open_folders_are_never_moved_on_systems_that_forbid_it(folder: Path):
    path = build(KEY)
    (path / "file").write_text("damaged")
    assert build(KEY) == path  # in use here, so its lock was open
    assert (path / "file").read_text() == "whole"
    (found,) = caches.found_in_cache()
    assert caches.remove(found)  # a reason
    assert path.exists()
    stop_using(path)
    assert caches.remove(found) == ""
    assert names(folder) == []
