"""Post-training quantization of a run: calibrated on its training images, verified against PyTorch in float32."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import msgspec

from pixelwise.deployment.export.export import Exported, free_folder, keep
from pixelwise.deployment.export.images import VerificationImages
from pixelwise.deployment.export.shapes import graph_options
from pixelwise.deployment.export.sources import Source, open_source
from pixelwise.deployment.export.verification import LEAST_EQUAL_QUANTIZED, Acceptance, differs
from pixelwise.deployment.export.writing import require_packages
from pixelwise.deployment.int8.calibration import int8_images
from pixelwise.deployment.int8.options import QuantizeOptions
from pixelwise.deployment.int8.quantizers import find_quantizer
from pixelwise.deployment.int8.search import RANGE_IMAGES, SENSITIVITY_IMAGES, Int8Search, Subject
from pixelwise.deployment.int8.sensitivity import LayerCost, layer_costs
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.default_sizes import seen_size
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions
from pixelwise.runtimes.sidecar import Verification
from pixelwise.storage import scratch_folder
from pixelwise.storage.locks import writing_alone


class Quantized(msgspec.Struct, frozen=True, kw_only=True):
    """Result of quantizing a network.

    Attributes:
        artefact: The int8 artefact; None if only the layers were measured.
        layers: Cost of each layer in int8, highest first; empty if it was not asked for.
    """

    artefact: Exported | None = None
    layers: tuple[LayerCost, ...] = ()


def quantize(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    target: str | None = None,
    options: QuantizeOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Quantized:
    """Export a network as an int8 artefact, or list the cost of each of its layers in int8, or both.

    Args:
        source: A run folder, a folder of imported weights, or with `weights="none"` a recipe.
        output: Folder for the artefact and `model.toml`; may be None with `sensitivity=True`, then no artefact is made.
        target: Name of the format; None: `target` of the options, by default `onnx`.
        options: Formats of the artefact, images to calibrate and verify it on, and its accepted loss.
        observer: Receives progress and warnings.
        changes: Fields of `QuantizeOptions` by name.

    Raises:
        RecipeError: R240 to R244 and R250, as `export`; R246, no images to calibrate on; R247, nothing to do, or no
            labels for `max_miou_drop`.
        CheckpointError: K461; K465, the artefact differs too much from PyTorch; K467, it cannot be quantized.
        DataError: The images cannot be read.
        RunLockedError: L701, another process writes to `output`.
    """
    if target is not None:
        changes["target"] = target
    options = chosen(QuantizeOptions, options, changes)
    if output is None and not options.sensitivity:
        raise RecipeError(
            "R247",
            "there is nothing to do: neither `output` nor `sensitivity` is given",
            "give `output` to write an artefact, or `sensitivity` to list the cost of the layers",
        )
    layers = sensitivity(source, options, observer=observer) if options.sensitivity else None
    artefact = None
    if output is not None:
        artefact = int8_artefact(source, output, options, ranking=layers, observer=observer)
    return Quantized(artefact=artefact, layers=tuple(layers or ()))


def int8_artefact(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: QuantizeOptions | None = None,
    *,
    ranking: Sequence[LayerCost] | None = None,
    observer: Observer = SILENT,
    **changes: Any,
) -> Exported:
    """Export a network as an int8 artefact, verify it, and keep it if it is good enough.

    Args:
        source: A run folder, a folder of imported weights, or with `weights="none"` a recipe.
        output: Folder for the artefact and `model.toml`.
        options: Formats of the artefact, images to calibrate and verify it on, and its accepted loss.
        ranking: The layers by descending cost, as `sensitivity` returns them; None: measured if needed.
        observer: Receives progress and warnings.
        changes: Fields of `QuantizeOptions` by name.

    Raises:
        RecipeError, CheckpointError, DataError: As `quantize`.
    """
    options = chosen(QuantizeOptions, options, changes)
    target, quantizer = find_quantizer(options.target)
    require_packages(target)
    folder = free_folder(output)
    observer.phase("opening the network")
    found = open_source(os.fspath(source), options.weights, options.num_classes, observer.warn)
    options = _with_labels(options, found)
    network = ExportedNetwork(found.model, graph_options(found, target, options, observer.warn)).eval()
    images = int8_images(found, network.options, options, options.calibration_images, observer.warn)
    _refuse_without_labels(options, images.verification)
    subject = Subject(
        network=network, source=found, target=target, quantizer=quantizer, images=images, threads=options.threads
    )
    with writing_alone(folder), scratch_folder(free_folder(folder)) as building:
        search, acceptance = Int8Search(subject, building, observer), _acceptance(options)
        if acceptance.max_miou_drop is None:
            written = search.written(acceptance, ())
        else:
            written = search.best(acceptance, ranking)
        verification = written.sidecar.verification
        if verification is None or not (verification.passed or options.force):
            raise _not_good_enough(verification, len(written.sidecar.float_layers))
        keep([written.path.with_name(name) for name in written.sidecar.files], folder)
    return Exported(path=folder / written.path.name, sidecar=written.sidecar)


def sensitivity(
    source: str | os.PathLike[str],
    options: QuantizeOptions | None = None,
    *,
    measured_images: int = SENSITIVITY_IMAGES,
    observer: Observer = SILENT,
    **changes: Any,
) -> list[LayerCost]:
    """Measure the cost of each layer when it alone is computed in int8, sorted by descending cost.

    Without a `size` images are resized as in the recipe's first protocol; without a `split` and `images` they are
    those of the split that training selects its best checkpoint on.

    Args:
        source: A run folder, a folder of imported weights, or with `weights="none"` a recipe.
        options: Network and images; settings of the artefact are ignored.
        measured_images: Largest number of images to predict for each layer; they are evenly spaced.
        observer: Receives progress and warnings.
        changes: Fields of `QuantizeOptions` by name.

    Raises:
        RecipeError: R241; R246, no images to calibrate on.
        CheckpointError: The run has no usable weights.
        DataError: The images cannot be read.
    """
    options = chosen(QuantizeOptions, options, changes)
    observer.phase("opening the network")
    found = open_source(os.fspath(source), options.weights, options.num_classes, observer.warn)
    graph = GraphOptions(dynamic=options.size is None, size=options.size or seen_size(found.recipe), output_stride=None)
    if options.split is None and options.images is None:
        options = msgspec.structs.replace(options, split=found.recipe.selection.split)
    images = int8_images(found, graph, options, RANGE_IMAGES, observer.warn)
    network = ExportedNetwork(found.model, graph).eval()
    return layer_costs(network, images.calibration.read(), images.verification, measured_images, observer)


def _with_labels(options: QuantizeOptions, source: Source) -> QuantizeOptions:
    """Add the default split to the options if `max_miou_drop` needs one.

    Raises:
        RecipeError: R247, the images to verify on have no labels.
    """
    if options.max_miou_drop is None:
        return options
    if options.images is not None:
        raise RecipeError(
            "R247",
            "`max_miou_drop` needs labels to score on, and `images` has none",
            "leave out `max_miou_drop` or `images`",
        )
    if options.split is not None:
        return options
    return msgspec.structs.replace(options, split=source.recipe.selection.split)


def _refuse_without_labels(options: QuantizeOptions, images: VerificationImages) -> None:
    if options.max_miou_drop is not None and images.dataset is None:
        raise RecipeError(
            "R247",
            "`max_miou_drop` needs labels to score on",
            "give `split`, and `data` if the data set is not that of the run",
        )


def _acceptance(options: QuantizeOptions) -> Acceptance:
    drop = options.max_miou_drop
    usual = LEAST_EQUAL_QUANTIZED if drop is None else 0.0
    return Acceptance(
        least_equal=usual if options.least_equal is None else options.least_equal,
        max_miou_drop=None if drop is None else drop / 100,
    )


def _not_good_enough(verification: Verification | None, float_layers: int) -> CheckpointError:
    if verification is None:
        raise AssertionError("every written artefact has a verification")
    allowed, drop = verification.max_miou_drop, verification.miou_drop
    if allowed is None or drop is None or drop <= allowed:
        return differs(verification)
    return CheckpointError(
        "K465",
        f"in int8 the mean IoU is {100 * drop:.2f} points lower on {verification.source} even with {float_layers} "
        f"layers in float, expected at most {100 * allowed:g}",
        "the artefact was discarded; keep it with `force`, or try a larger `max_miou_drop` or more "
        "`calibration_images`",
    )
