"""What is put into an artefact: the network, and the steps before and after it that were asked for."""

from __future__ import annotations

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from pixelwise.errors import RecipeError
from pixelwise.layers.sizes import surely_equal
from pixelwise.models import SegmentationModel
from pixelwise.models.encoding import size_at
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.sidecar import Input, Output

INPUT = "images"
PROBE = 64
"""Side of the image from which the stride of the logits is read off; all strides divide it."""
DYNAMIC_EXAMPLE = (2, 65, 98)
"""Batch, height and width of the example that a network of any size is traced with: numbers that no stride divides
and that occur nowhere in a network, so that nothing is taken for a constant."""


class NotOneGraphError(Exception):
    """`torch.export` cannot turn a network into one graph; the cause says why."""


class GraphOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an artefact does besides the network.

    Attributes:
        uint8_input: Takes uint8 (B, H, W, 3) RGB and normalises inside; otherwise normalised float32 (B, 3, H, W).
        argmax: Gives uint8 class ids (B, h, w); otherwise float32 logits (B, K, h, w).
        output_stride: h and w are the image's divided by it, rounded up; 1: logits are enlarged to the image's
            size, before the best class is taken. None: the network's own stride, nothing is enlarged.
        dynamic: Takes any number of images of any size; otherwise one image of `size`.
        size: (height, width) of the images; where any size goes, the one at which the network is counted.
    """

    uint8_input: bool = False
    argmax: bool = False
    output_stride: int | None = 1
    dynamic: bool = False
    size: Size

    def example(self, channels: int) -> Tensor:
        """An input to trace with: random values."""
        batch, height, width = DYNAMIC_EXAMPLE if self.dynamic else (1, *self.size)
        generator = torch.Generator().manual_seed(0)
        if self.uint8_input:
            return torch.randint(0, 256, (batch, height, width, channels), dtype=torch.uint8, generator=generator)
        return torch.randn(batch, channels, height, width, generator=generator)


class ExportedNetwork(nn.Module):
    """A network with normalisation before it, and enlarging and the choice of the best class after it.

    Args:
        model: The network, in evaluation mode.
        options: What is to be done before and after it.

    Attributes:
        model: The network.
        options: What is done before and after it.
        stride: The image's sides divided by it are those of the result.
        captured: What `program` gave; whoever has it written drops it again.

    Raises:
        RecipeError: R242, the output stride is not one this network can have; R244, the best class of a multi-label
            network.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: SegmentationModel, options: GraphOptions) -> None:
        super().__init__()
        if model.multilabel and options.argmax:
            raise RecipeError(
                "R244",
                "`argmax` gives one class per pixel, but the network is multi-label",
                "leave `argmax` out: a class is there where its logit is above 0",
            )
        self.model = model.eval()
        self.options = options
        self.captured: ExportedProgram | None = None
        own = head_stride(model)
        self.stride: int = own if options.output_stride is None else options.output_stride
        if not 1 <= self.stride <= own:
            raise RecipeError(
                "R242",
                f"`output_stride` is {self.stride}; the logits of this network have stride {own}",
                f"give 1 (the image's size) to {own} (nothing is enlarged)",
            )
        for name in ("mean", "std"):
            values = torch.tensor(getattr(model.preprocessing, name), dtype=torch.float32)
            self.register_buffer(name, values[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images as `options` says, to logits (B, K, h, w) float32 or class ids (B, h, w) uint8."""
        if self.options.uint8_input:
            images = (images.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        logits = self.model.head_logits(images)[0]
        size = size_at(images, self.stride)
        if not all(surely_equal(*pair) for pair in zip(logits.shape[-2:], size, strict=True)):
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=self.model.align_corners)
        return logits.argmax(1).to(torch.uint8) if self.options.argmax else logits

    def program(self) -> ExportedProgram:
        """The network as one graph of PyTorch's own operators, for the one size or for any; captured once.

        Raises:
            NotOneGraphError: It cannot be one.
        """
        if self.captured is None:
            example = self.options.example(len(self.model.preprocessing.mean))
            rows, columns = (1, 2) if self.options.uint8_input else (2, 3)
            # Nothing is declared about the sizes: whatever the graph needs them to be is found out by tracing.
            open_sizes = {0: Dim.DYNAMIC, rows: Dim.DYNAMIC, columns: Dim.DYNAMIC}
            shapes = (open_sizes,) if self.options.dynamic else None
            try:
                with torch.no_grad():
                    self.captured = torch.export.export(self, (example,), dynamic_shapes=shapes, strict=False)
            except Exception as error:  # torch.export passes on whatever the traced code raises
                raise NotOneGraphError from error
        return self.captured

    def input_facts(self) -> Input:
        """What goes in."""
        options = self.options
        return Input(
            name=INPUT,
            dtype="uint8" if options.uint8_input else "float32",
            layout="NHWC" if options.uint8_input else "NCHW",
            size=None if options.dynamic else options.size,
            batch=None if options.dynamic else 1,
        )

    def output_facts(self) -> Output:
        """What comes out."""
        return Output(
            name="labels" if self.options.argmax else "logits",
            dtype="uint8" if self.options.argmax else "float32",
            stride=self.stride,
            align_corners=self.model.align_corners,
        )


def head_stride(model: SegmentationModel) -> int:
    """The stride of a network's main logits; found by asking it about one small image."""
    parameter = next(model.parameters())
    with torch.no_grad():
        logits = model.head_logits(torch.zeros(1, len(model.preprocessing.mean), PROBE, PROBE).to(parameter))[0]
    return PROBE // logits.shape[-1]
