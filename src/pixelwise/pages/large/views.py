"""The answers to requests for large images of results in tiles, and what their page shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.regions.images import large_image
from pixelwise.datasets.run_data import open_run_data
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError, PixelwiseError
from pixelwise.pages.catalog import Catalog, Refused
from pixelwise.pages.errors import kinds_of, kinds_png
from pixelwise.pages.evaluated import Gallery, Opened, scores_of
from pixelwise.pages.labels.data_pages import stamp_of
from pixelwise.pages.labels.pictures import LARGE, labels_png, os_state, photo_jpeg
from pixelwise.pages.labels.tiles import MOST_PIXELS, Place, Source, Tiles, halvings_of
from pixelwise.pages.large.files import PREDICTION, Enlarged, Kinds, Stored
from pixelwise.pages.large.wholes import Wholes
from pixelwise.pages.networks.permission import require_data
from pixelwise.pages.networks.work import Networks
from pixelwise.pages.newest import Newest
from pixelwise.pages.rendering import KEPT, NOT_KEPT
from pixelwise.pages.result_pages import palette_of
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.sizes import Size
from pixelwise.records.run_folder import is_run, read_recipe

LAYERS = ("photo", "truth", "prediction", "errors")
_SOURCES = 4
"""Predictions and errors that stay open: a page that compares two results asks for tiles of both by turns."""


class LargeImage(NamedTuple):
    """An image that is shown in tiles.

    Attributes:
        opened: The result.
        place: Position of the image in the split.
        dataset: The data set.
        sample: The image and its mask.
        size: (height, width) of both.
    """

    opened: Opened
    place: int
    dataset: Dataset
    sample: Sample
    size: Size

    @property
    def key(self) -> tuple[object, ...]:
        """Tells its prediction from others."""
        return self.opened.entry.id, self.opened.result.weights_sha256, self.place, stamp_of(self.sample)


class LargeImages:
    """The large images of results.

    Args:
        catalog: The folders that may be read.
        gallery: The images of results, with the reduced pictures that their folders keep.
        networks: Predict images.
        tiles: Reads images and masks.
    """

    def __init__(self, catalog: Catalog, gallery: Gallery, networks: Networks, tiles: Tiles) -> None:
        self._catalog, self._gallery, self._networks, self._tiles = catalog, gallery, networks, tiles
        self._large: Newest[bool] = Newest(4096)
        self._data: Newest[tuple[Dataset, dict[str, Sample]] | None] = Newest(4)
        self._made: Newest[Source] = Newest(_SOURCES)
        self.wholes = Wholes()

    def find(self, opened: Opened, place: int) -> LargeImage | None:
        """An image that is shown in tiles; None if it is small, its files may not be shown, or cannot be read."""
        scores = scores_of(opened)
        if not 0 <= place < len(scores) or not is_run(opened.entry.run) or opened.result.multilabel:
            return None
        kept = self._gallery.kept(opened).samples.get(scores[place].id)
        if kept is not None and max(kept.height, kept.width) < _REDUCED:
            return None
        try:
            if find_protocol(opened.result.protocol).score_size != "native":
                return None
            known = self._data.get((opened.entry, opened.version), partial(self._opened, opened))
            sample = None if known is None else known[1].get(scores[place].id)
            if known is None or sample is None or not self._may_show(sample):
                return None
            if not self._large.get(os_state(sample.image_path), partial(_is_large, sample)):
                return None
            size = self._tiles.size(known[0], sample, "photo")
            if self._tiles.size(known[0], sample, "labels") != size:
                return None
        except (PixelwiseError, Refused, OSError, KeyError, ValueError):
            return None  # the page says what is wrong with it
        return LargeImage(opened, place, known[0], sample, size)

    def _opened(self, opened: Opened) -> tuple[Dataset, dict[str, Sample]] | None:
        entry = opened.entry
        folder = require_data(self._catalog, entry, opened.result)
        dataset = open_run_data(entry.run, read_recipe(entry.run), folder)
        return dataset, {one.id: one for one in dataset.samples(opened.result.split)}

    def _may_show(self, sample: Sample) -> bool:
        return all(map(self._catalog.holds, (sample.image_path, *sample.mask_files)))

    def values(self, one: LargeImage, other: LargeImage | None = None) -> dict[str, Any]:
        """What the page of an image needs for its viewer.

        Args:
            one: The image.
            other: The same image of another result, whose prediction is shown on the other side of a divider.
        """
        height, width = one.size
        sides = (one,) if other is None else (one, other)
        values = {
            "height": height,
            "width": width,
            "halvings": halvings_of(one.size),
            "photo": f"{_base(one)}/photo/",
            "stamp": stamp_of(one.sample),
            "layers": [
                {"name": "truth", "sides": [self._truth(one)]},
                *({"name": name, "sides": [self._side(side, name) for side in sides]} for name in LAYERS[2:]),
            ],
        }
        return values if other is None else {**values, "names": [side.opened.entry.name for side in sides]}

    def _truth(self, one: LargeImage) -> dict[str, Any]:
        return {"base": f"{_base(one)}/truth/", "stamp": stamp_of(one.sample), "waits": "", "enough": 0}

    def _side(self, one: LargeImage, layer: str) -> dict[str, Any]:
        """Where the tiles of a prediction, or of its errors, are; and where it is made if they are not."""
        kept, whole = self._gallery.keeps(one.opened, one.place), self.wholes.known(one.key) is not None
        return {
            "base": f"{_base(one)}/{layer}/",
            "stamp": self._stamp(one, whole=whole) if whole or kept else "",
            "waits": "" if whole else f"{_base(one)}/whole",
            # Halvings from which on the reduced picture shows all that is seen.
            "enough": 0 if whole else halvings_below(one.size) if kept else halvings_of(one.size) + 1,
        }

    def standing(self, one: LargeImage) -> Response:
        """How far the prediction of an image is, which begins when this is first asked."""
        opened, score = one.opened, scores_of(one.opened)[one.place]
        found = self.wholes.standing(
            one.key,
            one.size[0] * one.size[1],
            lambda folder: self._networks.whole(opened.entry, opened.result, score.id, folder),
        )
        there = found.folder is not None
        content = {"done": found.done, "reason": found.reason, "stamp": self._stamp(one, whole=True) if there else ""}
        return JSONResponse(content, headers=NOT_KEPT)

    def tile(self, one: LargeImage, layer: str, place: Place, stamp: str) -> Response:
        """A tile as JPEG or PNG; browsers keep it if its address names the state of its files.

        Raises:
            HTTPException: 404, there is no such tile, or none yet.
        """
        dataset, sample = one.dataset, one.sample
        try:
            if layer in ("photo", "truth"):
                pixels = self._tiles.tile(dataset, sample, "photo" if layer == "photo" else "labels", place)
                expected = stamp_of(sample)
            else:
                folder = self.wholes.known(one.key)
                expected = self._stamp(one, whole=folder is not None)
                key = layer, one.key, folder
                source = self._made.get(key, self._predicted(one, layer))
                pixels = self._tiles.tile_of(layer, key, lambda: source, place)
        except (DataError, Refused, OSError) as error:
            raise HTTPException(404) from error
        if pixels is None:
            raise HTTPException(404)
        headers = KEPT if stamp == expected else NOT_KEPT
        if layer == "photo":
            return Response(photo_jpeg(pixels), media_type="image/jpeg", headers=headers)
        content = kinds_png(pixels) if layer == "errors" else labels_png(pixels, palette_of(one.opened))
        return Response(content, media_type="image/png", headers=headers)

    def _stamp(self, one: LargeImage, *, whole: bool) -> str:
        state = f"{stamp_of(one.sample)}-{one.opened.result.weights_sha256[:10]}"
        return f"{state}-whole" if whole else f"{state}-{one.opened.version}"

    def _predicted(self, one: LargeImage, layer: str) -> Callable[[], Source]:
        """Opens the prediction or its errors: those of the whole, else those of the reduced picture that is kept."""

        def make() -> Source:
            folder = self.wholes.known(one.key)
            if folder is not None:
                if layer == "prediction":
                    return Stored(folder / PREDICTION, one.size)
                truth = partial(self._tiles.rectangle, one.dataset, one.sample, "labels")
                return Kinds(truth, folder, one.size)
            if not self._gallery.keeps(one.opened, one.place):
                raise Refused("It is not predicted yet.")
            shown = self._gallery.shown(one.opened, one.place)
            picture = shown.prediction if layer == "prediction" else kinds_of(shown.truth, shown.prediction)
            return Enlarged(np.ascontiguousarray(picture), one.size)

        return make


def _base(one: LargeImage) -> str:
    return f"/run/{one.opened.entry.id}/image/{one.place}"


_REDUCED = 1280
"""Longest side of the pictures that a run keeps: shorter ones are not reduced."""


def halvings_below(size: Size) -> int:
    """Halvings from which on the kept picture of an image of (height, width) has all the pixels that are seen."""
    return max(0, -(-max(size) // _REDUCED) - 1).bit_length()


def _is_large(sample: Sample) -> bool:
    """Whether more of an image can be seen in tiles than in its picture; nothing is decoded."""
    found = large_image(sample.image_path, LARGE * LARGE)
    height, width = found.size if found is not None else image_sizes(sample.image_path)[1]
    return max(height, width) > LARGE and height * width <= MOST_PIXELS


def tile_of(large: LargeImages, one: LargeImage | None, request: Request) -> Response:
    """The tile that an address names.

    Raises:
        HTTPException: 404, there is none.
    """
    parameters = request.path_params
    if one is None or parameters["layer"] not in LAYERS:
        raise HTTPException(404)
    place = Place(*(parameters[name] for name in ("halvings", "down", "right")))
    return large.tile(one, parameters["layer"], place, request.query_params.get("v", ""))
