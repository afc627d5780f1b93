"""Pretrained encoder weights (`Recipe.initialize`): from timm, the Hugging Face hub or a file.

Downloads are compared on every use with the first one, files with the hash in the recipe.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.mit import VARIANTS
from pixelwise.backbones.vit import ViTEncoder, pretrained_state
from pixelwise.checkpoints.encoders.fitting import NoFit, fit, for_channels
from pixelwise.checkpoints.encoders.paths import read_encoder_file, require_same, weights_path
from pixelwise.checkpoints.files.reading import read_weights
from pixelwise.checkpoints.files.wrappers import find_weights
from pixelwise.checkpoints.importers.sources.segformer import encoder_conversion
from pixelwise.checkpoints.importers.translating import as_convolution, translate
from pixelwise.checkpoints.soundness import require_sound, warn_of
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel
from pixelwise.observer import Warn
from pixelwise.recipes.schema.recipe import Initialize
from pixelwise.storage import printable
from pixelwise.storage.cache_kinds import INITIAL_WEIGHTS
from pixelwise.storage.caches import entry_path, recall, remember

COUNTER = "num_batches_tracked"


Say = Callable[[str], None]


def initialize(
    model: SegmentationModel, description: Initialize, *, say: Say | None = None, warn: Warn | None = None
) -> str | None:
    """Load pretrained weights into the encoder of `model` if the recipe names any.

    If the images have other channels than RGB, the weights of the first convolution are adapted: see
    `for_channels`.

    The weights are downloaded by timm or from the Hugging Face hub, both of which cache them. torch's random state
    is left unchanged, so later random draws do not depend on the weights.

    Args:
        model: Freshly built model; only its encoder changes.
        description: The recipe's `initialize`.
        say: Receives what was found in a file.
        warn: Receives a W480 for implausible values.

    Returns:
        SHA-256 of the published tensors (names and values), including those that the encoder does not use, or of the
        file; None if the weights stay random.

    Raises:
        CheckpointError: K440 the weights cannot be downloaded, K441 they do not fit the encoder, K442 they
            differ from those of the first download; K480 or K481 their values are impossible; K486 the file is not the
            one of the recipe; also the errors of `read_weights`.
    """
    name = description.encoder
    if name == "none":
        return None
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, Encoder):
        raise _do_not_fit(f"'{name}'", f"{type(model).__name__} has no encoder with pretrained weights of its own")
    return fill_encoder(encoder, description, say=say, warn=warn)


def fill_encoder(encoder: Encoder, description: Initialize, *, say: Say | None = None, warn: Warn | None = None) -> str:
    """Load the pretrained weights that a section names, and that are not `none`, into an encoder.

    Args:
        encoder: Freshly built encoder.
        description: A section `initialize`.
        say: Receives what was found in a file.
        warn: Receives a W480 for implausible values.

    Returns:
        As `initialize`.

    Raises:
        CheckpointError: As `initialize`.
    """
    name = description.encoder
    path = weights_path(name)
    if path is not None:
        return _from_file(path, description, encoder, say, warn)
    with torch.random.fork_rng(devices=[]):
        if "/" in name:
            source, theirs = name, _from_hub(name, encoder)
        else:
            source = timm_tag(name, encoder)
            theirs = _from_timm(name, source, encoder)
    digest = _sha256(theirs)
    _compare_with_first_download(source, digest)
    _load(encoder, theirs, _both(name, source), warn)
    return digest


def _from_file(path: Path, description: Initialize, encoder: Encoder, say: Say | None, warn: Warn | None) -> str:
    """Load the encoder's tensors out of a file; returns the SHA-256 of the file."""
    read = read_encoder_file(path)
    require_same(description, read)
    found = find_weights(read.content)
    try:
        fitting = fit(encoder, found.tensors)
    except NoFit as error:
        raise CheckpointError(
            "K441",
            f"the weights in the file {printable(path)} do not fit the encoder {encoder.name}: {error}",
            "give weights of that encoder, or choose the encoder that the file belongs to with model.encoder",
        ) from error
    where = printable(path)
    warn_of(require_sound(fitting.tensors, where), where, warn)
    encoder.load_state_dict({**encoder.state_dict(), **fitting.tensors})
    if say is not None:
        for note in (*read.notes, *found.notes, *fitting.notes):
            say(f"{where}: {note}")
    return read.sha256


def timm_tag(name: str, encoder: Encoder) -> str:
    """Full timm name (`architecture.tag`) of weights given as `default`, as an architecture or in full.

    Raises:
        CheckpointError: K441, timm has no such weights.
    """
    import timm

    architecture = encoder.timm_name or encoder.name
    tag = architecture if name == "default" else name
    if not timm.is_model(tag.partition(".")[0]) or not timm.is_model_pretrained(tag):
        known = ", ".join(timm.list_pretrained(f"{architecture}.*")[:5]) or "none of this encoder"
        raise _do_not_fit(f"'{name}'", f"timm {timm.__version__} has no such weights; it has {known}")
    cfg = timm.get_pretrained_cfg(tag)
    return f"{tag}.{cfg.tag}" if "." not in tag and cfg is not None and cfg.tag else tag


