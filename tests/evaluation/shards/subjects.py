"""Subjects whose scores are known, and what an evaluation of them leaves, without times and memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from evaluation.color_model import GreyModel, write_dataset

from pixelwise.datasets.samples import Dataset
from pixelwise.evaluation.assembling import Origin
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.shards.jobs import job_of
from pixelwise.evaluation.shards.receipts import Receipts
from pixelwise.evaluation.shards.units import divide
from pixelwise.evaluation.shards.work import Job, Scorer
from pixelwise.evaluation.subject import Subject
from pixelwise.recipes.protocols import PROTOCOLS

ORIGIN = Origin(recipe="r", recipe_hash="h", weights_sha256="w", weights="model", step=0)
Pairs = Sequence[tuple[np.ndarray, np.ndarray]]


def random_pairs(number: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Predicted and true classes of images of two sizes."""
    random = np.random.default_rng(seed)
    found = []
    for index in range(number):
        shape = (12, 16) if index % 5 < 3 else (16, 12)
        truth = np.kron(random.integers(0, 4, (4, 4)), np.ones((shape[0] // 4, shape[1] // 4))).astype(np.uint8)
        predicted = np.where(random.random(shape) < 0.2, random.integers(0, 4, shape), truth).astype(np.uint8)
        truth[random.random(shape) < 0.1] = 255
        found.append((predicted, truth))
    return found


def subject_of(dataset: Dataset, run: Path, **changes: Any) -> Subject:
    """A network that tells classes by their grey value, on a data set."""
    known: dict[str, Any] = {"protocols": (PROTOCOLS["native"],), "batch_size": 2, "pictures": True}
    return Subject(model=GreyModel(), origin=ORIGIN, dataset=dataset, split="val", folder=run, **{**known, **changes})


def grey_subject(root: Path, pairs: Pairs, run: str = "run") -> Subject:
    """The subject of a new data set."""
    return subject_of(write_dataset(root / "data", pairs), root / run)


def opened(subject: Subject, output: Path, **changes: Any) -> tuple[Job, Scorer, Receipts, list[Any]]:
    """What a worker has: job, scorer, receipts and units."""
    options = EvaluateOptions(output=output, **changes)
    job = Job(job_of(subject, options), lambda: subject, options, output)
    scorer = Scorer(subject, options)
    return job, scorer, Receipts(output, job.name), divide(scorer.samples, subject.batch_size)


def left_in(folder: Path) -> dict[str, bytes]:
    """The files of an evaluation, without its table of counts, and its result without times, memory and machine."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".parquet":
            content = path.read_bytes()
            if path.name == "result.json":
                plain = json.loads(content)
                for name in ("seconds", "images_per_second", "peak_memory_bytes"):
                    del plain[name]
                content = json.dumps(plain, indent=1).encode()
            found[path.relative_to(folder).as_posix()] = content
    return found
