"""From a run to an artefact in int8, calibrated on its training images and verified against PyTorch in float32."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import msgspec

from pixelwise.deployment.export.export import Exported, free_folder, keep, network_of
from pixelwise.deployment.export.images import VerificationImages
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


class Quantized(msgspec.Struct, frozen=True, kw_only=True):
    """What quantizing a network gave.

    Attributes:
        artefact: The artefact in int8; None: only the layers were measured.
        layers: What each layer costs, the worst first; empty where that was not asked for.
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
    """Write a network as an artefact in int8, or list what each of its layers costs in int8, or both.

    Args:
        source: A run folder, a folder of imported weights, or with `weights="none"` a recipe.
        output: Folder for the artefact and `model.toml`; None with `sensitivity=True`: no artefact is made.
        target: Name of the format; None takes that of the options, which is `onnx` unless they say otherwise.
        options: What the artefact takes and gives, what it is calibrated and verified on, and what it may lose.
        observer: Told what is being done.
        changes: Fields of `QuantizeOptions` by name.

    Raises:
        RecipeError: R240 to R244 and R250, as `export`; R246, no images to calibrate on; R247, nothing to do, or no
            labels for a largest drop of mIoU.
        CheckpointError: K461; K465, it differs from PyTorch too much; K467, it cannot be quantized.
        DataError: The images cannot be read.
    """
    if target is not None:
        changes["target"] = target
    options = chosen(QuantizeOptions, options, changes)
    if output is None and not options.sensitivity:
        raise RecipeError(
            "R247",
            "there is nothing to do: neither `output` nor `sensitivity` is given",
            "give `output` for the artefact, or `sensitivity` for a list of the layers",
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
    """Write a network as an artefact in int8, verify it, and keep it if it is good enough.

    Args:
        source: A run folder, a folder of imported weights, or with `weights="none"` a recipe.
        output: Folder for the artefact and `model.toml`.
        options: What the artefact takes and gives, what it is calibrated and verified on, and what it may lose.
        ranking: The layers, those that cost most first, as `sensitivity` finds them; None: measured if needed.
        observer: Told what is being done.
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
    network = network_of(found, options)
    images = int8_images(found, network.options, options, options.calibration_images)
    _refuse_without_labels(options, images.verification)
    subject = Subject(
        network=network, source=found, target=target, quantizer=quantizer, images=images, threads=options.threads
    )
    with scratch_folder(folder) as building:
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
    """What each layer costs when it alone computes in int8, the worst first.

    Without a `size` images are seen as the recipe's first protocol shows them; without a `split` and `images` they are
    those of the split that training selects its best checkpoint on.

    Args:
        source: A run folder, a folder of imported weights, or with `weights="none"` a recipe.
        options: Which network and which images; what concerns the artefact is ignored.
        measured_images: Number of images, at most, that are predicted with each layer; they are evenly spaced.
        observer: Told which layer is measured.
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
    images = int8_images(found, graph, options, RANGE_IMAGES)
    network = ExportedNetwork(found.model, graph).eval()
    return layer_costs(network, images.calibration.read(), images.verification, measured_images, observer)


def _with_labels(options: QuantizeOptions, source: Source) -> QuantizeOptions:
    """With a split, where a largest drop of mIoU needs one.

    Raises:
        RecipeError: R247, there are images without labels alone.
    """
    if options.max_miou_drop is None or options.split is not None:
        return options
    if options.images is not None and options.data is None:
        raise RecipeError(
            "R247",
            "`max_miou_drop` needs labels to score on, and `images` has none",
            "leave `images` out, or give `data` or `split` as well",
        )
    return msgspec.structs.replace(options, split=source.recipe.selection.split)


def _refuse_without_labels(options: QuantizeOptions, images: VerificationImages) -> None:
    if options.max_miou_drop is not None and images.dataset is None:
        raise RecipeError(
            "R247", "`max_miou_drop` needs labels to score on", "give `split`, and `data` where it lies elsewhere"
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
        raise AssertionError("what was written is verified")
    allowed, drop = verification.max_miou_drop, verification.miou_drop
    if allowed is None or drop is None or drop <= allowed:
        return differs(verification)
    return CheckpointError(
        "K465",
        f"in int8 the mean IoU is {100 * drop:.2f} points lower on {verification.source} even with {float_layers} "
        f"layers in float, expected at most {100 * allowed:g}",
        "nothing was kept; `force` keeps it, a larger `max_miou_drop` or more `calibration_images` may do",
    )
