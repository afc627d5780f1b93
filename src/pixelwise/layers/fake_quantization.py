"""Fake quantization: rounding to 8 bits inside a float network, which learns to compensate for it in training.

The schemes:

- `edgeai-8bit`: TI's scheme for its accelerators (TexasInstruments/edgeai-torchvision r8.2, BSD-3-Clause,
  reimplemented; docs/pixel2pixel/Quantization.md): symmetric, one scale per tensor, power-of-two scales for weights and
  activations. Activations that cannot be negative use 0..255, others -128..127. The range of activations is a running
  average over the batches, each without the outermost 0.01 % of its values at either end. Before training, outlier
  weights are clipped where they are so large that the single scale of their tensor leaves no precision for the others.
- `x86-8bit`: one symmetric scale per output channel of the weights, activations 0..255 with a zero point, which ONNX
  Runtime and OpenVINO compute fastest on a PC. Weights are limited to -63..63, because PC processors without VNNI add
  two 8-bit products in 16 bits, which larger weights would overflow.
- `xnnpack-8bit`: weights -127..127, activations -128..127; concatenation, pooling and resizing keep the scale of their
  input, as XNNPACK (ExecuTorch on ARM) requires.

Deviations from TI's code: halves are rounded to even; biases are left to the runtime, which stores them in 32 bits; the
initial weights are not rounded themselves, only in the forward pass; and training normalises with the statistics of the
batch, as in float training, where TI's code uses the running statistics.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

SLOWEST = 1e-3
"""Smallest weight of a batch in the running average of a range; until it is reached, the n-th batch weighs 1 / n."""
SHRINK = 1e-4
"""Share of an activation's values, at either end, that its range leaves out."""
SAMPLE = 1 << 16
"""Approximate number of values that the range of an activation is estimated from; sorting all of them is slow."""
SMALLEST_RANGE = 1e-6
LARGE_WEIGHT = 15.0
"""Weights have outliers if their largest magnitude exceeds both this and `OUTLIER_RATIO` times their median."""
OUTLIER_RATIO = 16.0
CLIP_MARGIN = 8
"""Steps of 128 between the clipping bound and the end of the range, so that training does not double it at once."""


class QuantizationScheme(NamedTuple):
    """Rules for quantizing weights and activations to 8 bits.

    Attributes:
        power_of_two: Whether scales are powers of two.
        per_channel: Whether weights have one scale per output channel.
        zero_point: Whether activations have a zero point, so that their range need not be symmetric about 0.
        largest_weight: Largest integer of a weight; the smallest is its negative, or one less with `power_of_two`.
        unsigned: Whether activations use 0..255 where possible: always with a zero point, else if never negative.
        shrink: Share of an activation's values that its range leaves out at either end.
        clip_outliers: Whether weights are clipped to `outlier_bound` before training.
        shared: Whether results of concatenation, pooling and resizing have the scale and zero point of their input;
            all inputs of a concatenation then share one scale and zero point.
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
    """Quantization of one tensor: its integers and how its scale is determined.

    Attributes:
        of: `weights`, whose range is that of their current values; or `activations`, whose range is a running average.
        low: Smallest integer that a value is rounded to.
        high: Largest integer that a value is rounded to.
        channels: Number of scales; 1: one for the whole tensor, else one for each index of its first dimension.
        symmetric: Whether the zero point is 0 (the middle of the range, or its lower end if `low` is 0).
        power_of_two: Whether the scale is a power of two.
        shrink: Share of an activation's values that its range leaves out at either end.
    """

    of: Literal["weights", "activations"]
    low: int
    high: int
    channels: int = 1
    symmetric: bool = True
    power_of_two: bool = False
    shrink: float = 0.0


class FakeQuantization(nn.Module):
    """Rounds a tensor to at most 256 values and returns it as float; gradients pass where it is not clipped.

    Args:
        rounding: Integers and range of the quantized tensor.

    Attributes:
        minimum: Lower end of the range, (C,) float.
        maximum: Upper end of the range, (C,) float.
        batches: Number of batches observed, int64.
        observing: Whether the range of activations follows the batches; the range of weights is always updated.
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
        """Update the range from `values`."""
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
        # Zero must be represented exactly, because padding and ReLU produce it.
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
        values: Float tensor of any shape.
        share: Share of the values left out at either end, 0 or more and below 0.5; 0 uses every value.

    Returns:
        Two float scalars, the lower and the upper end.
    """
    if share == 0:
        low, high = values.float().aminmax()
        return low, high
    flat = values.flatten()
    sample = flat[:: max(1, flat.numel() // SAMPLE)].float().sort().values
    outside = int(share * sample.numel())
    return sample[outside], sample[sample.numel() - 1 - outside]


def outlier_bound(weight: Tensor) -> float | None:
    """The magnitude to which TI's scheme clips the weights of a layer before training; None: no clipping.

    Args:
        weight: Weights of any shape, with the batch normalisation after the layer folded in.
    """
    magnitudes = weight.detach().float().abs()
    largest, usual = float(magnitudes.max()), OUTLIER_RATIO * float(magnitudes.median())
    # If more than half of the weights are 0, the median says nothing about the others.
    if largest <= max(LARGE_WEIGHT, usual) or usual == 0:
        return None
    reach = 2.0 ** math.ceil(math.log2(usual))
    return reach * (128 - CLIP_MARGIN) / 128
