"""Writes a complete run folder in half a second: four small scored images and an invented log."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from evaluation.color_model import GreyModel, write_dataset

from pixelwise.datasets.samples import Dataset
from pixelwise.evaluation.assembling import Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.gallery import save_samples
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.models import SegmentationModel
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.details import THUMBNAILS, save_details
from pixelwise.records.result import Result, save_result
from pixelwise.records.suspects import Suspect, save_suspects

EVIL = '<img src=x onerror="document.title=1">&amp;</script>'
"""A file name that tries to inject markup into the page."""


SUSPECTS = [
    Suspect(
        image="night/c",
        labelled="grass",
        predicted="pond",
        pixels=120,
        confidence=0.97,
        x=16,
        y=12,
        width=16,
        height=12,
        image_width=64,
        image_height=48,
    )
]
"""What an invented network, surer than the one that was scored, would suspect."""


def blocks(seed: int, wrong_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(predicted, true) ids of a 48x64 scene whose upper rows are predicted wrongly."""
    generator = np.random.default_rng(seed)
    truth = np.kron(generator.integers(0, 4, (3, 4)), np.ones((16, 16))).astype(np.uint8)
    predicted = truth.copy()
    predicted[:wrong_rows] = (predicted[:wrong_rows] + 1) % 4
    truth[-6:, -20:] = 255
    return predicted, truth


def write_run_folder(
    run: Path,
    *,
    base: str = "enet-camvid",
    overrides: tuple[str, ...] = (),
    names: tuple[str, ...] = ("day/a", "day/b", "night/c", EVIL.replace("/", "_")),
    steps: int = 60,
    changes: dict[str, Any] | None = None,
) -> Result:
    """Fill `run` with everything a finished run has except checkpoints.

    Args:
        run: Folder to create.
        base: Name of the recipe.
        overrides: Changes to the recipe.
        names: Ids of the images.
        steps: Number of training steps in the log.
        changes: Fields of the result to replace.
    """
    run.mkdir(parents=True)
    resolved = apply_overrides(recipe(base), overrides)
    (run / "recipe.toml").write_text(to_toml(resolved))
    pairs = [blocks(seed, wrong_rows=10 * seed) for seed in range(len(names))]
    files = [f"image-{number}" for number in range(len(names))]
    dataset = write_dataset(run.parent / f"{run.name}-data", pairs, names=files, split="test")
    renamed = [
        msgspec.structs.replace(sample, id=name) for sample, name in zip(dataset.splits["test"], names, strict=True)
    ]
    dataset.splits["test"] = tuple(renamed)
    result = score_into(run, dataset, resolved, changes or {})
    environment = {
        "command": f"pixelwise train {base} --data town --output {run.name}",
        "machine": msgspec.to_builtins(machine_facts()),
        "versions": version_facts(),
    }
    data = {
        "dataset": "folder",
        "images": {"train": 1367, "test": len(names)},
        "fingerprint": "3c" * 32,
        "findings": [{"code": "W210", "severity": "warning", "message": "class hut is rare", "fix": "add images"}],
    }
    (run / "environment.json").write_text(json.dumps(environment))
    (run / "data.json").write_text(json.dumps(data))
    (run / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in _log(steps)))
    return result


def score_into(
    run: Path,
    dataset: Dataset,
    resolved: Recipe,
    changes: dict[str, Any],
    model: SegmentationModel | None = None,
    **options: Any,
) -> Result:
    """Score a model on the split `test` of a data set, as the headline evaluation of a run.

    Args:
        run: Run folder.
        dataset: Data set.
        resolved: Recipe of the run.
        changes: Fields of the result to replace.
        model: The model; None for a `GreyModel`.
        options: Further options of `evaluate_model`.
    """
    model = model or GreyModel()
    with Thumbnails() as thumbnails:
        measurement = evaluate_model(model, dataset, "test", PROTOCOLS["native"], thumbnails=thumbnails, **options)
        thumbnails.save(run / "evaluations" / f"test-{resolved.evaluation.protocols[0]}" / THUMBNAILS)
    protocol = resolved.evaluation.protocols[0]
    provenance = Provenance(
        recipe=resolved.name,
        recipe_hash=resolved.hash(),
        weights_sha256="9f" * 32,
        weights="model",
        step=60,
        data_fingerprint="5d" * 32,
        command=f"pixelwise evaluate {run.name} --split test --protocol {protocol}",
    )
    result = msgspec.structs.replace(make_result(measurement, provenance), **{"protocol": protocol, **changes})
    folder = run / "evaluations" / f"test-{protocol}"
    gallery = save_samples(model, dataset, measurement, folder / "samples")
    save_details(measurement.details, folder)
    save_suspects(gallery.suspects or (SUSPECTS if isinstance(model, GreyModel) else []), folder)
    save_result(result, measurement.per_image, folder)
    return result


def _log(steps: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        loss = 2 * math.exp(-step / 20) + 0.1
        records.append({"kind": "step", "step": step, "epoch": (step - 1) // 10 + 1, "loss": loss, "lr": 1e-3})
        if step % 20 == 0:
            miou = 0.6 - 0.3 / step
            iou = [miou + 0.1, miou - 0.1, None if step == 20 else 0.3, miou]
            records.append(
                {
                    "kind": "evaluation",
                    "step": step,
                    "split": "val",
                    "protocol": "native",
                    "miou": miou,
                    "per_class_iou": iou,
                }
            )
    records.append({"kind": "resume", "step": 30})
    records.append({"kind": "skipped", "step": 31, "reason": "loss nan"})
    records.append({"kind": "warning", "step": 32, "code": "W501", "message": "step 31 changed nothing"})
    return records
