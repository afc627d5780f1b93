"""From a run, or a recipe, to an artefact that was verified, with everything known about it beside it."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import torch

from pixelwise.checkpoints.checkpoint import Warn
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.deployment.export.formats import require_packages, write_artefact
from pixelwise.deployment.export.graphs import ExportedNetwork, GraphOptions
from pixelwise.deployment.export.sources import Source, open_source
from pixelwise.deployment.export.verification import (
    LEAST_EQUAL,
    LEAST_EQUAL_SIMULATED,
    Material,
    drawn_scenes,
    folder_images,
    split_images,
    verify,
)
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.quantization.aware import QuantizedModel
from pixelwise.profiling import complexity
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.recipes.sizes import seen_size
from pixelwise.records.run_folder import DATA, ENVIRONMENT
from pixelwise.runtimes.artefact import load_artefact
from pixelwise.runtimes.engines import EXTRAS
from pixelwise.runtimes.sidecar import NAME, SUFFIXES, Complexity, Runtime, Sidecar, Verification, write_sidecar
from pixelwise.storage import printable, scratch_folder, sha256_file


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact on disk.

    Attributes:
        path: The file that the runtime opens.
        sidecar: What stands in `model.toml`, its verification included.
    """

    path: Path
    sidecar: Sidecar


def export(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    target: Runtime = "onnx",
    *,
    weights: str | None = None,
    num_classes: int | None = None,
    uint8_input: bool = False,
    argmax: bool = False,
    output_stride: int | None = 1,
    dynamic: bool = False,
    size: Size | None = None,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    images: str | os.PathLike[str] | None = None,
    least_equal: float | None = None,
    force: bool = False,
    warn: Warn | None = None,
) -> Exported:
    """Write a network as an artefact, verify it, and keep it if it agrees with PyTorch.

    Args:
        source: A run folder, a folder of imported weights, or with `weights="none"` a recipe.
        output: Folder for `model.onnx` (or the format's own ending) and `model.toml`.
        target: The format: `onnx`, `openvino`, `torch-export` or `executorch` (that one for one size only).
        weights: `none`: random ones.
        num_classes: Outputs where a recipe leaves them to the data.
        uint8_input: Take RGB bytes and normalise inside.
        argmax: Give class ids.
        output_stride: The image's sides divided by it are those of the result; None: the network's own.
        dynamic: Any number of images of any size.
        size: (height, width) of an artefact of one size; None: the recipe's, or 512x512.
        data: Folder of the data set that `split` is of; None: the run's own.
        split: Verify on this split, with scores of both.
        images: Verify on the images in this folder. Without either: on drawn street scenes.
        least_equal: Share of pixels on which both must agree, 0..1; None: 0.9999, or 0.97 for 8 bits, whose
            rounding runtimes do in another order.
        force: Keep it even if they do not.
        warn: Told when a damaged checkpoint was passed over.

    Returns:
        The artefact.

    Raises:
        RecipeError: R240 a package is missing, R241 nothing to export, R242 output stride, R243 `output` is taken,
            R244 the format cannot do that.
        CheckpointError: K461 an operator is not supported, K465 it differs from PyTorch too much.
        DataError: The images to verify on cannot be read.
    """
    if target == "executorch" and dynamic:
        raise RecipeError(
            "R244", "executorch plans its memory for one size of images", "leave --dynamic out and give --size"
        )
    require_packages(target)
    folder = Path(output)
    if (folder / f"{NAME}.toml").exists() or any((folder / f"{NAME}{suffix}").exists() for suffix in SUFFIXES.values()):
        raise RecipeError("R243", f"{printable(folder)} already holds an artefact", "choose another --output")
    found = open_source(os.fspath(source), weights, num_classes, warn)
    scheme = found.recipe.quantization
    if target == "executorch" and isinstance(found.model, QuantizedModel) and scheme != "xnnpack-8bit":
        raise RecipeError(
            "R244",
            f"executorch cannot compute what was trained with {scheme}",
            "train with quantization=xnnpack-8bit for it, or export to onnx",
        )
    wanted = size or seen_size(found.recipe)
    options = GraphOptions(
        uint8_input=uint8_input, argmax=argmax, output_stride=output_stride, dynamic=dynamic, size=wanted
    )
    network = ExportedNetwork(found.model, options).eval()
    material = material_for(found, options, data, split, images)
    with scratch_folder(folder) as building:
        files = write_artefact(network, target, building)
        sidecar = describe(network, found, target, files)
        write_sidecar(sidecar, building / f"{NAME}.toml")
        if least_equal is None:
            least_equal = LEAST_EQUAL if sidecar.precision == "float32" else LEAST_EQUAL_SIMULATED
        verification = verify(network, load_artefact(files[0]), material, least_equal)
        if not (verification.passed or force):
            raise differs(verification)
        sidecar = msgspec.structs.replace(sidecar, verification=verification)
        write_sidecar(sidecar, building / f"{NAME}.toml")
        # The description last: its presence says that the rest is complete.
        for file in (*files, building / f"{NAME}.toml"):
            os.replace(file, folder / file.name)
    return Exported(path=folder / files[0].name, sidecar=sidecar)


