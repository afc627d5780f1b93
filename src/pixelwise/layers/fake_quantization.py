"""Rounding to 8 bits inside a network that computes in float, so that it learns to live with it.

The schemes:

- `edgeai-8bit`: TI's for its accelerators (TexasInstruments/edgeai-torchvision r8.2, BSD-3-Clause, written anew;
  docs/pixel2pixel/Quantization.md): symmetric, one scale per tensor, scales are powers of two for weights and
  activations. Activations that cannot be negative have 0..255, others -128..127. The range of activations is a
  running average over the batches, each without the outermost 0.01 % of its values. Before training, weights are
  clipped where a few are so large that the one scale of their tensor leaves nothing of the others.
- `x86-8bit`: one scale per output channel of the weights (symmetric), activations 0..255 with a zero point: what
  ONNX Runtime and OpenVINO compute fastest on a PC. Weights are -64..63: PC processors without VNNI add two products
  of 8 bits in 16, which a larger weight would overflow.
- `xnnpack-8bit`: weights are -127..127, activations -128..127, and what is concatenated, pooled or resized keeps its
  scale, as XNNPACK (ExecuTorch on ARM) wants them.

Deviations from TI's code: halves are rounded to even; biases are left to the runtime, which keeps 32 bits; the weights
that training begins with are not rounded themselves, only what is computed with them; and training normalises by the
statistics of the batch, as it does in float, where TI's computes with the running ones.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

SLOWEST = 1e-3
"""Least weight of a new batch in the running average of a range; before, the n-th batch weighs 1 / n."""
SHRINK = 1e-4
"""Share of an activation's values, at either end, that its range leaves out."""
SAMPLE = 1 << 16
"""Values of an activation that its range is estimated from: sorting millions in every step would cost more."""
SMALLEST_RANGE = 1e-6
LARGE_WEIGHT = 15.0
"""Tensors whose largest weight is above this, and above `OUTLIER_RATIO` times their median, have outliers."""
OUTLIER_RATIO = 16.0
CLIP_MARGIN = 8
"""How many of 128 steps a clipped weight stays below the range, so that training does not double the range at once."""


class QuantizationScheme(NamedTuple):
    """How numbers become 8 bits.

    Attributes:
        power_of_two: Scales are powers of two.
        per_channel: Weights have a scale per output channel.
        zero_point: Activations have a zero point, so that their range may lie anywhere around 0.
        largest_weight: The integers of weights are about -largest..largest.
        unsigned: Activations are 0..255 where that fits: always with a zero point, else if never negative.
        shrink: Share of an activation's values that its range leaves out at either end.
        clip_outliers: Weights are clipped to `outlier_bound` before training.
        shared: Concatenation, pooling and resizing give numbers of the scale and zero point of what goes in, which
            for a concatenation is the same for all of it.
    """

    power_of_two: bool
    per_channel: bool
    zero_point: bool
    unsigned: bool
    largest_weight: int
    shrink: float
    clip_outliers: bool = False
    shared: bool = False


SCHEMES: dict[str, QuantizationScheme] = {
    "edgeai-8bit": QuantizationScheme(
        power_of_two=True,
        per_channel=False,
        zero_point=False,
        unsigned=True,
        largest_weight=127,
        shrink=SHRINK,
        clip_outliers=True,
    ),
    "x86-8bit": QuantizationScheme(
        power_of_two=False, per_channel=True, zero_point=True, unsigned=True, largest_weight=63, shrink=0.0
    ),
    "xnnpack-8bit": QuantizationScheme(
        power_of_two=False,
        per_channel=True,
        zero_point=True,
        unsigned=False,
        largest_weight=127,
        shrink=0.0,
        shared=True,
    ),
}


class Rounding(NamedTuple):
    """The integers that one tensor is rounded to.

    Attributes:
        of: `weights`, whose range is what they are now; or `activations`, whose range is a running average.
        low: Smallest integer.
        high: Largest integer.
        channels: Number of scales; 1: one for the whole tensor, else one for each index of its first dimension.
        symmetric: 0 is the middle (or the lower end, if `low` is 0); else there is a zero point.
        power_of_two: The scale is a power of two.
        shrink: As in `QuantizationScheme`.
    """

    of: Literal["weights", "activations"]
    low: int
    high: int
    channels: int = 1
    symmetric: bool = True
    power_of_two: bool = False
    shrink: float = 0.0


