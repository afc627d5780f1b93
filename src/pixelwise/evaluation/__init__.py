"""Model + data set + protocol -> result."""

from pixelwise.evaluation.evaluate import ImageScore, Measurement, evaluate_model
from pixelwise.evaluation.machine import Machine, machine_facts, version_facts
from pixelwise.evaluation.result import (
    ClassResult,
    Provenance,
    Result,
    load_per_image,
    load_result,
    make_result,
    save_result,
)
from pixelwise.evaluation.samples import save_samples

__all__ = [
    "ClassResult",
    "ImageScore",
    "Machine",
    "Measurement",
    "Provenance",
    "Result",
    "evaluate_model",
    "load_per_image",
    "load_result",
    "machine_facts",
    "make_result",
    "save_result",
    "save_samples",
    "version_facts",
]
