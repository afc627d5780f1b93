from pathlib import Path

import pytest
from runs_to_show import COUNTS, shown_run

from pixelwise.errors import DataError
from pixelwise.pages.catalog import Catalog, Entry, Refused
from pixelwise.pages.evaluated import Gallery, images_of_cell, open_entry, scores_of
from pixelwise.pages.pictures import Shown
from pixelwise.records.result import Result


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shown_run(tmp_path / "runs" / "a")


def predicted(entry: Entry, result: Result, image: str) -> Shown:
    raise Refused("not kept here")


def test_a_result_with_its_images(run: Path):
    catalog = Catalog([run])
    (entry,) = catalog.entries()
    opened = open_entry(entry)
    assert opened.result.images == 2
    assert [score.id for score in scores_of(opened)] == ["one", "two"]
    assert images_of_cell(opened, 0, 1) == [(1, COUNTS["two"]), (0, COUNTS["one"])]
    assert images_of_cell(opened, 1, 0) == []


def test_the_regions_of_a_kept_image(run: Path):
    catalog = Catalog([run])
    gallery, opened = Gallery(catalog, predicted), open_entry(catalog.entries()[0])
    assert gallery.sections(opened, "0-1", 1).pixels == [COUNTS["two"]]
    assert gallery.shown(opened, 0) is gallery.shown(opened, 0)
    kinds = {kind.key: kind.pixels for kind in gallery.kinds(opened)}
    assert kinds == {"boundary": 0, "missed": 0, "invented": sum(COUNTS.values()), "confused": 0}
    assert next(kind for kind in gallery.kinds(opened) if kind.key == "invented").regions == [
        (1, 0, COUNTS["two"]), (0, 0, COUNTS["one"])
    ]  # fmt: skip


def test_kinds_are_counted_once_while_the_pictures_stay(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    catalog, counted = Catalog([run]), []
    opened, count = open_entry(catalog.entries()[0]), Gallery._counted
    monkeypatch.setattr(Gallery, "_counted", lambda *those: counted.append(1) or count(*those))

    def kinds() -> list:
        return Gallery(catalog, predicted).kinds(opened)  # as after another start

    assert kinds() == kinds()
    assert len(counted) == 1
    samples = run / "evaluations" / "val-native" / "samples"
    (samples / "01-prediction.png").write_bytes((samples / "01-truth.png").read_bytes())
    assert sum(kind.pixels for kind in kinds()) == COUNTS["one"]
    assert len(list((tmp_path / "cache" / "pixelwise").iterdir())) == 1  # what it supersedes is gone
    (samples / "01-truth.png").unlink()
    kinds(), kinds()
    assert len(counted) == 4


@pytest.mark.parametrize("place", [-1, 2, 10**9])
def test_there_is_no_such_image(run: Path, place: int):
    catalog = Catalog([run])
    with pytest.raises(Refused, match="no such image"):
        Gallery(catalog, predicted).shown(open_entry(catalog.entries()[0]), place)


def test_without_pictures_it_says_so(run: Path):
    for file in (run / "evaluations" / "val-native" / "samples").iterdir():
        file.unlink()
    catalog = Catalog([run])
    gallery, opened = Gallery(catalog, predicted), open_entry(catalog.entries()[0])
    with pytest.raises(Refused, match="not kept here"):
        gallery.shown(opened, 0)
    assert sum(kind.pixels for kind in gallery.kinds(opened)) == 0
    assert gallery.thumbnail(opened, 0) is None


def test_a_run_that_is_not_scored(run: Path):
    entry = Catalog([run]).entries()[0]._replace(evaluation=None)
    with pytest.raises(DataError, match="not scored"):
        _ = open_entry(entry).result
