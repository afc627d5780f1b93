"""What the counts of an evaluation depend on, beside the images: receipts of anything else are never mixed in."""

from __future__ import annotations

import contextlib
import inspect
from pathlib import Path

import msgspec

from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.subject import Subject, measured_metrics
from pixelwise.machine.facts import version_facts
from pixelwise.metrics import METRICS
from pixelwise.prediction.receipts.jobs import network_of, weights_of
from pixelwise.storage import sha256_bytes, sha256_file


def job_of(subject: Subject, options: EvaluateOptions) -> str:
    """The name of an evaluation: equal for two that count the same in the same images.

    Devices and numbers of threads are left out, although their rounding can change single pixels: an evaluation that
    was begun on one machine goes on on another. The images are in the names of the units.

    Args:
        subject: The network, the data and the protocols.
        options: Options of the evaluation.

    Returns:
        32 hexadecimal digits.
    """
    metrics = measured_metrics(options, subject.model)
    facts = {
        "version": version_facts()["pixelwise"],
        "weights": weights_of(subject.model),
        "network": network_of(subject.model),
        "data": (subject.dataset.name, subject.dataset.classes, subject.dataset.label_table, subject.dataset.reading),
        "split": subject.split,
        "images": len(subject.dataset.samples(subject.split)),
        "protocols": subject.protocols,
        "size": (subject.input_size, subject.batch_size, subject.precision),
        "metrics": [(name, _code(name)) for name in metrics],
        "group": options.group,
        "pictures": (subject.pictures, subject.folder is not None),
    }
    return sha256_bytes(msgspec.json.encode(facts, enc_hook=repr))[:32]


def _code(metric: str) -> str:
    """Hash of the file that defines a metric of another package, whose code may change; empty for a built-in one."""
    if metric in METRICS.own():
        return ""
    with contextlib.suppress(OSError, TypeError):  # it was defined in a session that has no files
        return sha256_file(Path(inspect.getfile(METRICS.find(metric).accumulator)))
    return ""
