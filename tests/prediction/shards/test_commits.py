from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pixelwise.errors import RecipeError, ResourceError
from pixelwise.prediction.shards.commits import Commits, Predicted, Receipt

ONE = Receipt(unit="u-1", tar="u-1-aa.tar", size=3, images=(Predicted(name="a", key="a"),))


def test_the_first_receipt_counts_and_the_tar_of_another_is_removed(tmp_path: Path):
    (tmp_path / "tar").write_bytes(b"abc")
    commits = Commits(tmp_path / "out", "job")
    other = Receipt(unit="u-1", tar="u-1-bb.tar", size=3, images=ONE.images)
    assert commits.receipt("u-1") is None
    assert commits.commit(ONE, tmp_path / "tar") == ONE
    assert commits.commit(other, tmp_path / "tar") == ONE
    assert commits.commit(ONE, tmp_path / "tar") == ONE
    assert [path.name for path in (tmp_path / "out").glob("*.tar")] == ["u-1-aa.tar"]
    assert commits.done() == {"u-1"}
    assert Commits(tmp_path / "out", "another").done() == set()


def test_of_many_workers_one_writes_the_receipt(tmp_path: Path):
    commits = Commits(tmp_path / "out", "job")
    seen: list[Receipt] = []

    def work(number: int) -> None:
        tar = tmp_path / f"{number}"
        tar.write_bytes(bytes([number]))
        own = Receipt(unit="u", tar=f"u-{number}.tar", size=1, images=())
        seen.append(commits.commit(own, tar))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 12
    assert len({receipt.tar for receipt in seen}) == 1
    assert [path.name for path in (tmp_path / "out").glob("*.tar")] == [seen[0].tar]


def test_a_damaged_receipt_is_made_again(tmp_path: Path):
    (tmp_path / "tar").write_bytes(b"abc")
    commits = Commits(tmp_path / "out", "job")
    commits.commit(ONE, tmp_path / "tar")
    (path,) = (tmp_path / "out" / "receipts" / "job").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    assert commits.receipt("u-1") is None
    assert commits.commit(ONE, tmp_path / "tar") == ONE


def test_an_output_belongs_to_one_job(tmp_path: Path):
    Commits(tmp_path, "job").claim(b"classes")
    Commits(tmp_path, "job").claim(b"classes")
    for job, classes in (("another", b"classes"), ("job", b"others")):
        with pytest.raises(RecipeError) as caught:
            Commits(tmp_path, job).claim(classes)
        assert caught.value.code == "R221"


def test_attempts_are_counted_until_one_succeeds(tmp_path: Path):
    commits = Commits(tmp_path, "job")
    assert [commits.attempt("u-1") for _ in range(3)] == [1, 2, 3]
    assert commits.attempt("u-2") == 1
    commits.commit(ONE, None, attempts=3)
    assert commits.attempt("u-1") == 1


def test_what_nothing_refers_to_is_removed_and_nothing_else(tmp_path: Path):
    commits = Commits(tmp_path, "job")
    for name in ("u-1-aa.tar", "u-1-bb.tar", "u-2-cc.tar", "holiday.tar", "u-1.tar", "notes.txt"):
        commits.store.put(name, b"")
    commits.attempt("u-1")
    commits.tidy({"u-1": "u-1-aa.tar"})
    assert commits.store.names("") == ["holiday.tar", "notes.txt", "u-1-aa.tar", "u-1.tar", "u-2-cc.tar"]


def test_an_output_that_cannot_be_written_is_said_with_its_way_out(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="output does not work") as caught:
        Commits(tmp_path / "file" / "out", "job").attempt("u")
    assert caught.value.code == "S611"
