import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.auditing import examining
from pixelwise.datasets.auditing.audit import Audit, audit
from pixelwise.datasets.auditing.shards import work
from pixelwise.datasets.auditing.shards.units import PATIENCE, Unit
from pixelwise.datasets.auditing.shards.work import Examiner, Job, open_worker
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data

DATA = Data(classes=("a", "b"))
KILLER = """
import os, signal, sys
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("masks/train/d.png"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""


@pytest.fixture
def root(make_folder: Callable[..., Path]) -> Path:
    """Nine pairs: the mask of one has an unknown id, the image of another is damaged."""
    keys = [f"train/{name}" for name in "abcde"] + [f"val/{name}" for name in "fgh"] + ["test/i"]
    masks = {key: np.array([[0, 1], [1, 255]], np.uint8) for key in keys}
    masks["train/c"][0, 0] = 7
    root = make_folder(masks)
    (root / "images" / "val" / "f.png").write_bytes(b"no image")
    for path in root.rglob("*.png"):
        os.utime(path, (1e9, 1e9))  # younger files are not remembered
    return root


def whole(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> Audit:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return audit(open_dataset(DATA, root), **options)  # type: ignore[arg-type]


def no_more(*_: object, **__: object) -> None:
    raise AssertionError("examined again")


def test_workers_in_any_order_leave_the_audit_of_one_process(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = whole(root, tmp_path / "one", monkeypatch)
    job = Job(root, DATA, False, tmp_path / "several")
    workers = [pickle.loads(pickle.dumps(open_worker))(pickle.loads(pickle.dumps(job))) for _ in range(2)]
    # The last unit is done twice, as when a worker is believed dead.
    units = [Unit(5, 9), Unit(0, 3), Unit(3, 5), Unit(5, 9)]
    briefs = [workers[number % 2](unit) for number, unit in enumerate(units)]
    assert [brief.pairs for brief in briefs] == [4, 3, 2, 4]
    monkeypatch.setattr(examining, "examine", no_more)
    assert whole(root, tmp_path / "several", monkeypatch) == expected
    assert [found.code for found in expected.errors] == ["D102", "D202"]


def test_with_fresh_workers_tell_which_files_changed_unnoticed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cache = tmp_path / "cache"
    whole(root, cache, monkeypatch)
    path = root / "images" / "train" / "b.png"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the checksum of the last, empty chunk, which no decoder minds
    path.write_bytes(content)
    os.utime(path, (1e9, 1e9))
    worker = open_worker(Job(root, DATA, True, cache))

    def ahead(_: object) -> list[Path]:
        return [Path(os.fsdecode(file)) for first in (0, 5) for file in worker(Unit(first, first + 4)).changed]

    found = whole(root, cache, monkeypatch, fresh=True, ahead=ahead)
    assert [one.files for one in found.findings if one.code == "D103"] == [("images/train/b.png",)]
    assert found == whole(root, cache, monkeypatch, fresh=True)


def test_a_unit_that_was_attempted_in_vain_is_examined_by_further_processes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = whole(root, tmp_path / "one", monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    job = Job(root, DATA, False, tmp_path / "two")
    examiner = Examiner(job, open_dataset(DATA, root))

    def by_processes(positions: list[int], do: object, kind: type, folder: Path) -> dict[int, bytes]:
        return {place: found for place, found in enumerate(examiner.examine_each(positions)) if positions[place] != 3}

    monkeypatch.setattr(work, "by_processes", by_processes)
    with monkeypatch.context() as patch:
        patch.setattr(work, "examinations", no_more)
        for _ in range(PATIENCE):
            with pytest.raises(AssertionError):
                examiner.examine(Unit(0, 9))
        assert examiner.examine(Unit(0, 9)).pairs == 9
    monkeypatch.setattr(examining, "examine", no_more)
    found = whole(root, tmp_path / "two", monkeypatch)
    assert {one.code: one.files for one in found.errors} == {
        "D102": ("images/val/f.png",),
        "D136": ("images/train/d.png",),
        "D202": ("masks/train/c.png",),
    }
    assert found.statistics["val"] == expected.statistics["val"]
    assert found.statistics["train"].images == expected.statistics["train"].images - 1
    assert not list((tmp_path / "two").rglob("examining-*"))


@pytest.mark.heavy  # a dozen processes
def test_a_file_that_ends_the_process_is_found(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'killer'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    examiner = Examiner(Job(root, DATA, False, tmp_path / "cache"), open_dataset(DATA, root))
    monkeypatch.setattr(work, "PATIENCE", 0)
    examiner.examine(Unit(0, 9))
    monkeypatch.setattr(examining, "examine", no_more)
    found = whole(root, tmp_path / "cache", monkeypatch)
    assert {one.code: one.files for one in found.errors if one.code == "D136"} == {"D136": ("images/train/d.png",)}
    assert found.unusable == {"train": ("c", "d"), "val": ("f",), "test": ()}