def _from_timm(name: str, tag: str, encoder: Encoder) -> dict[str, Tensor]:
    """Pretrained tensors from timm, by the keys of timm's encoder."""
    import timm

    try:
        if isinstance(encoder, ViTEncoder):
            return pretrained_state(tag)
        return timm.create_model(tag, pretrained=True, features_only=True).state_dict()
    except Exception as error:  # the hub's client passes on whatever its transport raises
        raise _cannot_fetch(_both(name, tag), error) from error


def _from_hub(name: str, encoder: Encoder) -> dict[str, Tensor]:
    """Tensors of a SegFormer encoder on the Hugging Face hub, by the encoder's keys."""
    import huggingface_hub

    if encoder.name not in VARIANTS:
        raise _do_not_fit(f"'{name}'", "only weights of the encoders mit_b0 .. mit_b5 are read from the hub directly")
    path: str | None = None
    failure: Exception | None = None
    for file in ("model.safetensors", "pytorch_model.bin"):
        try:
            path = huggingface_hub.hf_hub_download(name, file)
            break
        except Exception as error:  # as in `_from_timm`
            failure = error
    if path is None:
        raise _cannot_fetch(f"'{name}'", failure)
    translated = translate(find_weights(read_weights(Path(path)).content).tensors, encoder_conversion())
    return {
        key.removeprefix("encoder."): value for key, value in translated.items() if key.startswith("encoder.stages.")
    }


def _load(encoder: Encoder, theirs: Mapping[str, Tensor], name: str, warn: Warn | None) -> None:
    """Load the tensors that the encoder has; those that it lists in `untrained` keep their values.

    Args:
        encoder: Encoder to fill.
        theirs: Tensors by the keys of the encoder, or by those of its `network` if it wraps one.
        name: Quoted name of the weights, for the error.
        warn: Receives a W480 for implausible values.
    """
    own = encoder.state_dict()
    pretrained = [key for key in own if not key.startswith(encoder.untrained) and not key.endswith(COUNTER)]
    prefix = "network." if hasattr(encoder, "network") else ""
    theirs = {
        key: encoder.adapted(key, for_channels(as_convolution(value, own[key]), own[key]))
        for key, value in ((f"{prefix}{key}", value) for key, value in theirs.items())
        if key in own
    }
    missing = [key for key in pretrained if key not in theirs]
    differing = [key for key in pretrained if key in theirs and theirs[key].shape != own[key].shape]
    if missing or differing:
        example = (differing or missing)[0]
        raise _do_not_fit(
            name,
            f"of the encoder's {len(pretrained)} pretrained tensors they lack {len(missing)}, and "
            f"{len(differing)} have another shape, for example {example}",
        )
    where = f"the initial weights {name}"
    warn_of(require_sound(theirs, where), where, warn)
    encoder.load_state_dict({**own, **theirs})


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return digest.hexdigest()


def _compare_with_first_download(name: str, digest: str) -> None:
    """Compare with the hash recorded at the first download, since no publisher states a hash of these tensors.

    Raises:
        CheckpointError: K442, the hashes differ.
    """
    known = recall(INITIAL_WEIGHTS, "", dict[str, Any]) or {}
    first = _recorded(name, known.get(name))
    if first is None:
        remember(INITIAL_WEIGHTS, "", {**known, name: f"{digest} {_check_digits(name, digest)}"})
    elif first != digest:
        raise CheckpointError(
            "K442",
            f"the initial weights '{name}' have SHA-256 {digest[:12]}..., at the first download it was {first[:12]}...",
            f"the published weights have changed; to accept the new ones, remove '{name}' from "
            f"{printable(entry_path(INITIAL_WEIGHTS))}",
        )


def _recorded(name: str, record: object) -> str | None:
    """The hash in a record; None if the record is missing or damaged. Earlier versions wrote no check digits."""
    digest, _, check = record.partition(" ") if isinstance(record, str) else ("", "", "")
    is_hash = re.fullmatch("[0-9a-f]{64}", digest) is not None
    return digest if is_hash and check in ("", _check_digits(name, digest)) else None


def _check_digits(name: str, digest: str) -> str:
    """Digits that tell a damaged record from weights that have changed."""
    return f"{zlib.crc32(f'{name} {digest}'.encode()):08x}"


def _both(name: str, tag: str) -> str:
    """The quoted name from the recipe and, if it differs, the full name of the weights."""
    return f"'{name}'" if name == tag else f"'{name}' ({tag})"


def _cannot_fetch(weights: str, error: Exception | None) -> CheckpointError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return CheckpointError(
        "K440",
        f"the initial weights {weights} cannot be downloaded: {reason}",
        "connect to the network once (downloads are cached), give a file as initialize.encoder=PATH, or start from "
        "random weights: initialize.encoder=none",
    )


def _do_not_fit(weights: str, reason: str) -> CheckpointError:
    return CheckpointError(
        "K441",
        f"the initial weights {weights} do not fit the encoder: {reason}",
        "set initialize.encoder to other weights (default, timm's name with its tag, or a file), or to none for random "
        "weights",
    )
