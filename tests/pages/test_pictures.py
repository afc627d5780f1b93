import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from runs_to_show import COUNTS, SIZE, shown_run

from pixelwise.pages.catalog import Catalog
from pixelwise.pages.pictures import Kept, kept_of, load_kept
from pixelwise.records.details import load_samples


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    return shown_run(tmp_path / "runs" / "a") / "evaluations" / "val-native"


def test_kept_pictures(evaluation: Path):
    sample = kept_of(load_samples(evaluation / "samples")).samples["two"]
    shown = load_kept(Catalog([evaluation.parent]), evaluation, sample)
    assert shown is not None
    assert shown.photo.shape == (*SIZE, 3)
    assert np.count_nonzero(shown.prediction != shown.truth) == COUNTS["two"]
    assert kept_of(None) == Kept({}, ())


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "a/b.jpg", "..", "photo.svg", ""])
def test_a_list_that_names_other_files_shows_nothing(evaluation: Path, name: str):
    sample = msgspec.structs.replace(kept_of(load_samples(evaluation / "samples")).samples["one"], photo=name)
    assert load_kept(Catalog([evaluation.parent]), evaluation, sample) is None


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_picture_that_is_a_link_to_elsewhere_is_not_shown(evaluation: Path, tmp_path: Path):
    sample = kept_of(load_samples(evaluation / "samples")).samples["one"]
    file = evaluation / "samples" / sample.photo
    file.rename(tmp_path / "secret.jpg")
    file.symlink_to(tmp_path / "secret.jpg")
    assert load_kept(Catalog([evaluation.parent]), evaluation, sample) is None


def test_a_damaged_or_strange_picture_is_not_shown(evaluation: Path):
    catalog, sample = Catalog([evaluation.parent]), kept_of(load_samples(evaluation / "samples")).samples["one"]
    truth = evaluation / "samples" / sample.truth
    Image.new("RGB", SIZE[::-1]).save(truth)
    assert load_kept(catalog, evaluation, sample) is None  # no class ids
    Image.new("L", (3, 3)).save(truth)
    assert load_kept(catalog, evaluation, sample) is None  # another size
    truth.write_bytes(b"no picture")
    assert load_kept(catalog, evaluation, sample) is None
    truth.unlink()
    assert load_kept(catalog, evaluation, sample) is None
