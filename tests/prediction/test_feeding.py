import functools
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from evaluation.color_model import PALETTE, GreyModel, image_of
from PIL import Image

from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.prediction.feeding import is_one
from pixelwise.prediction.segmenter import Segmenter

LABELS = [np.full((2, 3), class_id, np.uint8) for class_id in range(4)]
IMAGES = [image_of(labels) for labels in LABELS]


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(GreyModel(), palette=PALETTE)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four files, one of them in a subfolder, and a text file."""
    root = tmp_path / "photos"
    (root / "below").mkdir(parents=True)
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(root / ("below" if number == 3 else ".") / f"{number}.png")
    (root / "notes.txt").write_text("x")
    return root


def found(predictions) -> list[int]:
    """The class that fills each image."""
    return [int(one.labels[0, 0]) for one in predictions]


def test_a_list_gives_a_list_whatever_it_holds(segmenter: Segmenter, photos: Path):
    several = segmenter.predict([IMAGES[2], str(photos / "1.png"), photos / "0.png", Image.fromarray(IMAGES[3])])
    assert isinstance(several, list)
    assert found(several) == [2, 1, 0, 3]
    assert [one.name for one in several] == ["", "1.png", "0.png", ""]
    assert segmenter.predict([]) == []


def test_a_batch_gives_a_list(segmenter: Segmenter):
    batch = segmenter.predict(np.stack(IMAGES))
    assert isinstance(batch, list)
    assert found(batch) == [0, 1, 2, 3]


def test_a_folder_gives_its_images_one_by_one(segmenter: Segmenter, photos: Path):
    several = segmenter.predict(photos)
    assert isinstance(several, Iterator)
    assert found(several) == [0, 1, 2, 3]
    assert [one.source for one in segmenter.predict(str(photos))][-1] == str(photos / "below" / "3.png")


def test_a_pattern_gives_what_matches(segmenter: Segmenter, photos: Path):
    assert found(segmenter.predict(str(photos / "[12].png"))) == [1, 2]
    assert found(segmenter.predict([str(photos / "[12].png"), photos])) == [1, 2, 0, 1, 2, 3]


def test_a_file_whose_name_is_a_pattern_is_that_file(segmenter: Segmenter, photos: Path):
    (photos / "0.png").rename(photos / "[0].png")
    assert segmenter.predict(photos / "[0].png").labels[0, 0] == 0


def test_a_generator_is_asked_for_one_image_at_a_time(segmenter: Segmenter):
    asked = []

    def camera() -> Iterator[np.ndarray]:
        for number, image in enumerate(IMAGES):
            asked.append(number)
            yield image

    several = segmenter.predict(camera())
    assert asked == []
    assert next(several).labels[0, 0] == 0
    assert asked == [0]
    assert found(several) == [1, 2, 3]


def test_an_address_is_downloaded(segmenter: Segmenter, photos: Path):
    handler = functools.partial(_Quiet, directory=str(photos))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/2.png"
        one = segmenter.predict(address)
        assert (found([one]), one.source, one.name) == ([2], address, "2.png")
        with pytest.raises(DataError) as caught:
            segmenter.predict(address.replace("2.png", "9.png"))
        assert caught.value.code == "D250"
        # What is too large to be decoded whole is read in parts when it is a file: a download is gone by then.
        tifffile.imwrite(photos / "large.tif", np.zeros((40, 50, 3), np.uint8), photometric="rgb")
        segmenter.reading = Reading(max_pixels=1000)
        with pytest.raises(DataError, match="large") as caught:
            segmenter.predict(address.replace("2.png", "large.tif"))
        assert caught.value.code == "D120"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


def test_what_is_not_there_is_said(segmenter: Segmenter, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        segmenter.predict(tmp_path / "nowhere.png")
    assert "nowhere.png" in caught.value.message
    for nothing in (tmp_path / "empty", str(tmp_path / "*.jpg")):
        with pytest.raises(DataError) as caught:
            list(segmenter.predict(nothing))
        assert caught.value.code == "D223"


@pytest.mark.parametrize("wrong", [torch.zeros(3, 2, 2), 7, None, io.BytesIO])
def test_what_is_no_image_is_refused_with_its_type(segmenter: Segmenter, wrong: object):
    with pytest.raises(ValueError, match=r"expected a file, a folder, an array uint8 \(H, W, C\)"):
        segmenter.predict(wrong)  # type: ignore[call-overload]


def test_one_or_several(tmp_path: Path):
    assert is_one(IMAGES[0])
    assert is_one("https://x.org/*.png")
    assert is_one(tmp_path / "missing.png")
    assert not is_one(tmp_path)
    assert not is_one(np.zeros((1, 2, 2, 3)))


def test_one_line(segmenter: Segmenter):
    assert repr(segmenter).startswith("<Segmenter GreyModel, 0.0 M parameters; 4 classes: ")
