"""The weights a network begins with: what `Recipe.initialize` names, downloaded once and checked ever after."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.mit import VARIANTS
from pixelwise.backbones.vit import ViTEncoder, pretrained_state
from pixelwise.checkpoints.importers.sources.segformer import encoder_conversion
from pixelwise.checkpoints.importers.state_files import load_state_file
from pixelwise.checkpoints.importers.translating import as_convolution, translate
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel
from pixelwise.recipes.schema.recipe import Initialize
from pixelwise.storage import printable
from pixelwise.storage.cache_kinds import INITIAL_WEIGHTS
from pixelwise.storage.caches import entry_path, recall, remember

COUNTER = "num_batches_tracked"


def initialize(model: SegmentationModel, description: Initialize) -> str | None:
    """Load the encoder's pretrained weights into `model`, as far as the recipe names any.

    Where the images have other channels than RGB, the first convolution's weights are spread over them: see
    `for_channels`.

    They come through timm or the Hugging Face hub, which keep what they downloaded. torch's random state
    is left as it was, so what is drawn afterwards does not depend on it.

    Args:
        model: Freshly built; only its encoder changes.
        description: The recipe's `initialize`.

    Returns:
        SHA-256 of the published tensors (names and values), also of those that the encoder has no place for;
        None when the weights stay random.

    Raises:
        CheckpointError: K440 they cannot be fetched, K441 they do not fit the encoder, K442 they are not
            what they were the first time.
    """
    name = description.encoder
    if name == "none":
        return None
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, Encoder):
        raise _do_not_fit(f"'{name}'", f"{type(model).__name__} has no encoder that is pretrained by itself")
    with torch.random.fork_rng(devices=[]):
        if "/" in name:
            source, theirs = name, _from_hub(name, encoder)
        else:
            source = _timm_tag(name, encoder)
            theirs = _from_timm(name, source, encoder)
    digest = _sha256(theirs)
    _compare_with_first_download(source, digest)
    _load(encoder, theirs, _both(name, source))
    return digest


def _timm_tag(name: str, encoder: Encoder) -> str:
    """The full name of weights of timm, be it asked for by `default`, by the network's name or by itself."""
    import timm

    architecture = encoder.timm_name or encoder.name
    tag = architecture if name == "default" else name
    if not timm.is_model(tag.partition(".")[0]) or not timm.is_model_pretrained(tag):
        known = ", ".join(timm.list_pretrained(f"{architecture}.*")[:5]) or "none of this encoder"
        raise _do_not_fit(f"'{name}'", f"timm {timm.__version__} has no such weights; it has {known}")
    cfg = timm.get_pretrained_cfg(tag)
    return f"{tag}.{cfg.tag}" if "." not in tag and cfg is not None and cfg.tag else tag


def _from_timm(name: str, tag: str, encoder: Encoder) -> dict[str, Tensor]:
    """Tensors of timm by the keys of timm's encoder."""
    import timm

    try:
        if isinstance(encoder, ViTEncoder):
            return pretrained_state(tag)
        return timm.create_model(tag, pretrained=True, features_only=True).state_dict()
    except Exception as error:  # the hub's client raises whatever its transport raises
        raise _cannot_fetch(_both(name, tag), error) from error


def _from_hub(name: str, encoder: Encoder) -> dict[str, Tensor]:
    """Tensors of a SegFormer encoder on the Hugging Face hub, by the encoder's keys."""
    import huggingface_hub

    if encoder.name not in VARIANTS:
        raise _do_not_fit(f"'{name}'", "only the encoders mit_b0 .. mit_b5 are read from the hub directly")
    path: str | None = None
    failure: Exception | None = None
    for file in ("model.safetensors", "pytorch_model.bin"):
        try:
            path = huggingface_hub.hf_hub_download(name, file)
            break
        except Exception as error:  # as above
            failure = error
    if path is None:
        raise _cannot_fetch(f"'{name}'", failure)
    translated = translate(load_state_file(Path(path)), encoder_conversion())
    return {
        key.removeprefix("encoder."): value for key, value in translated.items() if key.startswith("encoder.stages.")
    }


