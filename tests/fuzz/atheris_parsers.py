"""Coverage-guided fuzzing of the five parsers that read most, with atheris.

    pip install atheris
    PYTHONPATH=src:tests python tests/fuzz/atheris_parsers.py json -max_total_time=600

The first argument names a target, all others are those of libFuzzer. A crash or another exception than Pixelwise's own
ends the run, and the input is kept as `crash-...`. Atheris has no packages for every version of Python; the mutants of
`test_fuzz.py` need none.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

try:
    import atheris  # type: ignore[import-not-found]
except ModuleNotFoundError:
    atheris = None
# Only modules that are imported within are followed.
with contextlib.nullcontext() if atheris is None else atheris.instrument_imports(include=["pixelwise"]):
    from pixelwise.datasets.layouts.coco_file import File
    from pixelwise.datasets.layouts.plain_yaml import read_yaml
    from pixelwise.datasets.layouts.rasterising import draw_segmentation
    from pixelwise.datasets.reading.images import load_image
    from pixelwise.datasets.samples import Reading
    from pixelwise.errors import DataError
    from pixelwise.storage.documents import decoded, parse_json, parse_toml, read_xml, reading

FILE = Path(tempfile.gettempdir()) / "pixelwise-fuzz-input"


class Target(NamedTuple):
    """A parser: reads any content without another exception than a `DataError`, and knows valid contents."""

    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _tolerant(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def tolerating(content: bytes) -> None:
        try:
            read(content)
        except DataError:
            return

    return tolerating


def _annotations(content: bytes) -> None:
    found = parse_json(content, File, FILE)
    for one in found.annotations[:10]:
        with reading(FILE):
            draw_segmentation(parse_json(bytes(one.segmentation), object, FILE), 20, 30)


def _settings(content: bytes) -> None:
    parse_toml(decoded(content, FILE), FILE)


def _stored(parse: Callable[[Path], object]) -> Callable[[bytes], None]:
    def read(content: bytes) -> None:
        FILE.write_bytes(content)
        parse(FILE)

    return read


def _image(path: Path) -> None:
    load_image(path, Reading(max_pixels=1_000_000))


def _pictures() -> list[bytes]:
    found = []
    for kind in ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"):
        stored = io.BytesIO()
        Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(stored, kind)
        found.append(stored.getvalue())
    return found


_COCO = (
    b'{"images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}], "categories": [{"id": 1, "name": "a"}], '
    b'"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 5, 9]]}]}'
)
TARGETS = {
    "json": Target(_tolerant(_annotations), lambda: [_COCO]),
    "toml": Target(_tolerant(_settings), lambda: [b'base = "town-demo"\n[data]\nclasses = ["a"]\n']),
    "yaml": Target(_tolerant(_stored(read_yaml)), lambda: [b"names:\n  0: road\n  1: car\nnc: 2\n"]),
    "xml": Target(_tolerant(_stored(read_xml)), lambda: [b'<annotations><image name="a"/></annotations>']),
    "image": Target(_tolerant(_stored(_image)), _pictures),
}


def main(arguments: list[str]) -> None:
    """Fuzz the target that the first argument names."""
    if atheris is None:
        sys.exit("atheris is not installed: pip install atheris")
    target = TARGETS[arguments[1]]
    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(target.seeds()):
            (Path(corpus) / str(number)).write_bytes(content)
        atheris.Setup([arguments[0], corpus, *arguments[2:]], target.read)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
