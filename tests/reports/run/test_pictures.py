from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from reports.run_folders import EVIL
from reports.two_classes import write_two_class_run

from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.records.details import load_samples
from pixelwise.reports.run.pictures import BORDER_COLOR, ERROR_COLOR, error_map, hexadecimal, load_pictures


def decoded(uri: str) -> Image.Image:
    kind, _, data = uri.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture
def folder(finished_run):
    return finished_run / "evaluations" / "test-camvid-480x360" / "samples"


@pytest.fixture
def pictures(folder):
    saved = load_samples(folder)
    assert saved is not None
    return load_pictures(folder, saved)


def test_right_pixels_are_clear_and_wrong_ones_are_told_by_their_distance_to_a_border():
    truth = np.zeros((1, 40), np.uint8)
    truth[0, 20:] = 1
    prediction = truth.copy()
    prediction[0, [2, 18]] = 1

    errors = error_map(truth, prediction)

    assert errors[0, 2] == 0  # far from the border at 20: a wrong region
    assert errors[0, 18] == 1  # two pixels from it: a border in the wrong place
    assert (np.delete(errors, [2, 18]) == 255).all()


def test_the_edge_of_ignored_pixels_is_no_border():
    truth = np.zeros((1, 40), np.uint8)
    truth[0, 20:] = 255
    prediction = np.zeros((1, 40), np.uint8)
    prediction[0, 18] = 3

    assert error_map(truth, prediction)[0, 18] == 0


def test_ignored_pixels_are_hatched_and_never_wrong():
    truth = np.full((16, 16), 255, np.uint8)

    errors = error_map(truth, np.ones((16, 16), np.uint8))

    assert set(np.unique(errors)) == {254, 255}
    assert 0.2 < (errors == 254).mean() < 0.3


def test_every_layer_has_the_size_of_the_photo(pictures):
    picture = pictures[0][0]

    for uri in (picture.photo, *picture.truth, *picture.prediction, picture.errors):
        assert decoded(uri).size == (picture.width, picture.height) == (64, 48)


def test_layers_show_classes_in_both_palettes_with_ignored_pixels_clear(pictures, folder):
    saved = load_samples(folder)
    assert saved is not None
    truth = np.asarray(Image.open(folder / saved.samples[0].truth))
    official, safe = (np.asarray(decoded(uri).convert("RGBA")) for uri in pictures[0][0].truth)
    row, column = 20, 5

    assert tuple(official[row, column]) == (*saved.palette[truth[row, column]], 255)
    assert tuple(safe[row, column]) == (*colorblind_palette(4)[truth[row, column]], 255)
    assert (official[truth != 255][:, 3] == 255).all()
    assert {0, 255} == set(official[truth == 255][:, 3].tolist())


def test_errors_are_orange_or_blue_on_clear(pictures):
    pixels = np.asarray(decoded(pictures[0][0].errors).convert("RGBA")).reshape(-1, 4)
    visible = {tuple(pixel[:3].tolist()) for pixel in pixels if pixel[3]}

    assert visible == {ERROR_COLOR, BORDER_COLOR, (128, 128, 128)}


def test_the_legend_names_the_classes_that_occur(pictures):
    assert [entry.name for entry in pictures[1]] == ["grass", "path", "pond", "hut"]
    assert pictures[1][0].official == "#008000"


def test_a_wide_picture_is_shrunk(folder, monkeypatch):
    monkeypatch.setattr("pixelwise.reports.run.pictures.WIDTH", 32)
    saved = load_samples(folder)
    assert saved is not None

    (first, *_), _ = load_pictures(folder, saved)

    assert (first.height, first.width) == (24, 32)
    assert decoded(first.errors).size == (32, 24)


def test_a_missing_file_leaves_out_its_picture_only(folder, tmp_path):
    saved = load_samples(folder)
    assert saved is not None
    for path in folder.iterdir():
        if path.name != saved.samples[1].photo:
            (tmp_path / path.name).write_bytes(path.read_bytes())

    pictures, _ = load_pictures(tmp_path, saved)

    assert len(pictures) == len(saved.samples) - 1


def test_ids_are_kept_as_they_are(pictures):
    assert EVIL.replace("/", "_") in {picture.id for picture in pictures[0]}


def test_colours_are_written_in_hexadecimal():
    assert hexadecimal((0, 128, 255)) == "#0080ff"


def test_probabilities_are_shown_as_far_as_the_page_has_room_for_them(tmp_path, monkeypatch):
    write_two_class_run(tmp_path / "run", images=2)
    folder = next((tmp_path / "run" / "evaluations").iterdir()) / "samples"
    saved = load_samples(folder)
    assert saved is not None

    first, second = load_pictures(folder, saved, 1)[0]
    assert first.probabilities.keys() == second.probabilities.keys() == {1}
    assert first.probabilities[1].startswith("data:image/webp;base64,")

    room = max(len(one.probabilities[1]) for one in (first, second))
    monkeypatch.setattr("pixelwise.reports.run.pictures.PROBABILITY_BYTES", room)
    assert [len(one.probabilities) for one in load_pictures(folder, saved, 1)[0]] == [1, 0]
    (folder / saved.samples[0].levels[0].picture).write_bytes(b"GIF89a")
    assert [len(one.probabilities) for one in load_pictures(folder, saved, 1)[0]] == [0, 1]