def _load(encoder: Encoder, theirs: Mapping[str, Tensor], name: str) -> None:
    """Load what the encoder has a place for; what it names `untrained` stays as it is.

    Args:
        encoder: Where to.
        theirs: Tensors by the keys of the encoder, or by those of its `network` if it is a shell around one.
        name: Of the weights, for the error, quoted.
    """
    own = encoder.state_dict()
    pretrained = [key for key in own if not key.startswith(encoder.untrained) and not key.endswith(COUNTER)]
    prefix = "network." if hasattr(encoder, "network") else ""
    theirs = {
        key: for_channels(as_convolution(value, own[key]), own[key])
        for key, value in ((f"{prefix}{key}", value) for key, value in theirs.items())
        if key in own
    }
    missing = [key for key in pretrained if key not in theirs]
    differing = [key for key in pretrained if key in theirs and theirs[key].shape != own[key].shape]
    if missing or differing:
        example = (differing or missing)[0]
        raise _do_not_fit(
            name,
            f"{len(missing)} of the encoder's {len(pretrained)} pretrained tensors are not among them and "
            f"{len(differing)} have another shape, for example {example}",
        )
    encoder.load_state_dict({**own, **theirs})


def for_channels(theirs: Tensor, ours: Tensor) -> Tensor:
    """Weights of a first convolution over RGB for images of C other channels, as timm's `adapt_input_conv` does it.

    One channel gets the sum of the three, so a grey image answers as the same image in RGB. Of more channels the
    first is taken for red, the next for green, blue, red again and so on, times 3 / C, so that an image with the
    same value in all of them answers as a grey one in RGB. So with near infrared after red, green and blue it begins
    with the weights of red.

    Args:
        theirs: (O, 3, h, w), or any other weights, which stay as they are.
        ours: What the network has in its place, (O, C, h, w).

    Returns:
        (O, C, h, w) where that is what differs, else `theirs`.
    """
    if ours.ndim != 4 or theirs.shape == ours.shape or tuple(theirs.shape) != (len(ours), 3, *ours.shape[2:]):
        return theirs
    channels = ours.shape[1]
    if channels == 1:
        return theirs.sum(dim=1, keepdim=True)
    return theirs[:, torch.arange(channels) % 3] * (3 / channels)


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return digest.hexdigest()


def _compare_with_first_download(name: str, digest: str) -> None:
    """No publisher states a hash of these tensors, so the first download is what later ones are held against."""
    known = recall(INITIAL_WEIGHTS, "", dict[str, Any]) or {}
    first = known.get(name)
    if first is None:
        remember(INITIAL_WEIGHTS, "", {**known, name: digest})
    elif first != digest:
        raise CheckpointError(
            "K442",
            f"the initial weights '{name}' have SHA-256 {digest[:12]}..., the first time they had {first[:12]}...",
            f"somebody changed them; if that is right, remove '{name}' from {printable(entry_path(INITIAL_WEIGHTS))}",
        )


def _both(name: str, tag: str) -> str:
    """The name in the recipe, quoted, and the weights that it stands for."""
    return f"'{name}'" if name == tag else f"'{name}' ({tag})"


def _cannot_fetch(weights: str, error: Exception | None) -> CheckpointError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return CheckpointError(
        "K440",
        f"the initial weights {weights} cannot be fetched: {reason}",
        "go online once (they are kept), or begin with random weights: --weights none",
    )


def _do_not_fit(weights: str, reason: str) -> CheckpointError:
    return CheckpointError(
        "K441",
        f"the initial weights {weights} do not fit the encoder: {reason}",
        "name others with --weights (timm's name with its tag, or default), or begin with random ones: --weights none",
    )
