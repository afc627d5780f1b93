import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixelwise.pages.fixing.png import GREY, PALETTE, RGB, NotPlain, coding_of, encoded


def png(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def test_everything_but_the_pixels_stays():
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([9, 8, 7, 255, 0, 0, 0, 0, 1])
    content = png(image, transparency=b"\x00\x80", dpi=(72, 72))
    coding = coding_of(content)
    assert (coding.kind, coding.palette.tolist()) == (PALETTE, [[9, 8, 7], [255, 0, 0], [0, 0, 1]])
    new = encoded(coding, np.array([[1, 1], [0, 2]], np.uint8))
    read = Image.open(io.BytesIO(new))
    assert (read.mode, read.getpalette()[:9], read.info["transparency"]) == (
        "P",
        [9, 8, 7, 255, 0, 0, 0, 0, 1],
        b"\x00\x80",
    )
    assert np.asarray(read).tolist() == [[1, 1], [0, 2]]
    assert coding_of(new) == coding


@given(
    st.sampled_from([(GREY, 1), (GREY, 2), (GREY, 4), (GREY, 8), (GREY, 16), (PALETTE, 2), (PALETTE, 4), (RGB, 8)]),
    st.integers(1, 9),
    st.integers(1, 17),
    st.integers(0, 2**32 - 1),
)
def test_pillow_reads_what_is_written(form: tuple[int, int], height: int, width: int, seed: int):
    kind, depth = form
    largest = 1 << 24 if kind == RGB else 1 << depth
    values = np.random.default_rng(seed).integers(0, largest, (height, width))
    palette = ((b"PLTE", bytes(range(3 << depth))),) if kind == PALETTE else ()
    coding = coding_of(
        encoded(coding_of(png(Image.new("L", (1, 1))))._replace(kind=kind, depth=depth, before=palette), values)
    )
    assert (coding.kind, coding.depth) == form
    read = np.asarray(Image.open(io.BytesIO(encoded(coding, values)))).astype(np.int64)
    if kind == RGB:
        read = (read * [65536, 256, 1]).sum(axis=2)
    elif kind == GREY and depth in (2, 4):
        read = read // (255 // (largest - 1))  # Pillow stretches them
    assert np.array_equal(read, values)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xd8\xff\xe0", "is no PNG file"),
        (b"\x89PNG\r\n\x1a\n", "is a damaged PNG file"),
        (png(Image.new("RGBA", (2, 2))), "has an alpha channel"),
        (png(Image.new("LA", (2, 2))), "has an alpha channel"),
        (png(Image.new("L", (2, 2)), save_all=True, append_images=[Image.new("L", (2, 2), 9)]), "has several frames"),
    ],
)
def test_other_files_are_refused(content: bytes, reason: str):
    with pytest.raises(NotPlain, match=reason):
        coding_of(content)
