import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from contracts.mistakes import pairs, scene
from PIL import Image

from pixelwise.datasets.auditing.checking import examined
from pixelwise.reports.audit.page import OVERLAYS, TWINS, render_check_page, write_check_page


def copied(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    return folder


def test_the_page_needs_nothing_and_escapes_names(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    data = copied(tiny_data, tmp_path / "<b>data")
    for kind in ("images", "masks"):
        (data / kind / "train" / "00.png").rename(data / kind / "train" / "<img src=x>.png")
    (data / "images" / "train" / "<img src=x>.png").write_bytes(b"")
    assert run_cli(["check", data, "--html", tmp_path / "page.html"]).code == 3
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<img src=x>" not in page
    assert "<b>data" not in page
    assert "&lt;img src=x&gt;.png" in page
    assert "D102" in page
    assert 'src="http' not in page
    assert page.count('class="labels" src="data:image/png') == 12
    assert "fix the errors before training" in page


def test_a_page_is_replaced(tiny_data: Path, tmp_path: Path):
    (tmp_path / "page.html").write_text("old")
    assert write_check_page(examined(tiny_data), tmp_path / "page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text("utf-8") != "old"


def test_sound_data_shows_the_command_and_pictures_of_every_split(tiny_data: Path):
    checked = examined(tiny_data)
    page = render_check_page(checked)
    assert f"pixelwise train {tiny_data}" in page
    assert page.count('class="labels"') == OVERLAYS
    assert "fix the errors before training" not in page


def test_images_that_look_alike_are_shown_side_by_side(tiny_data: Path, tmp_path: Path):
    data = copied(tiny_data, tmp_path / "data")
    with Image.open(data / "images" / "train" / "00.png") as image:
        slightly = np.clip(np.asarray(image).astype(int) + 1, 0, 255).astype(np.uint8)
    Image.fromarray(slightly).save(data / "images" / "val" / "99.png")
    shutil.copy(data / "masks" / "train" / "00.png", data / "masks" / "val" / "99.png")
    checked = examined(data)
    assert 1 <= len(checked.audit.near_duplicates) <= TWINS
    assert "images/val/99.png" in render_check_page(checked)


@pytest.mark.parametrize("size", [(30, 1000), (500, 20)])
def test_large_pictures_are_shrunk(tmp_path: Path, size: tuple[int, int]):
    for kind, pixels in (("images", np.zeros((*size, 3), np.uint8)), ("masks", np.eye(*size, dtype=np.uint8))):
        (tmp_path / kind / "train").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / kind / "train" / "a.png")
    page = render_check_page(examined(tmp_path))
    assert page.count('class="labels"') == 1
    assert len(page) < 200_000


def test_masks_of_other_photos_are_shown_beside_what_they_fit(tmp_path: Path):
    pairs(tmp_path, lambda labels, index: scene({2: 9, 9: 2}.get(index, index))[1])
    page = render_check_page(examined(tmp_path))
    section = page.split('<section id="least"')[1].split("</section>")[0]
    assert section.count("<figure>") >= 2
    assert "exchanged with p09?" in section
    assert "exchanged with p02?" in section


def test_masks_that_fit_are_not_shown_as_suspicious(tmp_path: Path):
    pairs(tmp_path, lambda labels, index: labels)
    assert 'id="least"' not in render_check_page(examined(tmp_path))
