"""One image in, class ids of the same size out."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import CheckpointError, DataError
from pixelwise.models import SegmentationModel
from pixelwise.prediction.combinations import blend_classes, packed, unpacked
from pixelwise.prediction.network import (
    Answer,
    decide,
    main_logits,
    padded_size,
    prediction_mode,
    probability_bands,
    views_of,
)
from pixelwise.prediction.options import PaletteName
from pixelwise.prediction.overlays import blend
from pixelwise.prediction.sizes import RESIZE, fitted_size
from pixelwise.recipes.classes.palettes import colorblind_palette
from pixelwise.recipes.classes.tables import Color
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.sizes import Size

WHOLE_PIXELS = 1 << 24
"""An image that the network would see at more pixels than this is predicted by windows."""
WINDOW: Size = (1024, 1024)
"""Their size where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a network sees in one image.

    Attributes:
        image: The image, uint8 (H, W, C), upright.
        labels: Class ids, uint8 (H, W). Of a multi-label network uint8 (K, H, W), 1 where the class is, else 0.
        scores: Softmax over the classes, float32 (K, H, W), where it was asked for; of a multi-label network the
            probability of each class.
        classes: Class names; the position is the class id.
        palette: One official colour per class.
        multilabel: Whether a pixel may belong to several classes.
    """

    image: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    multilabel: bool = False

    def overlay(self, alpha: float = 0.5, palette: PaletteName = "official") -> np.ndarray:
        """The image with the class colours laid over it, their mean where classes overlap: uint8 (H, W, 3).

        Of other channels than RGB the first three are shown, or the first as grey, stretched from dark to bright.

        Args:
            alpha: Opacity of the colours, 0..1.
            palette: Which colours.

        Raises:
            ValueError: `alpha` is outside 0..1, or there is no such palette.
        """
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}; expected 0 (image only) to 1 (colours only)")
        if self.multilabel:
            return blend_classes(self.image, packed(self.labels), choose_palette(self.palette, palette), alpha)
        return blend(self.image, self.labels, choose_palette(self.palette, palette), alpha)


class Segmenter:
    """A network that is ready to be asked.

    Args:
        model: The network with its weights; moved to `device` and put into evaluation mode.
        classes: Class names; None: the model's.
        palette: One colour per class; None: colour-blind-safe ones.
        input_size: (height, width) the network was trained for: images are brought to that area,
            their aspect ratio kept. None: every image at its own size.
        device: None: where the model is.
        reading: How image files become arrays.
        protocol: How the network was evaluated. Images are resized as there (`fit` and `resampling`), padded
            as there, and seen through its windows; scales and mirrored images, which cost several times as
            much, are left out. Without windows images of more than `WHOLE_PIXELS` pixels are seen through
            windows of `WINDOW` that overlap by a quarter, so that memory stays bounded.
    """

    def __init__(
        self,
        model: SegmentationModel,
        classes: Sequence[str] | None = None,
        palette: Sequence[Color] | None = None,
        input_size: Size | None = None,
        device: torch.device | str | None = None,
        reading: Reading = Reading(),  # noqa: B008 (immutable)
        protocol: Protocol = PROTOCOLS["native"],
    ) -> None:
        self.model = model.to(device).eval() if device is not None else model.eval()
        self.classes = tuple(classes if classes is not None else model.classes)
        self.palette = tuple(palette if palette is not None else colorblind_palette(len(self.classes)))
        self.input_size = input_size
        self.reading = reading
        self.protocol = _asked_once(protocol)
        for name, values in (("class names", self.classes), ("palette colours", self.palette)):
            if len(values) != model.num_classes:
                raise ValueError(f"{len(values)} {name} for a model of {model.num_classes} classes")

    def predict(self, image: str | os.PathLike[str] | np.ndarray | Image.Image, scores: bool = False) -> Prediction:
        """Segment one image.

        Args:
            image: A file, a uint8 (H, W, 3) RGB array, or a Pillow image; for a network of C other channels a
                file that has them, or a uint8 (H, W, C) array of `data.channels` in their order, brought to
                bytes by the same `data.input_range`. The EXIF orientation of files and Pillow images is
                applied, so the result is upright.
            scores: Also give the softmax: 4 bytes per class and pixel.

        Raises:
            CheckpointError: K466, `scores` of an exported artefact that gives class ids only.
            DataError: The file cannot be read, or its values have no plain meaning as 8-bit RGB.
            ValueError: The array is not uint8 (H, W, C), C the channels of the network.
        """
        if scores and not self.model.gives_scores:
            raise CheckpointError(
                "K466", "the artefact gives class ids, no scores", "export the run again without `argmax`"
            )
        pixels = self._pixels(image)
        size = (pixels.shape[0], pixels.shape[1])
        seen = RESIZE[self.protocol.resampling](pixels, self.seen_size(size))
        protocol = self.protocol
        if protocol.window is None and seen.shape[0] * seen.shape[1] > WHOLE_PIXELS:
            protocol = through_windows(protocol, WINDOW)
        with prediction_mode(self.model):
            labels, softmax = self._decided(seen, size, protocol, scores)
        several = self.model.multilabel
        return Prediction(
            image=pixels,
            labels=unpacked(labels, len(self.classes)) if several else labels,
            scores=softmax,
            classes=self.classes,
            palette=self.palette,
            multilabel=several,
        )

    def seen_size(self, size: Size) -> Size:
        """(height, width) at which the network sees an image of that size, padding left out."""
        if self.model.fixed_size is not None:
            return self.model.fixed_size
        if self.protocol.fit is not None:
            return fitted_size(size, *self.protocol.fit)
        return same_area(size, self.input_size)

    def _decided(
        self, seen: np.ndarray, size: Size, protocol: Protocol, scores: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Class ids or bit fields (H, W) of an image as the network sees it, and where they are wanted its scores."""
        seen_size = (seen.shape[0], seen.shape[1])
        if protocol.one_look:
            answer: Answer = main_logits(self.model, [seen], pad_to=protocol.pad_to)
        else:
            answer = views_of(self.model, [seen], protocol, keep=scores)
        labels = decide(self.model, answer, seen_size, size, protocol).labels.cpu().numpy()
        if not scores:
            return labels, None
        if isinstance(answer, Tensor):
            return labels, self._softmax(answer, seen_size, size, protocol.pad_to)
        parts = [values for _, values in probability_bands(self.model, answer, seen_size, size, protocol)]
        return labels, torch.cat(parts, 1).cpu().numpy()

    def _softmax(self, logits: Tensor, seen_size: Size, size: Size, pad_to: Size | None) -> np.ndarray:
        """float32 (K, H, W) of logits of the whole image and its padding."""
        enlarge = functools.partial(F.interpolate, mode="bilinear", align_corners=self.model.align_corners)
        full = logits.float()
        if pad_to is not None:
            full = enlarge(full, padded_size(seen_size, pad_to))[:, :, : seen_size[0], : seen_size[1]]
        full = enlarge(full, size)
        return (full.sigmoid() if self.model.multilabel else full.softmax(1))[0].cpu().numpy()

    def _pixels(self, image: str | os.PathLike[str] | np.ndarray | Image.Image) -> np.ndarray:
        if isinstance(image, np.ndarray):
            return self._checked(image)
        if isinstance(image, Image.Image):
            return self._checked(_from_pillow(image, self.reading))
        return self._checked(read_image(Path(image), self.reading))

    def _checked(self, image: np.ndarray) -> np.ndarray:
        """The image itself.

        Raises:
            ValueError: It is not what the network takes.
        """
        channels = self.model.preprocessing.in_channels
        if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == channels and image.size:
            return image
        what = " RGB" if channels == 3 and self.reading.channels is None else ""
        if self.reading.channels is not None:
            what = f", the channels {list(self.reading.channels)} in this order"
        raise ValueError(f"image is {image.dtype} {image.shape}; expected uint8 (H, W, {channels}){what}")


