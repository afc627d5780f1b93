"""What an evaluation protocol says: `Protocol`."""

from __future__ import annotations

from typing import Literal

import msgspec

from pixelwise.recipes.sizes import Size

Resampling = Literal["antialiased", "linear", "area"]


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An evaluation protocol: how predictions are made and scored. Sizes are (height, width).

    Attributes:
        name: Name in recipes, results and on the command line.
        summary: One-line description for tables and reports.
        input_size: Size of the network's input. Without it and without `fit`, it is the recipe's
            `evaluation.input_size`, or else each image's own size.
        fit: Bounds of an input that keeps its aspect ratio: the largest size whose shorter side is at most the first
            number and whose longer side is at most the second (None: unlimited).
        pad_to: Minimum size of the input, which is padded on the right and at the bottom with zeros after
            normalisation (the mean colour); the padding is not scored.
        resampling: Interpolation for resizing images: `antialiased` (bilinear, as in Pillow and torchvision),
            `linear` (bilinear without antialiasing, as in OpenCV) or `area` (the average of the covered pixels, as in
            OpenCV; linear when enlarging).
        argmax_at: Size at which the argmax is taken. `score`: logits are interpolated to the score size. `input`:
            logits are interpolated to the input size, and class ids are resized from there to the score size.
        score_size: Size at which predictions and labels are compared: `native` (that of the label file), `input` (that
            of the network's input), or a fixed size. Labels are resized by nearest neighbour: the pixel with the
            nearest centre or, if `argmax_at` is `input`, for labels and predictions, pixel `floor(i * from / to)`, as
            OpenCV and PyTorch define it.
        absent: Treatment of a class that occurs in neither labels nor predictions: left out of the mean (`skip`) or
            counted as 0 (`zero`).
        window: Size of the sliding windows that together cover the input (smaller if the input is); None passes the
            whole input at once.
        window_stride: Distance between neighbouring windows, at most `window`; None makes them adjacent. The last
            windows are moved back to end at the image border.
        even_windows: Whether as few windows as cover the input lie at equal distances, instead of `window_stride`.
        window_batch: Windows per forward pass.
        blend: Values that are averaged, with equal weights, where windows overlap: `logits` (as in mmsegmentation) or
            `probabilities`; `central` averages nothing, but takes each pixel from the window whose centre is nearest,
            the upper and left one of equally near ones.
        scales: Factors of the input size for multi-scale evaluation; probabilities (softmax) are averaged at the size
            at which the argmax is taken.
        flip: Whether the mirrored image is evaluated too, at each scale, and averaged likewise.
    """

    name: str
    summary: str
    input_size: Size | None = None
    fit: tuple[int, int | None] | None = None
    pad_to: Size | None = None
    resampling: Resampling = "antialiased"
    argmax_at: Literal["score", "input"] = "score"
    score_size: Size | Literal["native", "input"] = "native"
    absent: Literal["skip", "zero"] = "skip"
    window: Size | None = None
    window_stride: Size | None = None
    even_windows: bool = False
    window_batch: int = 1
    blend: Literal["logits", "probabilities", "central"] = "logits"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if self.input_size is not None and self.fit is not None:
            raise ValueError(f"protocol '{self.name}': input_size and fit exclude each other")
        if self.pad_to is not None and self.argmax_at != "input":
            raise ValueError(f"protocol '{self.name}': pad_to requires argmax_at 'input'; got '{self.argmax_at}'")
        if self.pad_to is not None and not self.one_look:
            raise ValueError(f"protocol '{self.name}': pad_to excludes windows, scales and flip")
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"protocol '{self.name}': scales is {self.scales}; expected one or more, each above 0")
        window, stride = self.window or (1, 1), self.window_stride or (1, 1)
        if min(*window, *stride, self.window_batch) < 1:
            raise ValueError(f"protocol '{self.name}': window, window_stride and window_batch must be 1 or more")
        if self.even_windows and (self.window is None or self.window_stride is not None):
            raise ValueError(f"protocol '{self.name}': even_windows needs window, and excludes window_stride")
        if self.window_stride is not None and (
            self.window is None or any(step > side for step, side in zip(stride, window, strict=True))
        ):
            raise ValueError(
                f"protocol '{self.name}': window_stride is {stride} for windows of {self.window}, which would leave "
                "gaps; expected at most the size of a window"
            )

    @property
    def one_look(self) -> bool:
        """Whether the network sees each image once, as a whole."""
        return self.window is None and self.scales == (1.0,) and not self.flip

    def through_windows(self, window: Size) -> Protocol:
        """The protocol with sliding windows of that size, which overlap by a quarter, and without padding."""
        stride = tuple(max(1, side * 3 // 4) for side in window)
        return msgspec.structs.replace(self, window=window, window_stride=stride, even_windows=False, pad_to=None)

    def seen_size(self, recipe_size: Size | None) -> Size | None:
        """Size of the network's input before padding; None if it varies with the image.

        Args:
            recipe_size: The recipe's `evaluation.input_size`.
        """
        return None if self.fit is not None else self.input_size or recipe_size
