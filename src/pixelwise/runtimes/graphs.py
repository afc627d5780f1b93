"""The graph that an artefact holds: the network with optional preprocessing and postprocessing."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from pixelwise.backbones.timm import short_paddings
from pixelwise.errors import RecipeError
from pixelwise.layers.sizes import surely_equal
from pixelwise.models import SegmentationModel
from pixelwise.models.encoding import size_at
from pixelwise.observer import SILENT
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.sidecar import Input, Output

INPUT = "images"
PROBE = 64
"""Side in pixels of the image used to find the stride of the logits; all strides divide it."""
DYNAMIC_BATCH = 2
"""Batch size of the example by which a dynamic network is traced; its sides are the largest `traced_size`."""


class NotOneGraphError(Exception):
    """Raised when `torch.export` cannot turn a network into one graph; `__cause__` holds the reason."""


class GraphOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Input and output formats of an exported graph.

    Attributes:
        uint8_input: Take uint8 (B, H, W, 3) RGB and normalise in the graph; otherwise normalised float32 (B, 3, H, W).
        argmax: Return uint8 class ids (B, h, w); otherwise float32 logits (B, K, h, w).
        output_stride: h and w are the image's sides divided by this stride, rounded up; 1: logits are upsampled to
            the image's size, before the argmax. None: the network's own stride, without upsampling.
        dynamic: Take any number of images of any size; otherwise one image of `size`.
        size: (height, width) of the images; for a dynamic graph the size at which MACs are counted.
    """

    uint8_input: bool = False
    argmax: bool = False
    output_stride: int | None = 1
    dynamic: bool = False
    size: Size

    def example(self, channels: int, traced_size: Size) -> Tensor:
        """Random input of the right shape, for tracing; of `traced_size` for a dynamic graph."""
        batch, height, width = (DYNAMIC_BATCH, *traced_size) if self.dynamic else (1, *self.size)
        generator = torch.Generator().manual_seed(0)
        if self.uint8_input:
            return torch.randint(0, 256, (batch, height, width, channels), dtype=torch.uint8, generator=generator)
        return torch.randn(batch, channels, height, width, generator=generator)


class ExportedNetwork(nn.Module):
    """A network with normalisation before it, and upsampling and argmax after it, as far as `options` ask for them.

    Args:
        model: The network; put into evaluation mode.
        options: Input and output formats.

    Attributes:
        model: The network.
        options: Input and output formats.
        head_stride: Stride of the network's own logits.
        stride: Stride of the result: its sides are the image's divided by it, rounded up.
        captured: Cached result of `program`; reset to None by the exporter once it is written.
        tell: Called with the name of each long step of writing, by `program` and by targets.

    Raises:
        RecipeError: R242, the network cannot have this output stride; R244, argmax of a multi-label network.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: SegmentationModel, options: GraphOptions) -> None:
        super().__init__()
        if model.multilabel and options.argmax:
            raise RecipeError(
                "R244",
                "`argmax` gives one class per pixel, but the network is multi-label",
                "leave `argmax` out: a pixel has every class whose logit is above 0",
            )
        self.model = model.eval()
        self.options = options
        self.captured: ExportedProgram | None = None
        self.tell: Callable[[str], None] = SILENT.phase
        self.head_stride = own = head_stride(model)
        self.stride: int = own if options.output_stride is None else options.output_stride
        if not 1 <= self.stride <= own:
            raise RecipeError(
                "R242",
                f"`output_stride` is {self.stride}; the logits of this network have stride {own}",
                f"choose a value from 1 (the image's size) to {own} (no upsampling)",
            )
        for name in ("mean", "std"):
            values = torch.tensor(getattr(model.preprocessing, name), dtype=torch.float32)
            self.register_buffer(name, values[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images in the format of `options` to float32 logits (B, K, h, w) or uint8 class ids (B, h, w)."""
        if self.options.uint8_input:
            images = (images.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        logits = self.model.head_logits(images)[0]
        size = size_at(images, self.stride)
        if not all(surely_equal(*pair) for pair in zip(logits.shape[-2:], size, strict=True)):
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=self.model.align_corners)
        return logits.argmax(1).to(torch.uint8) if self.options.argmax else logits

    def program(self) -> ExportedProgram:
        """The network as one graph of PyTorch's own operators, for a fixed or any size; captured on the first call.

        Raises:
            NotOneGraphError: The network cannot be captured as one graph.
        """
        if self.captured is None:
            self.tell("capturing the network as one graph")
            sizes = (size for part in self.model.modules() if (size := getattr(part, "traced_size", None)))
            example = self.options.example(len(self.model.preprocessing.mean), max(sizes, key=math.prod))
            rows, columns = (1, 2) if self.options.uint8_input else (2, 3)
            # The sizes are declared without constraints: tracing finds those that the graph needs.
            open_sizes = {0: Dim.DYNAMIC, rows: Dim.DYNAMIC, columns: Dim.DYNAMIC}
            shapes = (open_sizes,) if self.options.dynamic else None
            try:
                with torch.no_grad(), short_paddings(), constant_slopes(self.model):
                    self.captured = torch.export.export(self, (example,), dynamic_shapes=shapes, strict=False)
            except Exception as error:  # torch.export passes on whatever the traced code raises
                raise NotOneGraphError from error
        return self.captured

    def input_facts(self) -> Input:
        """Description of the graph's input."""
        options = self.options
        return Input(
            name=INPUT,
            dtype="uint8" if options.uint8_input else "float32",
            layout="NHWC" if options.uint8_input else "NCHW",
            size=None if options.dynamic else options.size,
            batch=None if options.dynamic else 1,
        )

    def output_facts(self) -> Output:
        """Description of the graph's output."""
        return Output(
            name="labels" if self.options.argmax else "logits",
            dtype="uint8" if self.options.argmax else "float32",
            stride=self.stride,
            align_corners=self.model.align_corners,
            head_stride=self.head_stride,
            scores=self.model.scores,
        )


@contextlib.contextmanager
def constant_slopes(model: nn.Module) -> Iterator[None]:
    """Context in which a PReLU with one slope for all channels is a LeakyReLU, which computes the same numbers.

    Runtimes merge an activation into the convolution before it if its slope is a constant of the graph.

    Args:
        model: The network; afterwards it is as it was.
    """
    places = [
        (parent, name, child)
        for parent in list(model.modules())
        for name, child in parent.named_children()
        if isinstance(child, nn.PReLU) and child.weight.numel() == 1
    ]
    try:
        for parent, name, child in places:
            setattr(parent, name, nn.LeakyReLU(child.weight.item()).train(child.training))
        yield
    finally:
        for parent, name, child in places:
            setattr(parent, name, child)


def head_stride(model: SegmentationModel) -> int:
    """Stride of a network's main logits, found by running it on one small image."""
    parameter = next(model.parameters())
    with torch.no_grad():
        logits = model.head_logits(torch.zeros(1, len(model.preprocessing.mean), PROBE, PROBE).to(parameter))[0]
    return PROBE // logits.shape[-1]
