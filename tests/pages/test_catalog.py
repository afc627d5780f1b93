import os
import shutil
from pathlib import Path

import pytest
from results import miniature

from pixelwise.errors import DataError
from pixelwise.pages.catalog import Catalog, stamp_of
from pixelwise.records.result import save_result


def scored(run: Path, split: str = "val") -> Path:
    save_result(miniature(split=split), (), run / "evaluations" / f"{split}-native")
    return run


def test_results_and_runs_without_one(tmp_path: Path):
    root = tmp_path / "runs"
    scored(root / "a")
    scored(root / "a", "test")
    scored(root / "deep" / "b" / "exports" / "onnx")
    (root / "c").mkdir()
    (root / "c" / "recipe.toml").touch()
    (root / "nothing").mkdir()
    found = [(entry.name.replace(os.sep, "/"), entry.evaluation is not None) for entry in Catalog([root]).entries()]
    assert found == [("runs/a", True), ("runs/a", True), ("runs/c", False), ("runs/deep/b/exports/onnx", True)]


def test_a_run_itself_may_be_named(tmp_path: Path):
    assert [entry.name for entry in Catalog([scored(tmp_path / "a")]).entries()] == ["a"]


def test_a_folder_that_is_named_twice_is_shown_once(tmp_path: Path):
    scored(tmp_path / "a")
    assert len(Catalog([tmp_path, tmp_path / "a", tmp_path]).entries()) == 1


def test_ids_are_no_paths_and_stay(tmp_path: Path):
    scored(tmp_path / "a")
    (entry,) = Catalog([tmp_path]).entries()
    assert entry == Catalog([tmp_path]).entry(entry.id)
    assert entry.id.isalnum()
    assert len(entry.id) == 12
    for id in ("", "..", "../a", str(tmp_path / "a"), entry.id[:-1]):
        assert Catalog([tmp_path]).entry(id) is None


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_that_lead_out_are_not_followed(tmp_path: Path):
    outside, root = tmp_path / "outside", tmp_path / "runs"
    scored(outside / "secret")
    own = scored(root / "own")
    (root / "link").symlink_to(outside / "secret")
    (own / "evaluations" / "linked").symlink_to(outside / "secret" / "evaluations" / "val-native")
    catalog = Catalog([root])
    assert [entry.evaluation for entry in catalog.entries()] == [own / "evaluations" / "val-native"]
    assert not catalog.holds(root / "link" / "evaluations")
    assert not catalog.holds(root / ".." / "outside")
    assert catalog.holds(own / "evaluations")
    (root / "circle").symlink_to(root / "circle")
    assert not catalog.holds(root / "circle" / "x")
    assert len(catalog.entries()) == 1


def test_a_result_that_is_gone_has_no_entry(tmp_path: Path):
    run = scored(tmp_path / "a")
    catalog = Catalog([tmp_path])
    (entry,) = catalog.entries()
    before = stamp_of(entry)
    assert catalog.entry(entry.id) is entry
    (run / "evaluations" / "val-native" / "result.json").write_text("other")
    assert stamp_of(entry) != before
    shutil.rmtree(run)
    assert catalog.entry(entry.id) is None
    with pytest.raises(DataError):
        catalog.result(entry)
