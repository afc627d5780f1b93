"""Initial weights that several families draw."""

from __future__ import annotations

from typing import Literal, TypeVar

from torch import nn

Part = TypeVar("Part", bound=nn.Module)


def he_normal(part: Part, mode: Literal["fan_in", "fan_out"] = "fan_out") -> Part:
    """Draw the convolutions of a part as He et al. do where a ReLU follows (2015, arXiv:1502.01852); biases are 0.

    Args:
        part: A convolution, or a module with convolutions in it.
        mode: What variances are kept of: "fan_in" of the features, "fan_out" of their gradients.

    Returns:
        `part`.
    """
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            _zero_bias(module)
    return part


def truncated_normal(part: nn.Module, stddev: float) -> None:
    """Draw the convolutions of a part from a normal distribution cut at two standard deviations; biases are 0.

    Args:
        part: A convolution, or a module with convolutions in it.
        stddev: Of the distribution before it is cut.
    """
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=stddev, a=-2 * stddev, b=2 * stddev)
            _zero_bias(module)


def small_normal(classifier: nn.Conv2d) -> None:
    """Draw a classifier from a normal distribution of standard deviation 0.01; its bias is 0."""
    nn.init.normal_(classifier.weight, std=0.01)
    _zero_bias(classifier)


def _zero_bias(conv: nn.Conv2d) -> None:
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
