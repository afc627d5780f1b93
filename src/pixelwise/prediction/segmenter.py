"""Prediction of images in memory and in files: class ids of the same size as the image."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.images import from_pillow, read_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import CheckpointError, DataError
from pixelwise.observer import SILENT
from pixelwise.prediction.combinations import unpacked
from pixelwise.prediction.deviations import Once, Remark, deviations, stretching
from pixelwise.prediction.engine.batching import ON_CPU, ON_GPU, SINGLE, Batch, Limits, batches, in_order
from pixelwise.prediction.feeding import Fed, OneImage, each, is_one, read_one, way_out
from pixelwise.prediction.large.choice import InParts, parts_need_pytorch, reason_for_parts
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.sizes import RESIZE, fitted_size
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.inference import fitted_to
from pixelwise.runtimes.opened import Artefact
from pixelwise.runtimes.plain import PlainArtefact
from pixelwise.storage import printable
from pixelwise.views import classes_in_words, line

if TYPE_CHECKING:
    import torch

    from pixelwise.models import SegmentationModel
    from pixelwise.prediction.videos.frames import VideoFrame

WHOLE_PIXELS = 1 << 24
"""Number of input pixels above which an image is predicted by windows."""
WINDOW: Size = (1024, 1024)
"""(height, width) of these windows."""


class Segmenter:
    """A network that is ready to predict.

    Args:
        model: The network with its weights; moved to `device` and put into evaluation mode. A `PlainArtefact`, which
            has what is read of a network here, needs no PyTorch.
        classes: Class names; None for those of the model.
        palette: Colour of each class; None for colours that colour-blind people can tell apart.
        input_size: (height, width) the network was trained for: images are resized to that area with their aspect
            ratio kept. None keeps the size of every image.
        device: Device to run on; None for that of the model.
        reading: Rules for reading image files.
        protocol: Protocol by which the network was evaluated. Its resizing (`fit` and `resampling`), padding and
            windows are applied; its scales and flips, which cost several times as much, are not. Without windows,
            images of more than `WHOLE_PIXELS` input pixels are predicted by windows of size `WINDOW` that overlap by a
            quarter, so that memory stays bounded.

    Attributes:
        exact: Whether every image is brought to exactly `input_size`, as an artefact of one size may do.
        run_size: `input_size` of the run that an artefact was exported from.
        run_protocol: `protocol` of that run.
        label_table: Meaning of the values of the masks of the training data; None if it is not recorded.
        warn: Receives the `remarks` on every image that is predicted; by default it ignores them.
        observer: Receives the progress of images that are predicted in parts; by default it ignores it.
        whole_pixels: Number of input pixels above which an image is predicted by windows.
        large_window: (height, width) of these windows.
        training_scale: Factor by which the network saw the sides of most images of its training; None if unknown.
        scale: Factor at which it sees images that are predicted in parts; None for their own size, or for
            `training_scale` if the protocol brings images to another size.
    """

    def __init__(
        self,
        model: SegmentationModel | PlainArtefact,
        classes: Sequence[str] | None = None,
        palette: Sequence[Color] | None = None,
        input_size: Size | None = None,
        device: torch.device | str | None = None,
        reading: Reading = Reading(),  # noqa: B008 (immutable)
        protocol: Protocol = PROTOCOLS["native"],
    ) -> None:
        self.model: SegmentationModel = model  # type: ignore[assignment]  # or what stands for one
        if not isinstance(model, PlainArtefact):
            self.model = model.to(device).eval() if device is not None else model.eval()
        self.classes = tuple(classes if classes is not None else model.classes)
        self.palette = tuple(palette if palette is not None else colorblind_palette(len(self.classes)))
        self.input_size = input_size
        self.exact = False
        self.label_table: LabelTable | None = None
        self.warn, self.observer = Once(SILENT.warn), SILENT
        self.run_size = input_size
        self.training_scale: float | None = None
        self.scale: float | None = None
        self.whole_pixels, self.large_window = WHOLE_PIXELS, WINDOW
        self.reading = reading
        self.protocol = self.run_protocol = single_pass(protocol)
        for name, values in (("class names", self.classes), ("palette colours", self.palette)):
            if len(values) != model.num_classes:
                raise ValueError(f"{len(values)} {name} for a model of {model.num_classes} classes")

    def __repr__(self) -> str:
        network = "artefact"
        if not isinstance(self.model, Artefact):
            parameters = sum(parameter.numel() for parameter in self.model.parameters())
            network = f"{type(self.model).__name__}, {parameters / 1e6:.1f} M parameters"
        return line("Segmenter", network, classes_in_words(self.classes))

    @overload
    def predict(self, images: Image.Image, scores: bool = False) -> Prediction: ...
    @overload
    def predict(  # pyright: ignore[reportOverlappingOverload]  # a text is a sequence, too
        self, images: str | os.PathLike[str] | np.ndarray, scores: bool = False
    ) -> Prediction | Any: ...  # a folder, a pattern and a batch give several
    @overload
    def predict(self, images: Sequence[OneImage], scores: bool = False) -> list[Prediction]: ...
    @overload
    def predict(self, images: Iterable[OneImage], scores: bool = False) -> Iterator[Prediction]: ...
    def predict(self, images: Any, scores: bool = False) -> Prediction | list[Prediction] | Iterator[Prediction]:
        """Segment one image or several.

        Args:
            images: One image: a file, an address (http or https), a uint8 (H, W, 3) RGB array, or a Pillow image. Or
                several: a folder (with its subfolders), a pattern such as `photos/**/*.jpg`, a uint8 array
                (B, H, W, 3), a list, or a generator. For a network with C other channels, files that contain them, or
                uint8 arrays of `data.channels` in their order, scaled to 8 bits by the same `data.input_range`. Pillow
                images of every mode are read like their files: their orientation and transparency, `data.input_range`
                and `data.channels` apply.
            scores: Whether to return the scores too, which take 4 bytes per class and pixel.

        Returns:
            One image gives its prediction, a list or a batch gives a list. A folder, a pattern or a generator, which
            may be longer than memory allows, gives an iterator that predicts images when they are asked for: those of
            a generator one by one, otherwise small ones of equal size together. A TIFF
            file that is too large to be decoded whole gives a
            `pixelwise.prediction.large.prediction.LargePrediction`.

        Raises:
            CheckpointError: K466, `scores` of an exported artefact that outputs class ids only.
            DataError: D120, `scores` of an image that is not decoded whole; D223, there is no such file, or no image in
                a folder; D250, an address cannot be downloaded; others if a file cannot be read, or the meaning of its
                values as 8-bit RGB is not clear. An iterator ends with it:
                `pixelwise.predict` skips such files and lists them.
            ValueError: An array is not uint8 (H, W, C) with the C channels of the network.
        """
        if scores:
            self.require_scores()
        if is_one(images):
            return self._predict(read_one(images, self._pixels), scores)
        fed = each(images, self._pixels)
        if not isinstance(images, (list, tuple, np.ndarray, str, os.PathLike)):
            return (self._predict(one, scores) for one in fed)
        found = self._in_batches(fed, scores)
        return found if isinstance(images, (str, os.PathLike)) else list(found)

    def predict_video(self, path: str | os.PathLike[str], scores: bool = False, every: int = 1) -> Iterator[VideoFrame]:
        """Segment the frames of a video one after the other.

        Frames are decoded as they are asked for, upright, and RGB of 8 bits, and none of them is kept: a video may be
        of any length. A file that is damaged or cut short gives the frames that can be decoded, and a warning.

        Args:
            path: The video file, in any format that FFmpeg decodes.
            scores: Whether predictions have scores, too.
            every: Predict every n-th frame only, beginning with the first.

        Returns:
            An iterator over frames: their index, their time in seconds, and their `Prediction`.

        Raises:
            CheckpointError: K466, `scores` of an exported artefact that outputs class ids only.
            DataError: D280 to D284, the file is damaged from its beginning, holds no video or no frame that can be
                decoded, changes the size of its frames, or does not suit the network; D120, its frames are too large.
            RecipeError: R240, PyAV is not installed.
            ValueError: `every` is less than 1.
        """
        # Imported here: it uses segmenters.
        from pixelwise.prediction.videos.frames import video_frames

        if every < 1:
            raise ValueError(f"every is {every}; expected 1 (each frame) or more")
        if scores:
            self.require_scores()
        return video_frames(self, Path(path), scores, every)

    def require_scores(self) -> None:
        """Refuse a network that has no scores.

        Raises:
            CheckpointError: K466, it is an exported artefact that outputs class ids only.
        """
        if not self.model.gives_scores:
            raise CheckpointError(
                "K466", "the artefact outputs class ids, not scores", "export the run again without `argmax`"
            )

    def _predict(self, fed: Fed, scores: bool) -> Any:
        """The prediction of an image: a `Prediction`, or a `LargePrediction` of a file that is not decoded whole."""
        pixels = fed.pixels
        if isinstance(pixels, InParts):
            if isinstance(self.model, PlainArtefact):
                raise parts_need_pytorch(pixels.path, pixels.reason)
            # Imported here: it uses segmenters.
            from pixelwise.prediction.large.prediction import LargePrediction

            if scores:
                raise DataError(
                    "D120",
                    f"{printable(pixels.path)}: no scores, since it is predicted in parts: {pixels.reason}",
                    "leave out `scores`, or give parts of the image as arrays",
                )
            return LargePrediction(self, pixels, self.observer)
        self.warn(self.remarks((pixels.shape[0], pixels.shape[1])))
        (found,) = self.predict_alike([pixels], scores, [fed.source])
        return found

    def _in_batches(self, all: Iterable[Fed], scores: bool) -> Iterator[Any]:
        """Predictions in the order of the images, those of equal size in batches."""

        def size_of(fed: Fed) -> Size | Path:
            pixels = fed.pixels
            return pixels.path if isinstance(pixels, InParts) else (pixels.shape[0], pixels.shape[1])

        def seen_pixels(fed: Fed) -> int:
            size = size_of(fed)
            return self.whole_pixels if isinstance(size, Path) else math.prod(self.seen_size(size))

        def predicted(batch: Batch[Fed]) -> Batch[Any]:
            images = [fed.pixels for fed in batch.items if isinstance(fed.pixels, np.ndarray)]
            if len(images) <= 1:
                return Batch(batch.places, tuple(self._predict(fed, scores) for fed in batch.items))
            self.warn(self.remarks((images[0].shape[0], images[0].shape[1])))
            return Batch(batch.places, tuple(self.predict_alike(images, scores, [fed.source for fed in batch.items])))

        return in_order(map(predicted, batches(all, size_of, seen_pixels, self.batch_limits)))

    @property
    def batch_limits(self) -> Limits:
        """How many images of equal size are predicted in one forward pass."""
        if isinstance(self.model, Artefact):
            return ON_CPU if self.model.sidecar.input.batch is None else SINGLE
        return ON_CPU if next(self.model.parameters()).device.type == "cpu" else ON_GPU

    def predict_alike(
        self, images: Sequence[np.ndarray], scores: bool = False, sources: Sequence[str] | None = None
    ) -> list[Prediction]:
        """Predict images of one size, in one forward pass unless they are seen through windows.

        Args:
            images: Images uint8 (H, W, C) of equal size, as `predict` takes them.
            scores: Whether to return the scores too.
            sources: File or address of each image.
        """
        size = (images[0].shape[0], images[0].shape[1])
        resize = RESIZE[self.protocol.resampling]
        seen = [resize(image, self.seen_size(size)) for image in images]
        seen_size = (seen[0].shape[0], seen[0].shape[1])
        protocol = fitted_to(self.protocol_for(seen_size), self.model.fixed_size)
        several = self.model.multilabel
        if isinstance(self.model, PlainArtefact):
            from pixelwise.prediction.light import looking

            found = looking.looked_at(self.model, seen, size, protocol, scores=scores)
        else:
            from pixelwise.prediction.engine import looking

            found = looking.looked_at(self.model, seen, size, protocol, scores=scores)
        return [
            Prediction(
                image=image,
                labels=unpacked(labels, len(self.classes)) if several else labels,
                scores=found_scores,
                classes=self.classes,
                palette=self.palette,
                multilabel=several,
                source=source,
            )
            for image, (labels, found_scores), source in zip(
                images, found, sources if sources is not None else [""] * len(images), strict=True
            )
        ]

    def seen_size(self, size: Size) -> Size:
        """(height, width) of the network's input for an image of that size, without padding."""
        if self.exact and self.input_size is not None:
            return self.input_size
        return self._natural_size(size, self.input_size)

    def remarks(self, size: Size) -> list[Remark]:
        """Warnings for an image of that (height, width) whose masks can differ from those of the artefact's run."""
        seen, fixed = self.seen_size(size), self.model.fixed_size
        found = deviations(self.model, self.protocol_for(seen), seen, size, self.run_protocol)
        if self.exact and fixed is not None:
            found += stretching(fixed, size, self._natural_size(size, self.run_size))
        return found

    def _natural_size(self, size: Size, wanted: Size | None) -> Size:
        """The size of the same aspect ratio at which the protocol shows an image of `size`."""
        return same_area(size, wanted) if self.protocol.fit is None else fitted_size(size, *self.protocol.fit)

    def protocol_for(self, seen: Size) -> Protocol:
        """The protocol for an image of that (height, width) at the network's input size.

        Very large ones are seen through windows.
        """
        if self.protocol.window is None and seen[0] * seen[1] > self.whole_pixels:
            return through_windows(self.protocol, self.large_window)
        return self.protocol

    def _pixels(self, image: Path | np.ndarray | Image.Image) -> np.ndarray | InParts:
        if isinstance(image, np.ndarray):
            return self._checked(image)
        if isinstance(image, Image.Image):
            try:
                return self._checked(from_pillow(image, self.reading))
            except DataError as error:
                if error.code == "D106":
                    raise ValueError(f"{error.message}; expected {self._expected()}") from error
                raise
        if reason := reason_for_parts(image, self.reading, self.model.preprocessing.in_channels):
            return InParts(image, reason)
        return self._checked(read_image(image, self.reading))

    def _checked(self, image: np.ndarray) -> np.ndarray:
        """The image itself, if it fits the network.

        Raises:
            ValueError: The dtype, the shape or the number of channels is wrong.
        """
        channels = self.model.preprocessing.in_channels
        if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == channels and image.size:
            return image
        raise ValueError(f"image is {image.dtype} {image.shape}; expected {self._expected()}{way_out(image, channels)}")

    def _expected(self) -> str:
        """The arrays that the network takes, in words."""
        channels = self.model.preprocessing.in_channels
        what = " RGB" if channels == 3 and self.reading.channels is None else ""
        if self.reading.channels is not None:
            what = f", the channels {list(self.reading.channels)} in this order"
        return f"uint8 (H, W, {channels}){what}"


def through_windows(protocol: Protocol, window: Size) -> Protocol:
    """The protocol as prediction uses it, with sliding windows of that size; see `Protocol.through_windows`."""
    return single_pass(protocol.through_windows(window))


def single_pass(protocol: Protocol) -> Protocol:
    """The protocol as prediction uses it: without scales and flips; the argmax is taken at the image's own size.

    Padding can be cut off only from class ids, so with padding the argmax is taken at the input size.
    """
    at = "score" if protocol.pad_to is None else "input"
    return msgspec.structs.replace(protocol, scales=(1.0,), flip=False, argmax_at=at)


def same_area(size: Size, wanted: Size | None) -> Size:
    """The size with the aspect ratio of `size` and the area of `wanted`; `size` itself if `wanted` is None.

    The network thus sees objects at the scale it was trained on, whatever the aspect ratio of the image.
    """
    if wanted is None:
        return size
    scale = math.sqrt(wanted[0] * wanted[1] / (size[0] * size[1]))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