def choose_palette(official: Sequence[Color], name: PaletteName) -> tuple[Color, ...]:
    """The colours of that name for the classes that `official` has colours for.

    Raises:
        ValueError: There is no such palette.
    """
    if name == "official":
        return tuple(official)
    if name == "cvd":
        return colorblind_palette(len(official))
    raise ValueError(f"no palette is named '{name}'; expected 'official' or 'cvd'")


def through_windows(protocol: Protocol, window: Size) -> Protocol:
    """The protocol with windows of that size, which overlap by a quarter, instead of the whole image."""
    stride = tuple(max(1, side * 3 // 4) for side in window)
    return _asked_once(msgspec.structs.replace(protocol, window=window, window_stride=stride, pad_to=None))


def _asked_once(protocol: Protocol) -> Protocol:
    """The protocol without scales and mirrored images; class ids are taken at the image's own size.

    Padding can be cut off only from class ids, so with padding these are taken at the size that the network sees.
    """
    at = "score" if protocol.pad_to is None else "input"
    return msgspec.structs.replace(protocol, scales=(1.0,), flip=False, argmax_at=at)


def same_area(size: Size, wanted: Size | None) -> Size:
    """The size with the aspect ratio of `size` and the area of `wanted`; `size` where that is None.

    A network sees objects at the scale it was trained on, whatever the shape of the photo.
    """
    if wanted is None:
        return size
    scale = math.sqrt(wanted[0] * wanted[1] / (size[0] * size[1]))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _from_pillow(image: Image.Image, reading: Reading) -> np.ndarray:
    if image.mode == "F" or image.mode.startswith("I"):
        raise DataError(
            "D104",
            f"the Pillow image has mode '{image.mode}' with more than 8 bits per channel",
            "convert it to 8-bit RGB with the range you mean; clipping would destroy it",
        )
    upright = ImageOps.exif_transpose(image) if reading.exif == "apply" else image
    pixels = np.array(upright.convert("RGB"))
    chosen = reading.channels
    return pixels if chosen is None or max(chosen) > 2 else np.ascontiguousarray(pixels[..., list(chosen)])
