"""Export of a run or a recipe to a verified artefact with its description."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import torch

from pixelwise.deployment.export.images import images_for
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.deployment.export.shapes import graph_options
from pixelwise.deployment.export.sources import Source, open_source
from pixelwise.deployment.export.verification import (
    LEAST_EQUAL,
    LEAST_EQUAL_SIMULATED,
    Acceptance,
    differs,
    verify,
)
from pixelwise.deployment.export.writing import require_packages, write_artefact
from pixelwise.deployment.web.names import TARGET as WEB
from pixelwise.deployment.web.page import INDEX, refuse_occupied, refuse_unsuitable, write_page
from pixelwise.deployment.web.runtime import runtime_files
from pixelwise.errors import RecipeError
from pixelwise.machine.files import replace_file
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.quantization.aware import QuantizedModel
from pixelwise.observer import SILENT, Observer, Warn
from pixelwise.options import chosen
from pixelwise.prediction.rules import inference_of, scoring_of
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.records.run_folder import has_checkpoints, is_run
from pixelwise.runtimes.artefact import load_artefact
from pixelwise.runtimes.graphs import ExportedNetwork
from pixelwise.runtimes.reading import holds_artefact, sha256_of
from pixelwise.runtimes.sidecar import DESCRIPTION, Complexity, Sidecar, to_metadata, write_sidecar
from pixelwise.runtimes.targets import Target, find_target, package_of
from pixelwise.storage import printable, scratch_folder
from pixelwise.storage.locks import writing_alone


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact on disk.

    Attributes:
        path: The file that the runtime opens.
        sidecar: Content of `model.toml`, including the verification.
        page: The page that runs it in a browser; None unless it was exported to `web`.
    """

    path: Path
    sidecar: Sidecar
    page: Path | None = None


def export(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    target: str | None = None,
    options: ExportOptions | None = None,
    *,
    observer: Observer = SILENT,
    warn: Warn | None = None,
    **changes: Any,
) -> Exported:
    """Export a network as an artefact, verify it, and keep it if it agrees with PyTorch.

    Args:
        source: A run folder, a folder of imported weights, or with `weights="none"` a recipe.
        output: Folder for `model.onnx` (or the files of another format) and `model.toml`.
        target: Name of the format, or `web` for an ONNX artefact in a page that runs it in a browser; None: `target` of
            the options, by default `onnx`.
        options: Input and output formats of the artefact, and images to verify it on.
        observer: Receives progress and warnings.
        warn: Called with the code and the message of a warning, instead of `observer.warn`.
        changes: Fields of `ExportOptions` by name.

    Returns:
        The artefact.

    Raises:
        RecipeError: R240 a package is missing, R241 nothing to export, R242 impossible output stride, R243 `output`
            holds an artefact or a run, R244 the format lacks an option or cannot show this network,
            R250 no such format, R251 options contradict.
        CheckpointError: K461 an operator is not supported, K465 the artefact differs too much from PyTorch.
        DataError: The images to verify on cannot be read; D250 or D251, the runtime of a page cannot be had.
        RunLockedError: L701, another process writes to `output`.
    """
    if target is not None:
        changes["target"] = target
    options = chosen(ExportOptions, options, changes)
    options.refuse_two_sources("data", "split")
    kind = find_target(options.format)
    _refuse_lacking(kind, options)
    require_packages(kind)
    folder, warn = free_folder(output), warn or observer.warn
    runtime = _runtime_for(folder, options, observer)
    observer.phase("opening the network")
    found = open_source(os.fspath(source), options.weights, options.num_classes, warn)
    _refuse_network(kind, found, options)
    network = ExportedNetwork(found.model, graph_options(found, kind, options, warn)).eval()
    images = images_for(found, network.options, options, warn)
    with writing_alone(folder), scratch_folder(free_folder(folder)) as building:
        files = write_artefact(network, kind, building, observer)
        observer.phase("describing the artefact")
        sidecar = sealed(describe(network, found, kind), kind, files)
        write_sidecar(sidecar, building / DESCRIPTION)
        observer.phase(f"verifying {kind.name}")
        if refusal := kind.refusal():
            return _finished(files, folder, _unverified(sidecar, kind, refusal, warn), runtime)
        artefact = load_artefact(files[0], trust=True)  # it was written here, by this process
        verification = verify(network, artefact, images, _acceptance(options, sidecar), observer=observer)
        if not (verification.passed or options.force):
            raise differs(verification)
        return _finished(files, folder, msgspec.structs.replace(sidecar, verification=verification), runtime)


def _unverified(sidecar: Sidecar, target: Target, refusal: str, warn: Warn) -> Sidecar:
    """The description of an artefact that this machine cannot run, which says so."""
    warn(
        "W476",
        f"the artefact is not compared with PyTorch: {refusal}; export it on a machine that runs {target.label} to "
        "have it verified, or score it there (`pixelwise evaluate`)",
    )
    return msgspec.structs.replace(sidecar, unverified=refusal)


def _finished(files: list[Path], folder: Path, sidecar: Sidecar, runtime: dict[str, bytes]) -> Exported:
    """Complete an artefact, with its page if there is a runtime for one, and move it into its final folder."""
    building = files[0].parent
    write_sidecar(sidecar, building / DESCRIPTION)
    page = write_page(building, sidecar, runtime) if runtime else []
    keep([*files, *page], folder)
    return Exported(path=folder / files[0].name, sidecar=sidecar, page=folder / INDEX if runtime else None)