class FakeQuantization(nn.Module):
    """Rounds a tensor to at most 256 values and gives it back as float; gradients pass where it is not clipped.

    Args:
        rounding: To which values.

    Attributes:
        minimum: (C,) float, lower end of the range.
        maximum: (C,) float, upper end.
        batches: Batches seen, int64.
        observing: Whether the range of activations follows the batches; of weights it always does.
    """

    minimum: Tensor
    maximum: Tensor
    batches: Tensor

    def __init__(self, rounding: Rounding) -> None:
        super().__init__()
        self.rounding = rounding
        self.observing = True
        self.register_buffer("minimum", torch.zeros(rounding.channels))
        self.register_buffer("maximum", torch.zeros(rounding.channels))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """The rounded values, of the same shape."""
        if self.rounding.of == "weights" or self.observing:
            self.observe(x.detach())
        low, high = self.rounding.low, self.rounding.high
        scale, zero_point = self.scale_and_zero_point()
        if self.rounding.channels > 1:
            return torch.fake_quantize_per_channel_affine(x, scale, zero_point, 0, low, high)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, low, high)

    @torch.no_grad()
    def observe(self, values: Tensor) -> None:
        """Let the range follow `values`."""
        if self.rounding.of == "weights":
            low, high = values.float().reshape(self.rounding.channels, -1).aminmax(dim=1)
            weight: Tensor | float = 1.0
        else:
            low, high = (bound.reshape(1) for bound in trimmed_range(values, self.rounding.shrink))
            self.batches += 1
            weight = (1 / self.batches.float()).clamp(min=SLOWEST)
        self.minimum += (low - self.minimum) * weight
        self.maximum += (high - self.maximum) * weight

    def scale_and_zero_point(self) -> tuple[Tensor, Tensor]:
        """Float scales and int32 zero points, (C,): value = scale * (integer - zero point)."""
        rounding = self.rounding
        # Zero must be an integer exactly: it is what padding and ReLU write.
        low, high = self.minimum.clamp(max=0), self.maximum.clamp(min=0)
        if rounding.symmetric:
            reach = high if rounding.low == 0 else torch.maximum(-low, high)
            reach = reach.clamp(min=SMALLEST_RANGE)
            if rounding.power_of_two:
                reach = torch.exp2(torch.log2(reach).ceil())
                return reach / (rounding.high + 1), torch.zeros_like(low, dtype=torch.int32)
            return reach / rounding.high, torch.zeros_like(low, dtype=torch.int32)
        scale = (high - low).clamp(min=SMALLEST_RANGE) / (rounding.high - rounding.low)
        zero_point = (rounding.low - (low / scale).round()).clamp(rounding.low, rounding.high)
        return scale, zero_point.to(torch.int32)


def trimmed_range(values: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Smallest and largest value without the outermost `share` at either end, estimated from evenly spaced values.

    Args:
        values: Float, of any shape.
        share: 0..1; 0 looks at every value.

    Returns:
        Two float scalars.
    """
    if share == 0:
        low, high = values.float().aminmax()
        return low, high
    flat = values.flatten()
    sample = flat[:: max(1, flat.numel() // SAMPLE)].float().sort().values
    outside = int(share * sample.numel())
    return sample[outside], sample[sample.numel() - 1 - outside]


def outlier_bound(weight: Tensor) -> float | None:
    """To which magnitude TI's scheme clips the weights of a layer before training; None: it leaves them.

    Args:
        weight: As the layer computes with it, normalisation included; of any shape.
    """
    magnitudes = weight.detach().float().abs()
    largest, usual = float(magnitudes.max()), OUTLIER_RATIO * float(magnitudes.median())
    # Where more than half of the weights are 0 the median says nothing of the others.
    if largest <= max(LARGE_WEIGHT, usual) or usual == 0:
        return None
    reach = 2.0 ** math.ceil(math.log2(usual))
    return reach * (128 - CLIP_MARGIN) / 128
