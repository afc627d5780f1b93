import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.auditing import examining
from pixelwise.datasets.auditing.audit import Audit, audit
from pixelwise.datasets.auditing.examining import ExaminedPart, examine_part
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data

MakeFolder = Callable[..., Path]
DATA = Data(classes=("a", "b"))


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    """Nine pairs, one of them with an unknown id."""
    keys = [f"train/{name}" for name in "abcde"] + [f"val/{name}" for name in "fgh"] + ["test/i"]
    masks = {key: np.array([[0, 1], [1, 255]], np.uint8) for key in keys}
    masks["train/c"][0, 0] = 7
    root = make_folder(masks)
    for path in root.rglob("*.png"):
        os.utime(path, (1e9, 1e9))  # younger files are not remembered
    return root


def use_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


def whole(root: Path) -> Audit:
    return audit(open_dataset(DATA, root))


def parts(root: Path, number: int, numbers: range | None = None) -> list[ExaminedPart]:
    def part(index: int) -> Callable[[range], range]:
        return lambda rows: rows[len(rows) * index // number : len(rows) * (index + 1) // number]

    return [examine_part(root, DATA, part(index)) for index in numbers or range(number)]


@pytest.mark.parametrize("number", [1, 2, 4, 11])
def test_any_division_gives_the_audit_of_one_process(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    use_cache(monkeypatch, tmp_path / "one")
    expected = whole(root)
    use_cache(monkeypatch, tmp_path / "several")
    done = parts(root, number, range(number)[::-1])
    assert sum(part.pairs for part in done) == sum(part.examined for part in done) == 9
    assert sum(part.with_errors for part in done) == 1

    def no_more(*_: object, **__: object) -> None:
        raise AssertionError("examined again")

    monkeypatch.setattr(examining, "examine", no_more)
    assert whole(root) == expected
    assert [found.code for found in expected.errors] == ["D202"]


def test_a_part_says_which_pairs_it_has(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_cache(monkeypatch, tmp_path / "cache")
    first, second = parts(root, 2)
    # Splits in the order train, val, test: the unknown id is in the third of five training images.
    assert first.in_words == "pairs 0 to 3 of 9: 4 examined, 0 known before; 1 pair with errors"
    assert second.in_words == "pairs 4 to 8 of 9: 5 examined, 0 known before"
    again = parts(root, 3)
    assert [(part.first, part.pairs, part.examined) for part in again] == [(0, 3, 0), (3, 3, 0), (6, 3, 0)]
    assert [part.in_words for part in parts(root, 11, range(1))] == ["no pairs: 0 examined, 0 known before"]


def test_a_part_that_was_stopped_goes_on(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_cache(monkeypatch, tmp_path / "cache")
    examine, calls = examining.examine, []

    def stopping(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return examine(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(examining, "reading_threads", lambda: 1)
        patch.setattr(examining, "examine", stopping)
        with pytest.raises(KeyboardInterrupt):
            parts(root, 1)
    [part] = parts(root, 1)
    assert part.examined == 9 - (len(calls) - 1)


def test_parts_at_the_same_time_lose_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_cache(monkeypatch, tmp_path / "cache")
    workers = [threading.Thread(target=parts, args=(root, 3, range(index, index + 1))) for index in (0, 1, 2, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [part.examined for part in parts(root, 3)] == [0, 0, 0]