def describe(network: ExportedNetwork, source: Source, target: Runtime, files: list[Path]) -> Sidecar:
    """What `model.toml` says, but for the verification.

    Args:
        network: What was exported.
        source: Where it comes from.
        target: The format.
        files: What was written.
    """
    size, recipe = network.options.size, source.recipe
    quantized = isinstance(network.model, QuantizedModel)
    counted = complexity(_float_network(network.model) if quantized else network.model, *size)
    return Sidecar(
        runtime=target,
        precision="int8" if quantized else "float32",
        recipe_name=recipe.name,
        recipe_hash=recipe.hash(),
        classes=network.model.classes,
        palette=source.palette,
        preprocessing=network.model.preprocessing,
        input=network.input_facts(),
        output=network.output_facts(),
        protocol=recipe.evaluation.protocols[0],
        complexity=Complexity(
            parameters=counted.parameters - counted.auxiliary_parameters, macs=counted.macs, size=size
        ),
        licence=source.licence,
        weights_sha256=source.weights_sha256,
        files={file.name: sha256_file(file) for file in files},
        versions=_versions(),
        score=source.score,
        recipe=_plain(recipe),
    )


def _float_network(model: SegmentationModel) -> SegmentationModel:
    """A network of the same spec, to count: 8 bits change neither parameters nor multiply-accumulates."""
    with torch.device("meta"):
        return build_model(model.spec, model.num_classes)


def material_for(
    source: Source,
    options: GraphOptions,
    data: str | os.PathLike[str] | None,
    split: str | None,
    images: str | os.PathLike[str] | None,
) -> Material:
    """What an artefact is verified on: a split, the images of a folder, or drawn scenes."""
    fixed = None if options.dynamic else options.size
    if split is not None or data is not None:
        dataset = dataset_of(source, data)
        return split_images(dataset, split or source.recipe.evaluation.split, source.recipe, fixed)
    if images is not None:
        return folder_images(Path(images), Reading.of(source.recipe.data), fixed, source.recipe.evaluation.input_size)
    return drawn_scenes(options.size, dynamic=options.dynamic)


def dataset_of(source: Source, data: str | os.PathLike[str] | None) -> Dataset:
    """The data set in a folder; None: that of the run, without what training left out.

    Raises:
        DataError: D222 and others, it cannot be opened.
    """
    facts = _facts(source.run, ENVIRONMENT)
    folder = data if data is not None else facts.get("arguments", {}).get("data")
    dataset = open_dataset(source.recipe.data, Path(folder) if folder is not None else None)
    return dataset if data is not None else dataset.without(_facts(source.run, DATA).get("unusable", {}))


def _facts(run: Path | None, name: str) -> dict:
    path = run / name if run is not None else None
    return msgspec.json.decode(path.read_bytes()) if path is not None and path.is_file() else {}


def _plain(recipe: Recipe) -> dict:
    """The recipe without what a published page says: the artefact's own score and licence stand beside it."""
    return to_plain(msgspec.structs.replace(recipe, published=None))


def _versions() -> dict[str, str]:
    found = {}
    for package in ("pixelwise", "torch", *EXTRAS):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def differs(verification: Verification) -> CheckpointError:
    """The error for an artefact that does not pass."""
    difference = (
        f"; logits differ by up to {verification.max_difference:.2g}, in a range of {verification.logit_range:.2g}"
        if verification.max_difference is not None and verification.logit_range is not None
        else ""
    )
    return CheckpointError(
        "K465",
        f"the artefact differs from PyTorch: {100 * verification.equal_pixels:.3f} % of the pixels have the same class "
        f"on {verification.source}, expected {100 * verification.least_equal_pixels:.3f} % or more{difference}",
        "nothing was kept; --force keeps it, another --target or --size may do better",
    )
