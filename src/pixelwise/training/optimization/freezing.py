"""A pretrained encoder that stays as it is while the rest is trained: `initialize.freeze`, `initialize.adapter`."""

from __future__ import annotations

from torch import nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.lora import LowRankAdapted
from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.training import Initialize


def freeze_encoder(model: nn.Module) -> None:
    """Exclude the pretrained weights of a network's encoder from training; layers without any stay trainable.

    Raises:
        RecipeError: R295, the network has no encoder with pretrained weights of its own.
    """
    encoder = encoder_of(model)
    for name, parameter in encoder.named_parameters():
        if not _is_new(encoder, name):
            parameter.requires_grad_(False)


def set_training_mode(model: nn.Module, *, frozen: bool) -> None:
    """Put a network into training mode, a frozen encoder into evaluation mode: statistics fixed, nothing dropped.

    Its adapters, which are trained, stay in training mode.
    """
    model.train()
    if frozen:
        encoder = encoder_of(model)
        for name, module in encoder.named_modules():
            if not _is_new(encoder, f"{name}."):
                module.training = isinstance(module, LowRankAdapted)


def refuse_random_frozen(start: Initialize) -> None:
    """Refuse to keep an encoder as it is that begins with random weights.

    Raises:
        RecipeError: R295, it would.
    """
    if start.keeps_encoder and start.encoder == "none" and start.run is None:
        field, off = ("adapter", "adapter.rank=0") if start.adapter.rank else ("freeze", "freeze=false")
        raise RecipeError(
            "R295",
            f"initialize.{field} would keep an encoder with random weights: initialize.encoder is none",
            "begin with pretrained weights, for example initialize.encoder=default, a file, or initialize.run=RUN; or "
            f"set initialize.{off}",
        )


def encoder_of(model: nn.Module) -> Encoder:
    """The encoder of a network, which freezing keeps.

    Raises:
        RecipeError: R295, the network has none.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, Encoder):
        raise RecipeError(
            "R295",
            f"initialize.freeze and initialize.adapter keep a pretrained encoder, but {type(model).__name__} has none",
            "set initialize.freeze=false initialize.adapter.rank=0; optimizer.groups with lr = 0 freezes parameters by "
            "their names",
        )
    return encoder


def _is_new(encoder: Encoder, name: str) -> bool:
    return bool(encoder.untrained) and name.startswith(encoder.untrained)
