"""Weight initialisation shared by several model families."""

from __future__ import annotations

from typing import Literal, TypeVar

from torch import nn

Part = TypeVar("Part", bound=nn.Module)


def he_normal(part: Part, mode: Literal["fan_in", "fan_out"] = "fan_out", *, biases: bool = True) -> Part:
    """Draw the weights of convolutions as He et al. (2015, arXiv:1502.01852) do before a ReLU; set biases to 0.

    Args:
        part: A convolution, or a module that contains convolutions.
        mode: "fan_in" preserves the variance of the features, "fan_out" that of their gradients.
        biases: Whether to set biases to 0; they keep PyTorch's default values otherwise.

    Returns:
        `part`.
    """
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if biases:
                _zero_bias(module)
    return part


def truncated_normal(part: nn.Module, stddev: float) -> None:
    """Draw the weights of convolutions from a normal distribution truncated at two standard deviations; biases are 0.

    Args:
        part: A convolution, or a module that contains convolutions.
        stddev: Standard deviation before truncation.
    """
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=stddev, a=-2 * stddev, b=2 * stddev)
            _zero_bias(module)


def small_normal(classifier: nn.Conv2d) -> None:
    """Draw the weights of a classifier from a normal distribution of standard deviation 0.01; set its bias to 0."""
    nn.init.normal_(classifier.weight, std=0.01)
    _zero_bias(classifier)


def _zero_bias(conv: nn.Conv2d) -> None:
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
