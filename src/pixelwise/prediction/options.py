"""Options of `pixelwise.predict` and of the verb `predict`; never imports torch."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.options import Options
from pixelwise.prediction.receipts.shares import EngineName, Share, parse_share, refuse_without_ray
from pixelwise.recipes.sizes import Size
from pixelwise.storage.stores.addresses import address_of

PaletteName = Literal["official", "cvd"]
"""`official`: the data set's own colours; `cvd`: colours that colour-blind people can tell apart."""

MaskFormat = Literal["ids", "original", "cityscapes", "voc", "ade20k"]
"""`ids`: class ids in the model's own order, with a palette; `original`: the values or colours of the masks that the
network was trained with; `cityscapes`: 8-bit labelIds (road is 7);
`voc`: class ids with VOC's palette; `ade20k`: 8-bit, class id + 1. Ignored pixels are 255, 0, 255 and 0."""

VideoMasks = Literal["png", "ffv1"]
"""`png`: a PNG file for every frame; `ffv1`: one video whose decoded grey values are exactly those of the masks."""

PolygonFormat = Literal["labelme", "coco", "geojson", "gpkg"]
"""`labelme`: one JSON file per image; `coco`: one `annotations.json`; `geojson` and `gpkg` (GeoPackage): one file per
image, exact outlines in coordinates of the map."""


class PredictOptions(Options, frozen=True, kw_only=True):
    """Options of `predict`.

    Attributes:
        overlay: Write overlays (the image with the class colours) beside the masks.
        alpha: Opacity of the colours in overlays, from 0 (image only) to 1 (colours only).
        palette: Colours of overlays and of masks of class ids: the data set's own (`official`), or colours that
            colour-blind people can tell apart (`cvd`).
        background: Colour the background in overlays, too. Without it, class 0 shows the image alone if its name says
            that it is the background, or if there are only two classes.
        legend: Add a strip to overlays that names the colours in them.
        mask_format: Pixel values of the masks: class ids, the values that the masks of the training data have
            (`original`), or those expected by a benchmark server.
        polygons: Also write the outlines of the objects: for correction in an editor a file of LabelMe per image, or
            one file of COCO, without small objects; for maps a file of GeoJSON or a
            GeoPackage per image, in its coordinates. The background is left out.
        probabilities: Also write the probabilities of the classes, a TIFF file with one band per class: 0 to 255 for 0
            to 1, rounded. Artefacts that output class ids have none.
        video_masks: How masks of videos are written: a PNG file for every frame, or one lossless video (FFV1).
        every: Predict every N-th frame of videos only, beginning with the first.
        window: Size of overlapping sliding windows for prediction, for example 1024x1024. Left out, the protocol
            decides.
        parts_above: Number of pixels above which a TIFF image is read, predicted and written in parts, so that the
            memory it needs does not depend on its size. Left out, images of more than `data.max_pixels`, and those that
            need more than half of the free memory.
        scale: Factor, at most 1, by which the network sees the sides of an image that is predicted in parts. Left out,
            1; or, if the recipe brings images to another size, that of most images of its training.
        strict: Stop at the first bad file instead of skipping it.
        again: Predict all images. Without it, an image is left out if its masks are here already, made by an earlier
            call with the same weights and options, and its file has not changed since (size and time).
        shard: Predict one of N parts of the images, numbered from 0: `0/8` is the first of eight. The jobs of an array
            write to the same output, each its own part.
        tars: Write tars of about 256 images, with a receipt each, instead of a file per image. It is always so if the
            output is an address. Several workers may then share the work, and `predictions.parquet` lists what became
            of every image.
        engine: Who predicts the tars: this process (`here`), or the workers of Ray (`ray`), which are restarted when
            they die.
        workers: Number of workers of Ray. Left out, one for each core but one, or for each GPU.
        gpus_per_worker: Number of GPUs of a worker of Ray; 0.5 if two share one.
        address: Address of a Ray cluster, such as `auto` or `ray://host:10001`. Left out, Ray is started on this
            machine.
        device: Device to run on: `auto` (a GPU if there is one, else `cpu`), `cpu`, `cuda` or `cuda:N`. Artefacts
            always run on the CPU.
        overrides: Settings for reading images that differ from those of the training, such as
            `data.input_range=[0, 65535]`.
        trust: Open an artefact even if its format lets whoever made it run code here (`torch-export`).
    """

    overlay: bool = True
    alpha: Annotated[float, Meta(ge=0, le=1)] = 0.5
    palette: PaletteName = "official"
    background: bool = False
    legend: bool = False
    mask_format: Annotated[MaskFormat, Meta(extra={"flag": "--format"})] = "ids"
    polygons: PolygonFormat | None = None
    probabilities: bool = False
    video_masks: VideoMasks = "png"
    every: Annotated[int, Meta(ge=1, extra={"metavar": "N"})] = 1
    window: Annotated[Size | None, Meta(extra={"metavar": "WIDTHxHEIGHT"})] = None
    parts_above: Annotated[int | None, Meta(ge=0, extra={"metavar": "PIXELS"})] = None
    scale: Annotated[float | None, Meta(gt=0, le=1)] = None
    strict: bool = False
    again: bool = False
    shard: Annotated[str | None, Meta(extra={"metavar": "I/N"})] = None
    tars: bool = False
    engine: Annotated[EngineName, Meta(extra={"late": True})] = "here"
    workers: Annotated[int | None, Meta(ge=1, extra={"late": True})] = None
    gpus_per_worker: Annotated[float, Meta(ge=0, extra={"late": True})] = 0.0
    address: Annotated[str | None, Meta(extra={"late": True})] = None
    device: str = "auto"
    overrides: Annotated[tuple[str, ...], Meta(extra={"hidden": True})] = ()
    trust: bool = False

    def writes_tars(self, output: str | os.PathLike[str]) -> bool:
        """Whether tars are written to this output instead of a file per image.

        Raises:
            RecipeError: R251, options exclude each other.
        """
        tars = self.tars or address_of(output) is not None
        refuse_without_ray(self, "add `engine` ray and `tars`, or leave them out")
        if not tars and self.engine != "here":
            raise RecipeError(
                "R251",
                f"`engine` is {self.engine}, but a file per image is written",
                "set `tars`: workers that may die and begin again need receipts",
            )
        if not tars:
            return False
        if self.again:
            raise RecipeError(
                "R251",
                "`again` does not go with tars, which are written once",
                "leave it out, or choose another `output`",
            )
        if self.polygons not in (None, "geojson", "gpkg"):
            raise RecipeError(
                "R251",
                f"`polygons` {self.polygons} does not go with tars, in which an editor does not find it",
                "leave one of them out, or choose geojson or gpkg",
            )
        return True

    @property
    def share(self) -> Share | None:
        """The part of the images that is asked for; None for all of them.

        Raises:
            RecipeError: R251, one file of COCO holds the outlines of all images; R260, the text names no part.
        """
        if self.shard is None:
            return None
        if self.polygons == "coco":
            raise RecipeError(
                "R251",
                "`shard` does not go with `polygons=coco`, which makes one file of all images",
                "leave out one of them; `polygons` labelme, geojson and gpkg write a file per image",
            )
        return parse_share(self.shard)
