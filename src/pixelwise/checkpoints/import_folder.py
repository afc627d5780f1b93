"""Conversion of another system's weights file to a folder in Pixelwise's format, with its provenance."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.checkpoints.files.reading import WeightsFile, read_weights
from pixelwise.checkpoints.importers.importing import ImportReport, import_weights
from pixelwise.checkpoints.options import ImportOptions
from pixelwise.errors import RecipeError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.options import chosen
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import CHECKPOINTS, PROVENANCE, is_run, write_recipe
from pixelwise.storage import json_text, printable, sha256_file, write_text
from pixelwise.storage.atomic import filling_folder
from pixelwise.storage.documents import read_json
from pixelwise.storage.locks import writing_alone


class _Provenance(msgspec.Struct):
    licence: str


def licence_of_weights(run: Path) -> str:
    """Licence of the weights of a run: that on record if they were imported, else `unknown`: their owner decides.

    Args:
        run: A run folder or a folder of imported weights.
    """
    imported = run / PROVENANCE
    return read_json(imported, _Provenance).licence if imported.is_file() else "unknown"


def import_weights_file(
    file: str | os.PathLike[str],
    recipe: str | os.PathLike[str] | Recipe,
    output: str | os.PathLike[str],
    options: ImportOptions | None = None,
    *,
    overrides: Sequence[str] = (),
    **changes: Any,
) -> ImportReport:
    """Convert another system's weights file to a folder that `load`, `predict` and `evaluate` accept like a run.

    The folder holds `recipe.toml`, one checkpoint of step 0 and `provenance.json`: name, size and SHA-256 of what was
    read, the source, the licence and the fate of every tensor.

    Args:
        file: The weights file, recognised by its content (safetensors, torch.save, TorchScript, numpy, also within an
            archive), a folder with one, or weights in several parts: see `read_weights`. Nothing in it is run.
        recipe: The recipe whose network the weights belong to, its name, or a `.toml` file.
        output: Folder to create.
        options: Which system wrote the file, and the licence of the weights.
        overrides: `section.field=value` changes to the recipe.
        **changes: Single options by keyword, such as `source="torchvision"`.

    Returns:
        Report of which tensors were loaded, dropped or missing.

    Raises:
        CheckpointError: As `import_weights` and `read_weights`.
        RecipeError: R213, `output` already holds a run or weights.
        RunLockedError: L701, another process writes to `output`.
    """
    options = chosen(ImportOptions, options, changes)
    source, licence = options.source, options.licence
    path, folder = Path(file), Path(output)
    _refuse_occupied(folder)
    resolved = apply_overrides(recipe if isinstance(recipe, Recipe) else find_recipe(recipe), overrides)
    found = read_weights(path)
    model = build_model(resolved)
    report = import_weights(model, found.content, source)
    report = msgspec.structs.replace(report, notes=(*found.notes, *report.notes))
    if licence is None:
        licence = resolved.published.weights_licence if resolved.published else "unknown"
    provenance: dict[str, Any] = {
        **_identity(path, found),
        "source": source,
        "recipe": resolved.name,
        "licence": licence,
        "report": msgspec.to_builtins(report),
    }
    with writing_alone(folder):
        _refuse_occupied(folder)
        with filling_folder(folder) as unfinished:
            _write(unfinished, resolved, model, provenance)
    return report


def _refuse_occupied(folder: Path) -> None:
    if is_run(folder) or any((folder / name).exists() for name in (CHECKPOINTS, PROVENANCE)):
        raise RecipeError("R213", f"{printable(folder)} already holds a run or weights", "choose another `output`")


def _write(folder: Path, recipe: Recipe, model: SegmentationModel, provenance: Mapping[str, Any]) -> None:
    about = {
        "recipe": recipe.name,
        "classes": list(model.classes),
        "imported_from": provenance["source"],
        "licence": provenance["licence"],
    }
    save_checkpoint(
        folder / CHECKPOINTS,
        step=0,
        tensors={"model": model.state_dict()},
        state={"imported": provenance},
        miou=None,
        metadata=about,
    )
    write_text(folder / PROVENANCE, json_text(provenance))
    write_recipe(folder, recipe)  # last: its presence marks the folder as complete


def _identity(path: Path, found: WeightsFile) -> dict[str, Any]:
    """Name, size and SHA-256 of the weights file; of weights in parts, those of each part too."""
    if len(found.files) == 1:
        (file,) = found.files
        return {"file": file.name, "bytes": file.stat().st_size, "sha256": sha256_file(file)}
    parts = [{"file": part.name, "bytes": part.stat().st_size, "sha256": sha256_file(part)} for part in found.files]
    size = sum(part.stat().st_size for part in found.files)
    return {"file": path.name, "bytes": size, "sha256": found.sha256, "parts": parts}
