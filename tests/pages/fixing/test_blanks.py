from pathlib import Path

import numpy as np
import pytest
from editing import edited_data, pixels_of
from PIL import Image

from pixelwise.datasets.unlabelled import open_with_unlabelled
from pixelwise.pages.fixing.blanks import blank_mask
from pixelwise.pages.fixing.masks import Uneditable, repainted
from pixelwise.pages.fixing.png import GREY, PALETTE, RGB


def blank_of(root: Path):
    """The blank mask of the one image without a mask, written where it belongs."""
    dataset, (one,) = open_with_unlabelled(root)
    mask = blank_mask(one.image_path, one.mask_path, dataset)
    one.mask_path.parent.mkdir(parents=True, exist_ok=True)
    one.mask_path.write_bytes(mask.content)
    return mask, one.mask_path, dataset


def described(root: Path, text: str, size: tuple[int, int] = (4, 6)) -> Path:
    (root / "images").mkdir(parents=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(root / "images" / "a.png")
    (root / "dataset.toml").write_text(text)
    return root


def test_it_is_stored_as_the_masks_of_its_folder_are(tmp_path: Path):
    root = edited_data(tmp_path)
    other = Image.fromarray(np.zeros((6, 8), np.uint8))
    other.putpalette([9, 8, 7, 6, 5, 4])
    other.save(root / "masks/train/a.png", bits=1, pnginfo=None)
    (root / "masks/train/b.png").unlink()
    mask, path, _ = blank_of(root)
    assert (mask.coding.kind, mask.coding.depth) == (PALETTE, 8)  # one bit does not hold 255
    assert mask.coding.palette[:2].tolist() == [[9, 8, 7], [6, 5, 4]]
    assert np.array_equal(pixels_of(path), np.full((6, 8), 255))
    assert mask.meanings == {255: 255}
    (root / "masks/val/c.png").rename(root / "masks/train/a.png")
    assert blank_of_again(root)[0].coding.kind == GREY


def blank_of_again(root: Path):
    (root / "images/val/c.png").unlink()
    (root / "masks/train/b.png").unlink()
    return blank_of(root)


@pytest.mark.parametrize(
    ("text", "kind", "depth", "value", "painted"),
    [
        ('classes = ["background", "crack"]', PALETTE, 8, 255, 1),
        ('classes = ["background", "crack"]\nlabel_map = { "7" = 0, "300" = 1 }', GREY, 16, 255, 300),
        ('classes = ["background", "crack"]\nlabel_map = { "7" = 0, "80" = 1 }', GREY, 8, 255, 80),
        ('classes = ["background", "crack"]\ncolors = { "#000000" = 0, "#ff0000" = 1 }', RGB, 8, 0, 0xFF0000),
    ],
)
def test_the_first_mask_follows_the_table(tmp_path: Path, text: str, kind: int, depth: int, value: int, painted: int):
    mask, path, dataset = blank_of(described(tmp_path / "data", text))
    assert (mask.coding.kind, mask.coding.depth) == (kind, depth)
    assert np.array_equal(mask.stored, np.full((4, 6), value))
    assert mask.paints[1] == painted
    new = repainted(mask, np.array([[0, 2, painted]]), path, dataset)
    assert new.meanings[painted] == 1


def test_it_has_the_upright_size_of_its_image(tmp_path: Path):
    root = described(tmp_path / "data", 'classes = ["background", "crack"]')
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(root / "images/a.png", exif=exif)
    assert blank_of(root)[0].stored.shape == (6, 4)


def test_data_whose_masks_are_not_edited_gets_none(tmp_path: Path):
    root = described(
        tmp_path / "data", 'classes = ["a", "b"]\nlabel_map = { "1000000" = 0, "1000001" = 1 }\nignore = 9'
    )
    dataset, (one,) = open_with_unlabelled(root)
    with pytest.raises(Uneditable, match="16 bits"):
        blank_mask(one.image_path, one.mask_path, dataset)