def _runtime_for(folder: Path, options: ExportOptions, observer: Observer) -> dict[str, bytes]:
    """The runtime of a page by names of its files, before anything that takes long; empty without a page."""
    options.refuse_runtime()
    if options.target != WEB:
        return {}
    refuse_occupied(folder)
    return runtime_files(options.runtime, observer=observer)


def free_folder(output: str | os.PathLike[str]) -> Path:
    """Check that a folder is free for a new artefact.

    Raises:
        RecipeError: R243, it already holds an artefact, or it is a run folder, which must stay one.
    """
    folder = Path(output)
    if is_run(folder) or has_checkpoints(folder):
        raise RecipeError(
            "R243", f"{printable(folder)} is a run folder", "choose another `output`; it may be a subfolder of the run"
        )
    if holds_artefact(folder):
        raise RecipeError("R243", f"{printable(folder)} already holds an artefact", "choose another `output`")
    return folder


def keep(files: list[Path], folder: Path) -> None:
    """Move the files of an artefact and its description into their final folder."""
    # The description comes last: its presence marks the artefact as complete.
    for file in (*files, files[0].with_name(DESCRIPTION)):
        replace_file(file, folder / file.name)


def _refuse_lacking(target: Target, options: ExportOptions) -> None:
    """Refuse options for which a format has no room."""
    asked = [name for name in ("uint8_input", "argmax") if getattr(options, name)]
    if asked and not target.byte_arrays:
        raise RecipeError(
            "R244",
            f"{target.name} has no arrays of bytes, and `{asked[0]}` is given",
            f"leave {' and '.join(f'`{name}`' for name in asked)} out: the artefact then takes normalised float32 "
            "images and returns float32 logits",
        )
    if options.dynamic and not target.any_size:
        raise RecipeError(
            "R244",
            f"{target.name} supports only artefacts of one image size, and `dynamic` is given",
            "leave `dynamic` out and give `size`",
        )


def _refuse_network(target: Target, source: Source, options: ExportOptions) -> None:
    if options.target == WEB:
        refuse_unsuitable(source.recipe, source.model)
    scheme = source.recipe.quantization
    if isinstance(source.model, QuantizedModel) and target.schemes is not None and scheme not in target.schemes:
        raise RecipeError(
            "R244",
            f"{target.name} does not support networks trained with quantization={scheme}",
            f"train with quantization={' or '.join(target.schemes)}, or export to another format, such as onnx",
        )


def _acceptance(options: ExportOptions, sidecar: Sidecar) -> Acceptance:
    usual = LEAST_EQUAL if sidecar.precision == "float32" else LEAST_EQUAL_SIMULATED
    return Acceptance(least_equal=usual if options.least_equal is None else options.least_equal)


def describe(network: ExportedNetwork, source: Source, target: Target, packages: tuple[str, ...] = ()) -> Sidecar:
    """The content of `model.toml`, without the files and the verification.

    Args:
        network: The network with its preprocessing and postprocessing.
        source: Origin of the network.
        target: Export target.
        packages: Packages to record besides those of the target.
    """
    size, recipe, graph = network.options.size, source.recipe, network.options
    quantized = isinstance(network.model, QuantizedModel)
    counted = complexity(_float_network(network.model) if quantized else network.model, *size)
    return Sidecar(
        runtime=target.name,
        plugin=package_of(target),
        precision="int8" if quantized else "float32",
        recipe_name=recipe.name,
        recipe_hash=source.recipe_hash,
        classes=network.model.classes,
        palette=source.palette,
        preprocessing=network.model.preprocessing,
        input=network.input_facts(),
        output=network.output_facts(),
        inference=inference_of(recipe, None if graph.dynamic else size, gives_scores=not graph.argmax),
        protocol=recipe.evaluation.protocols[0],
        scoring=scoring_of(recipe),
        complexity=Complexity(
            parameters=counted.parameters - counted.auxiliary_parameters, macs=counted.macs, size=size
        ),
        licence=source.licence,
        weights_sha256=source.weights_sha256,
        versions=_versions((*target.packages, *packages)),
        score=source.score,
        recipe=_plain(recipe),
    )


def sealed(sidecar: Sidecar, target: Target, files: list[Path]) -> Sidecar:
    """The description with the files' hashes; the file that the runtime opens gets the description too.

    Args:
        sidecar: The description, complete but for the files and the verification.
        target: Export target, which writes the description into the file if its format has room for it.
        files: Files that were written; first the one that the runtime opens.
    """
    if target.embed is not None:
        target.embed(files[0], to_metadata(sidecar))
    return msgspec.structs.replace(sidecar, files={file.name: sha256_of(file) for file in files})


def _float_network(model: SegmentationModel) -> SegmentationModel:
    """A float network of the same spec, for counting: int8 changes neither parameters nor multiply-accumulates."""
    with torch.device("meta"):
        return build_model(model.spec, model.num_classes)


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe without its `published` section: the artefact records its own score and licence."""
    return to_plain(msgspec.structs.replace(recipe, published=None))


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in dict.fromkeys(name.partition(".")[0] for name in ("pixelwise", "torch", *packages)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
