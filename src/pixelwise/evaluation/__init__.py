"""Model + data set + protocol -> result."""

from pixelwise.evaluation.evaluate import evaluate_model, evaluate_protocols
from pixelwise.evaluation.files import FileScores, score_files
from pixelwise.evaluation.machine import Machine, machine_facts, version_facts
from pixelwise.evaluation.measurement import ImageScore, Measurement
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
    "FileScores",
    "ImageScore",
    "Machine",
    "Measurement",
    "Provenance",
    "Result",
    "evaluate_model",
    "evaluate_protocols",
    "load_per_image",
    "load_result",
    "machine_facts",
    "make_result",
    "save_result",
    "save_samples",
    "score_files",
    "version_facts",
]
