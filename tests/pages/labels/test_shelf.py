import os
from pathlib import Path

import pytest
from data_to_show import shown_data
from runs_to_show import shown_run

from pixelwise.pages.catalog import Catalog
from pixelwise.pages.labels.shelf import Shelf
from pixelwise.pages.labels.survey import Survey
from pixelwise.storage.caches import cache_folder
from pixelwise.storage.stores.members import Member, Place
from pixelwise.storage.stores.store import FolderStore, MemoryStore


def test_data_is_what_was_named_and_folders_without_runs(tmp_path: Path):
    runs, photos, other = tmp_path / "runs", shown_data(tmp_path / "photos"), shown_data(tmp_path / "other")
    shown_run(runs / "a")
    shelf = Shelf([other], Catalog([runs, photos]))
    assert [survey.path for survey in shelf.surveys.values()] == [other, photos]
    again = Shelf([other], Catalog([runs, photos]))
    assert list(again.surveys) == list(shelf.surveys)  # so that addresses can be kept
    (tmp_path / "empty").mkdir()
    assert Shelf([], Catalog([tmp_path / "empty"])).surveys == {}


def test_a_folder_that_was_changed_is_known_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one, other = shown_data(tmp_path / "one"), shown_data(tmp_path / "other")
    shelf = Shelf([one, other, Path("s3://bucket/one"), Path("town")], Catalog([]))
    told: list[tuple[Path, bool]] = []
    monkeypatch.setattr(Survey, "outdate", lambda survey, files: told.append((survey.path, files)))
    shelf.outdate((tmp_path / "other").resolve(), True)
    assert told == [(other, True)]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_that_lead_elsewhere_are_not_followed(tmp_path: Path):
    data = shown_data(tmp_path / "photos")
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"")
    (data / "link.png").symlink_to(secret)
    (data / "folder").symlink_to(tmp_path)
    shelf = Shelf([data], Catalog([]))
    assert shelf.holds(data / "images" / "train" / "a.png")
    assert not shelf.holds(data / "link.png")
    assert not shelf.holds(data / "folder" / "secret.png")
    assert not shelf.holds(data / ".." / "secret.png")
    assert shelf.holds(cache_folder() / "drawn.png")  # masks are drawn there from annotations


def test_members_lie_where_their_tar_lies(tmp_path: Path):
    def member(store: object, name: str) -> Member:
        return Member(tmp_path / name / "a.png", Place(store, name, 0, 1, b"", 0, 1))  # type: ignore[arg-type]

    inside, outside = tmp_path / "shards", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    shelf = Shelf([inside], Catalog([]))
    assert shelf.holds(member(FolderStore(inside), "x.tar"))
    assert not shelf.holds(member(FolderStore(outside), "x.tar"))
    assert not shelf.holds(member(MemoryStore(b""), "x.tar"))
    far = MemoryStore(b"")
    far.far = True
    assert shelf.holds(member(far, "x.tar"))
