"""The prediction of a network for one image: class ids, and what can be made of them."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.errors import RecipeError
from pixelwise.machine.console import in_notebook
from pixelwise.prediction.combinations import blend_classes, packed
from pixelwise.prediction.mask_formats import grey_png
from pixelwise.prediction.options import PaletteName
from pixelwise.prediction.overlays import blend, indexed_png, jpeg, with_legend, without_background
from pixelwise.prediction.polygons import Polygon, polygons_of
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.storage import portable, printable, write_bytes
from pixelwise.storage.names import distinct
from pixelwise.views import html_legend, html_picture, line, names_in_words, percent

LONGEST_SIDE = 1024
"""Longest side of a picture in a notebook, in pixels; larger ones are shrunk."""
MASK_ENDING = ".png"
OVERLAY_ENDINGS = (".jpg", ".jpeg", ".webp")
_OVERLAY_ENDING = ".jpg"
_UNNAMED = "prediction"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Prediction:
    """Prediction of a network for one image.

    Attributes:
        image: The image, uint8 (H, W, C), upright.
        labels: Class ids, uint8 (H, W). For a multi-label network uint8 (K, H, W), 1 where a class is present, else 0.
        scores: Softmax over the classes, float32 (K, H, W), or the sigmoid of each class for a multi-label network;
            None unless requested.
        classes: Class names; the position is the class id.
        palette: Official colour of each class.
        multilabel: Whether a pixel may belong to several classes.
        source: File or address of the image; empty for an image in memory.
    """

    image: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    multilabel: bool = False
    source: str = ""

    def __repr__(self) -> str:
        height, width = self.labels.shape[-2:]
        shares = [f"{name} {percent(share, 1)} %" for name, share in self._shares()]
        return line("Prediction", f"{printable(self.name)} {width}x{height}".strip(), names_in_words(shares))

    def _repr_png_(self) -> bytes:
        picture = Image.fromarray(self.overlay())
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        return stream.getvalue()

    def _repr_html_(self) -> str:
        colors = dict(zip(self.classes, self.palette, strict=True))
        shares = self._shares()
        legend = html_legend(
            [f"{name} {percent(share, 1)} %" for name, share in shares], [colors[name] for name, _ in shares]
        )
        return html_picture(self._repr_png_(), printable(self.name) or _UNNAMED) + legend

    @property
    def name(self) -> str:
        """Name of the image's file; empty for an image in memory."""
        return self.source.rpartition("/")[2] if "://" in self.source else os.path.basename(self.source)

    def overlay(
        self,
        alpha: float = 0.5,
        palette: PaletteName = "official",
        *,
        background: bool = False,
        legend: bool = False,
    ) -> np.ndarray:
        """The image overlaid with the class colours, or their mean where classes overlap: uint8 (H, W, 3).

        If the image is not RGB, its first three channels are shown, or the first as grey, stretched to the full range.
        The background shows the image alone: class 0 if its name says so, or if there are only two classes.

        Args:
            alpha: Opacity of the colours, 0 (image only) to 1 (colours only).
            palette: Colours of the classes: `official` or `cvd`.
            background: Whether the background is coloured, too.
            legend: Whether a strip below names the colours in the picture, which makes it taller.

        Raises:
            ValueError: `alpha` is outside 0..1, or there is no such palette.
        """
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}; expected 0 (image only) to 1 (colours only)")
        colors = choose_palette(self.palette, palette)
        if self.multilabel:
            picture = blend_classes(self.image, packed(self.labels), colors, alpha)
            shown = [class_id for class_id, plane in enumerate(self.labels) if plane.any()]
        else:
            labels = self.labels if background else without_background(self.labels, self.classes)
            picture = blend(self.image, labels, colors, alpha)
            shown = [class_id for class_id in np.unique(labels).tolist() if class_id != IGNORE]
        return with_legend(picture, [(self.classes[one], colors[one]) for one in shown]) if legend else picture

    def areas(self) -> dict[str, int]:
        """Number of pixels of each class, in the order of class ids."""
        if self.multilabel:
            return dict(zip(self.classes, np.count_nonzero(self.labels, axis=(1, 2)).tolist(), strict=True))
        return dict(zip(self.classes, np.bincount(self.labels.ravel(), minlength=256).tolist(), strict=False))

    def polygons(self, tolerance: float = 0.0) -> dict[str, list[Polygon]]:
        """Outlines of the objects of each class, the largest first; empty for a class that is not in the image.

        Pixels of a class belong to one object if they are joined by their sides. The polygons run along the sides of
        pixels, so that their areas add up to those of `areas`, unless they are simplified.

        Args:
            tolerance: Distance in pixels by which simplified outlines may differ from those of the pixels.

        Raises:
            ValueError: `tolerance` is negative.
        """
        return {name: polygons_of(mask, tolerance) for name, mask in zip(self.classes, self._masks(), strict=True)}

    def save(
        self, path: str | os.PathLike[str], *, alpha: float = 0.5, palette: PaletteName = "official"
    ) -> tuple[Path, ...]:
        """Write the mask or the overlay, as the extension says, or both into a folder.

        Args:
            path: A `.png` file for the mask, whose pixel values are class ids and whose colours are those of the
                classes; a multi-label prediction has a black and white mask of each class, `NAME-CLASS.png`. A `.jpg`
                or `.webp` file for the overlay. Without an extension a folder: mask and overlay have the name of the
                image there. Folders are created.
            alpha: Opacity of the colours in an overlay, 0 (image only) to 1 (colours only).
            palette: Colours of the classes: `official` or `cvd`.

        Returns:
            The files that were written.

        Raises:
            RecipeError: R217, the extension is none of these.
            ResourceError: S601, the disk is full.
            ValueError: `alpha` is outside 0..1, or there is no such palette.
        """
        target = Path(path)
        ending = target.suffix.lower()
        if target.is_dir() or not ending:
            name = portable(Path(self.name).stem or _UNNAMED)
            files = (target / f"{name}{MASK_ENDING}", target / f"{name}{_OVERLAY_ENDING}")
            return tuple(written for file in files for written in self.save(file, alpha=alpha, palette=palette))
        if ending in OVERLAY_ENDINGS:
            picture = self.overlay(alpha, palette)
            write_bytes(target, jpeg(picture) if ending != ".webp" else _webp(picture))
            return (target,)
        if ending != MASK_ENDING:
            raise RecipeError(
                "R217",
                f"`path` {printable(target)}: a prediction cannot be written as '{target.suffix}'",
                f"use {MASK_ENDING} for the mask, {' or '.join(OVERLAY_ENDINGS)} for the overlay, or a folder for both",
            )
        if self.multilabel:
            names = distinct([portable(f"{target.stem}-{name}") for name in self.classes])
            files = tuple(target.with_name(f"{name}{MASK_ENDING}") for name in names)
            for file, plane in zip(files, self.labels, strict=True):
                write_bytes(file, grey_png(plane * np.uint8(255)))
            return files
        write_bytes(target, indexed_png(self.labels, choose_palette(self.palette, palette)))
        return (target,)

    def show(self, alpha: float = 0.5, palette: PaletteName = "official") -> None:
        """Show the overlay: below the cell in a notebook, else in the viewer of the system.

        Args:
            alpha: Opacity of the colours, 0 (image only) to 1 (colours only).
            palette: Colours of the classes: `official` or `cvd`.

        Raises:
            ValueError: `alpha` is outside 0..1, or there is no such palette.
        """
        picture = Image.fromarray(self.overlay(alpha, palette))
        if in_notebook():
            from IPython.display import display  # type: ignore[import-not-found]

            display(picture)
        else:
            picture.show(self.name or _UNNAMED)

    def _masks(self) -> Sequence[np.ndarray]:
        """A mask (H, W) of each class."""
        if self.multilabel:
            return list(self.labels)
        return [self.labels == class_id for class_id in range(len(self.classes))]

    def _shares(self) -> list[tuple[str, float]]:
        """Name and share of the pixels of each class that is in the image, the largest first."""
        height, width = self.labels.shape[-2:]
        found = [(name, pixels / (height * width)) for name, pixels in self.areas().items() if pixels]
        return sorted(found, key=lambda entry: -entry[1])


def choose_palette(official: Sequence[Color], name: PaletteName) -> tuple[Color, ...]:
    """The palette of that name, with as many colours as `official`.

    Raises:
        ValueError: There is no such palette.
    """
    if name == "official":
        return tuple(official)
    if name == "cvd":
        return colorblind_palette(len(official))
    raise ValueError(f"no palette is named '{name}'; expected 'official' or 'cvd'")


def _webp(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", quality=90)
    return stream.getvalue()
