"""Encoders with pretrained weights by themselves, outside of any network: teachers of features."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import ENCODERS, build_encoder
from pixelwise.backbones.mit import VARIANTS
from pixelwise.checkpoints.encoders.defaults import DEFAULT, PACKAGES, package_file
from pixelwise.checkpoints.encoders.normalisation import normalisation_of_encoder
from pixelwise.checkpoints.encoders.paths import weights_path
from pixelwise.checkpoints.initial_weights import fill_encoder, timm_tag
from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.model import IMAGENET, Preprocessing
from pixelwise.recipes.schema.recipe import Initialize
from pixelwise.storage import printable


class PretrainedEncoder(NamedTuple):
    """An encoder with its weights.

    Attributes:
        encoder: The encoder, in evaluation mode on the CPU.
        weights: What its weights are called: a package, timm's name with its tag, or an absolute path.
        sha256: SHA-256 of the file, or of the published tensors.
        licence: Licence of the weights, as stated by their publisher; `unknown` if it is not known.
        preprocessing: The normalisation that they were trained with; ImageNet's if it is not known.
    """

    encoder: Encoder
    weights: str
    sha256: str
    licence: str
    preprocessing: Preprocessing


def encoder_and_weights(name: str, architecture: str | None = None) -> tuple[str, str]:
    """The encoder that a name of weights is about, and the name of the weights as in `initialize.encoder`.

    An encoder whose weights an installed package has means that package, as `initialize.encoder=default` does.

    Args:
        name: A name of timm with its tag or without, of a registered encoder, of a package or of the Hugging Face hub;
            or the path of a weights file.
        architecture: The encoder that a file, or a model of the hub, is of.

    Raises:
        CheckpointError: K405, the package is not installed.
        RecipeError: R203, it does not say which encoder a file is of.
    """
    if name in PACKAGES:
        weights_path(name)  # its error says how to install the package
        return PACKAGES[name].encoder, name
    path = None if name in ENCODERS.all() else weights_path(name)
    if path is not None:
        return architecture or _require_architecture(name), str(path.expanduser().absolute())
    if "/" in name and name not in ENCODERS.all():
        return architecture or (_on_the_hub(name) if is_published(name) else _require_architecture(name)), name
    encoder, _, tag = name.partition(".")
    if not tag:
        for package, content in PACKAGES.items():
            if content.encoder == encoder and package_file(package) is not None:
                return encoder, package
    return encoder, name if tag else DEFAULT


def is_published(name: str) -> bool:
    """Whether a name with a slash is a registered encoder's, or that of one of the hub which is known by its name."""
    return name in ENCODERS.all() or _on_the_hub(name) in VARIANTS


def _on_the_hub(name: str) -> str:
    """The encoder of a model of the hub: `nvidia/mit-b0` is `mit_b0`."""
    return name.rpartition("/")[2].replace("-", "_")


def load_encoder(name: str, architecture: str | None = None) -> PretrainedEncoder:
    """Build the encoder of RGB images that a name is about, with its weights.

    torch's random state is left unchanged.

    Args:
        name: As for `encoder_and_weights`.
        architecture: As there.

    Raises:
        CheckpointError: As `encoder_and_weights` and `initialize`.
        RecipeError: As `encoder_and_weights`; R207, there is no such encoder; the nearest names are suggested.
    """
    called, weights = encoder_and_weights(name, architecture)
    with torch.random.fork_rng([]):
        encoder = build_encoder(called)
        path = weights_path(weights)
        digest = fill_encoder(encoder, Initialize(encoder=weights))
    found = normalisation_of_encoder(weights, called)
    licence = PACKAGES[weights].licence if weights in PACKAGES else "unknown"
    if path is None and "/" not in weights:
        weights = timm_tag(weights, encoder)
        licence = _licence_by_timm(weights)
    preprocessing = IMAGENET if found is None else found.preprocessing
    return PretrainedEncoder(encoder.eval(), weights, digest, licence, preprocessing)


def _licence_by_timm(tag: str) -> str:
    import timm

    cfg = timm.get_pretrained_cfg(tag)
    return (cfg.license if cfg is not None else None) or "unknown"


def _require_architecture(name: str) -> str:
    raise RecipeError(
        "R203",
        f"distillation.teacher {printable(Path(name))} holds weights, but distillation.teacher_encoder does not say of "
        "which encoder",
        "add distillation.teacher_encoder=NAME, for example tf_efficientnet_lite0",
    )
