import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from datasets.reading.regions.pngs import interlaced
from PIL import Image

from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Reading
from pixelwise.pages.labels import tiles
from pixelwise.pages.labels.tiles import Place, Tiles, halvings_of, places, rectangle_of

SIZE = 1100, 1300  # 3 x 3 tiles, of which the last ones are smaller


@pytest.fixture
def pair(tmp_path: Path):
    """A data set of one pair, its image (H, W, 3) and its labels (H, W); images are TIFF files in tiles, or PNG."""

    def make(ending: str):
        rows, columns = np.indices(SIZE)
        image = np.stack([rows // 8, columns // 8, (rows + columns) // 16], -1).astype(np.uint8)
        labels = ((rows // 64 + columns // 64) % 3).astype(np.uint8)
        for kind, pixels in (("images", image), ("masks", labels)):
            (tmp_path / kind).mkdir()
            path = tmp_path / kind / f"a.{ending}"
            if ending == "png":
                Image.fromarray(pixels).save(path, compress_level=1)
            else:
                tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb" if pixels.ndim == 3 else "minisblack")
        (tmp_path / "dataset.toml").write_text('classes = ["a", "b", "c"]')
        dataset = open_folder(tmp_path)[1]
        (sample,) = next(samples for samples in dataset.splits.values() if samples)
        return dataset, sample, image, labels

    return make


def test_places_by_hand():
    sizes = ((1, 1), (512, 512), (512, 513), (10, 1024), (1025, 3), (10_000, 10_000))
    assert [halvings_of(size) for size in sizes] == [0, 0, 1, 1, 2, 5]
    assert rectangle_of(Place(0, 2, 1), SIZE) == Rectangle(1024, 512, 76, 512)
    assert rectangle_of(Place(1, 0, 1), SIZE) == Rectangle(0, 1024, 1024, 276)
    existing = places(SIZE)
    assert [one in existing for one in (Place(0, 2, 2), Place(1, 1, 1), Place(2, 0, 0))] == [True] * 3
    strange = (Place(0, 3, 0), Place(1, 0, 2), Place(3, 0, 0), Place(10**9, 0, 0), Place(0, -1, 0))
    assert [one in existing for one in strange] == [False] * 5


@pytest.mark.parametrize(("ending", "in_memory"), [("tif", True), ("png", True), ("png", False)])
def test_tiles_are_the_image_cut_and_halved(pair, ending: str, in_memory: bool, monkeypatch: pytest.MonkeyPatch):
    if not in_memory:
        monkeypatch.setattr(tiles, "_MOST_IN_MEMORY", 0)
    dataset, sample, image, labels = pair(ending)
    read = Tiles()
    assert [read.size(dataset, sample, layer) for layer in ("photo", "labels")] == [SIZE, SIZE]
    assert np.array_equal(read.tile(dataset, sample, "photo", Place(0, 2, 1)), image[1024:, 512:1024])
    assert np.array_equal(read.tile(dataset, sample, "labels", Place(0, 1, 2)), labels[512:1024, 1024:])
    quarter = read.tile(dataset, sample, "photo", Place(2, 0, 0))
    assert quarter.shape == (275, 325, 3)
    blocks = image.reshape(275, 4, 325, 4, 3).mean(axis=(1, 3))
    assert np.abs(quarter - blocks).max() <= 0.5
    assert np.array_equal(read.tile(dataset, sample, "labels", Place(2, 0, 0)), labels[2::4, 2::4])
    assert read.tile(dataset, sample, "labels", Place(3, 0, 0)) is None


@pytest.mark.parametrize("space", ["enough", "none", "no folder"])
@pytest.mark.parametrize("content", ["turned", "interlaced"])
def test_png_images_are_decoded_by_rows_or_whole_if_there_is_no_space(
    content: str, space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tiles, "_MOST_IN_MEMORY", 0)
    if space == "none":
        # What is written to this device finds no space.
        monkeypatch.setattr(tiles, "unnamed_file", lambda: io.FileIO("/dev/full", "r+"))
    elif space == "no folder":
        monkeypatch.setattr(tiles, "unnamed_file", lambda: None)
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "a.png"
    if content == "interlaced":
        path.write_bytes(interlaced(600, 530, 8, 6))
    else:
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (530, 600, 3), np.uint8))
        exif = image.getexif()
        exif[274] = 6
        image.save(path, exif=exif)
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.zeros((600, 530), np.uint8)).save(tmp_path / "masks" / "a.png")
    expected = read_image(path, Reading())
    assert expected.shape == (600, 530, 3)
    source = tiles._photo(path, open_folder(tmp_path)[1])
    assert source.size == (600, 530)
    assert np.array_equal(source.read(Rectangle(500, 17, 100, 500)), expected[500:, 17:517])
    source.close()


def test_coarse_tiles_are_made_of_finer_ones(pair, monkeypatch: pytest.MonkeyPatch):
    dataset, sample, _, labels = pair("tif")
    at_once = Tiles()
    expected = at_once.tile(dataset, sample, "photo", Place(2, 0, 0))
    monkeypatch.setattr(tiles, "_READ_AT_ONCE", 0)
    read = Tiles()
    found = read.tile(dataset, sample, "photo", Place(2, 0, 0))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1  # rounded twice
    assert read.tile(dataset, sample, "labels", Place(2, 0, 0)).shape == (275, 325)
    assert np.array_equal(read.tile(dataset, sample, "labels", Place(1, 0, 0)), labels[1:1024:2, 1:1024:2])


def test_odd_sides_are_rounded_up_and_nothing_else_moves():
    pixels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    assert tiles._halved(pixels, 1).tolist() == [[6, 8, 9], [11, 13, 14]]
    grey = np.repeat(pixels[..., None] * 4, 3, axis=2)
    # Means of 2 x 2; the last row and column stand for those that are missing.
    assert tiles._halved(grey, 1)[..., 0].tolist() == [[12, 20, 26], [42, 50, 56]]


def test_a_mask_that_was_changed_is_read_anew(pair):
    dataset, sample, _, labels = pair("png")
    read = Tiles()
    assert np.array_equal(read.tile(dataset, sample, "labels", Place(0, 0, 0)), labels[:512, :512])
    Image.fromarray(np.ones(SIZE, np.uint8)).save(sample.mask_path)
    assert (read.tile(dataset, sample, "labels", Place(0, 0, 0)) == 1).all()
