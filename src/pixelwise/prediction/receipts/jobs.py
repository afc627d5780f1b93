"""What the files of a prediction depend on, beside the images: the network, its weights, and how it is applied."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pixelwise.machine.facts import version_facts
from pixelwise.prediction.engine.engine import VERSION as ENGINE
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.runtimes.opened import Artefact
from pixelwise.storage import sha256_bytes, sha256_file

if TYPE_CHECKING:
    from torch import nn

    from pixelwise.models import SegmentationModel

_OWN = "pixelwise"
_NOT_IN_FILES = {
    "strict": False,
    "device": "",
    "shard": None,
    "again": False,
    "trust": False,
    "overrides": (),
    "tars": False,
    "engine": "here",
    "workers": None,
    "gpus_per_worker": 0.0,
    "address": None,
}
"""Options that change nothing in a file that is written, or whose effect the segmenter shows."""


def job_of(segmenter: Segmenter, options: PredictOptions) -> str:
    """The name of a job: equal for two predictions of the same image only if they write the same files.

    Devices and numbers of threads are left out, although their rounding can change single pixels: a prediction that was
    begun on one machine goes on on another.

    Args:
        segmenter: The segmenter that predicts, with its options applied.
        options: Options of the prediction.

    Returns:
        32 hexadecimal digits.
    """
    facts = {
        "version": version_facts()[_OWN],
        "engine": ENGINE,
        "weights": weights_of(segmenter.model),
        "network": network_of(segmenter.model),
        "classes": segmenter.classes,
        "palette": segmenter.palette,
        "labels": segmenter.label_table,
        "reading": segmenter.reading,
        "protocol": segmenter.protocol,
        "sizes": (
            segmenter.input_size,
            segmenter.exact,
            segmenter.whole_pixels,
            segmenter.large_window,
            segmenter.training_scale,
            segmenter.scale,
        ),
        "options": msgspec.structs.replace(options, **_NOT_IN_FILES),
    }
    return sha256_bytes(msgspec.json.encode(facts, enc_hook=repr))[:32]


def weights_of(model: SegmentationModel) -> str:
    """SHA-256 of the values of a network, or of the files of an artefact."""
    if isinstance(model, Artefact):
        return model.sidecar.files_sha256
    import torch

    digest = hashlib.sha256()
    for name, values in sorted(model.state_dict().items()):
        if not isinstance(values, torch.Tensor):  # the extra state of a module of another package
            digest.update(f"{name} {values!r}\n".encode())
            continue
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def network_of(model: SegmentationModel) -> tuple[object, ...]:
    """What a network computes with its values: its description, and the code of what is not Pixelwise's own."""
    artefact = isinstance(model, Artefact)
    described: Any = model.sidecar if artefact else model.spec
    return described, model.multilabel, model.align_corners, () if artefact else _foreign_code(model)


def _foreign_code(model: nn.Module) -> tuple[str, ...]:
    """Hashes of the files that define modules of other packages and of scripts: their code may change."""
    files = set()
    for kind in {type(module) for module in model.modules()}:
        package = kind.__module__.partition(".")[0]
        if package in (_OWN, "torch", "timm"):
            continue
        with contextlib.suppress(OSError, TypeError):  # it was defined in a session that has no files
            files.add(Path(inspect.getfile(kind)))
    return tuple(sorted(sha256_file(file) for file in files if file.is_file()))
