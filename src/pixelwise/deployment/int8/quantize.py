"""From a run to an artefact in int8, calibrated on its training images and verified against PyTorch in float32."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch

from pixelwise.checkpoints.checkpoint import Warn
from pixelwise.deployment.export.export import Exported, dataset_of, describe, differs, material_for
from pixelwise.deployment.export.formats import require_packages, write_artefact
from pixelwise.deployment.export.graphs import ExportedNetwork, GraphOptions
from pixelwise.deployment.export.sources import Source, open_source
from pixelwise.deployment.export.verification import (
    LEAST_EQUAL_QUANTIZED,
    Material,
    miou_on,
    network_input,
    split_images,
    verify,
)
from pixelwise.deployment.int8.quantizers import (
    ACTIVATION_RANGE,
    last_layers,
    layer_nodes,
    quantize_onnx,
    quantize_openvino,
)
from pixelwise.deployment.int8.sensitivity import LayerCost, evenly_spaced, layer_costs
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.sizes import seen_size
from pixelwise.runtimes.artefact import load_artefact
from pixelwise.runtimes.engines import require
from pixelwise.runtimes.sidecar import NAME, SUFFIXES, Calibration, Verification, write_sidecar
from pixelwise.storage import printable, scratch_folder

Int8Runtime = Literal["onnx", "openvino"]
Progress = Callable[[str, int, int], None]
"""Told (what, done, in all)."""
CALIBRATION_IMAGES = 128
SENSITIVITY_IMAGES = 8
RANGE_IMAGES = 16
"""Calibration images that the ranges of `sensitivity` come from."""


def quantize(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    target: Int8Runtime = "onnx",
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
    calibration_images: int = CALIBRATION_IMAGES,
    max_miou_drop: float | None = None,
    least_equal: float | None = None,
    ranking: Sequence[LayerCost] | None = None,
    force: bool = False,
    threads: int | None = None,
    warn: Warn | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write a network as an artefact in int8, verify it, and keep it if it is good enough.

    Args:
        source: As for `export`.
        output: As for `export`.
        target: The format: `onnx`, quantized by ONNX Runtime, or `openvino`, quantized by NNCF.
        weights: As for `export`; random ones need `data` or `images`.
        num_classes: As for `export`.
        uint8_input: As for `export`.
        argmax: As for `export`.
        output_stride: As for `export`.
        dynamic: As for `export`.
        size: As for `export`.
        data: Folder of the data set; None: the run's own.
        split: Verify on this split, with scores of both. With `max_miou_drop` None means `selection.split`.
        images: Folder of images. Without `data` and `split` both calibration and verification use them.
        calibration_images: At most so many, evenly spaced in the training split.
        max_miou_drop: Points of mean IoU (0.5 is half a point) that may be lost: layers are kept in float, those
            that cost most first, until it holds.
        least_equal: Share of pixels on which both must agree, 0..1; None: 0.95, and 0 with `max_miou_drop`.
        ranking: What `sensitivity` found; None: found where it is needed.
        force: Keep it even if it is not good enough.
        threads: For running the artefact while it is verified.
        warn: Told when a damaged checkpoint was passed over.
        progress: Told (what, done, in all).

    Returns:
        The artefact.

    Raises:
        RecipeError: R240 to R243; R246, no images to calibrate on; R247, a number that means nothing here.
        CheckpointError: K461; K465, it differs from PyTorch too much; K467, it cannot be quantized.
        DataError: The images cannot be read.
    """
    _check_numbers(calibration_images, max_miou_drop)
    require_packages(target)
    require("onnxruntime.quantization" if target == "onnx" else "nncf", f"quantizing to {target}")
    folder = Path(output)
    if (folder / f"{NAME}.toml").exists() or any((folder / f"{NAME}{suffix}").exists() for suffix in SUFFIXES.values()):
        raise RecipeError("R243", f"{printable(folder)} already holds an artefact", "choose another --output")
    found = open_source(os.fspath(source), weights, num_classes, warn)
    if max_miou_drop is not None and images is not None and data is None and split is None:
        raise RecipeError(
            "R247",
            "--max-miou-drop needs labels to score on, and --images has none",
            "leave --images out, or give --data or --split as well",
        )
    if max_miou_drop is not None and split is None:
        split = found.recipe.selection.split
    wanted = size or seen_size(found.recipe)
    options = GraphOptions(
        uint8_input=uint8_input, argmax=argmax, output_stride=output_stride, dynamic=dynamic, size=wanted
    )
    network = ExportedNetwork(found.model, options).eval()
    calibration, material = _materials(found, options, data, split, images, calibration_images)
    if max_miou_drop is not None and material.dataset is None:
        raise RecipeError("R247", "--max-miou-drop needs labels to score on", "give --split, and --data where it lies")
    with scratch_folder(folder) as building:
        work = _Work(network, found, target, building, calibration, material, threads, progress)
        wish = _Wish(max_miou_drop, least_equal)
        written = work.searched(wish, ranking) if max_miou_drop is not None else work.written(wish, ())
        verification = written.sidecar.verification
        if verification is None or not (verification.passed or force):
            raise _not_good_enough(verification, len(written.sidecar.float_layers))
        for name in (*written.sidecar.files, f"{NAME}.toml"):
            os.replace(written.path.with_name(name), folder / name)
    return Exported(path=folder / written.path.name, sidecar=written.sidecar)


def sensitivity(
    source: str | os.PathLike[str],
    *,
    weights: str | None = None,
    num_classes: int | None = None,
    size: Size | None = None,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    images: str | os.PathLike[str] | None = None,
    measured_images: int = SENSITIVITY_IMAGES,
    warn: Warn | None = None,
    progress: Progress | None = None,
) -> list[LayerCost]:
    """What each layer costs when it alone computes in int8, the worst first.

    Args:
        source: As for `quantize`.
        weights: As for `quantize`.
        num_classes: As for `quantize`.
        size: (height, width) of the images; None: as the recipe's first protocol shows them.
        data: As for `quantize`.
        split: Measured on this split; None: `selection.split` of the run's data.
        images: As for `quantize`: measured on them, without labels.
        measured_images: At most so many, evenly spaced.
        warn: As for `quantize`.
        progress: As for `quantize`.

    Raises:
        RecipeError: R241; R246, no images to calibrate on; R247, a number that means nothing here.
        CheckpointError: The run has no usable weights.
        DataError: The images cannot be read.
    """
    _check_numbers(measured_images, None)
    found = open_source(os.fspath(source), weights, num_classes, warn)
    options = GraphOptions(dynamic=size is None, size=size or seen_size(found.recipe), output_stride=None)
    if split is None and images is None:
        split = found.recipe.selection.split
    calibration, material = _materials(found, options, data, split, images, RANGE_IMAGES)
    network = ExportedNetwork(found.model, options).eval()
    return layer_costs(network, calibration.images(), material, measured_images, progress)


class _Wish(msgspec.Struct, frozen=True):
    """What an artefact must reach: points of mean IoU, share of equal pixels."""

    max_miou_drop: float | None
    least_equal: float | None

    @property
    def drop(self) -> float | None:
        return None if self.max_miou_drop is None else self.max_miou_drop / 100

    @property
    def equal(self) -> float:
        if self.least_equal is not None:
            return self.least_equal
        return LEAST_EQUAL_QUANTIZED if self.max_miou_drop is None else 0.0


class _Work:
    """One network in float32, and artefacts in int8 made from it."""

    def __init__(
        self,
        network: ExportedNetwork,
        source: Source,
        target: Int8Runtime,
        folder: Path,
        calibration: Material,
        material: Material,
        threads: int | None,
        progress: Progress | None,
    ) -> None:
        import onnx

        self.network, self.source, self.folder = network, source, folder
        self.target: Int8Runtime = target
        self.calibration, self.material = calibration, material
        self.threads, self.progress = threads, progress
        between = folder / "float32"
        between.mkdir()
        (self.float_file,) = write_artefact(network, "onnx", between)
        proto = onnx.load(self.float_file)
        self.nodes = layer_nodes(proto, network.model)
        last = last_layers(proto) if target == "onnx" else set()
        self.always_float = tuple(path for path, node in self.nodes.items() if node in last)
        self.count = sum(1 for _ in calibration.images())
        self.miou = miou_on(network.model, material) if material.dataset is not None else None

    def written(self, wish: _Wish, float_layers: Collection[str]) -> Exported:
        """An artefact of which some layers stay in float, verified."""
        keep = {self.nodes[path] for path in float_layers}
        if self.progress is not None:
            self.progress("int8", len(keep), len(self.nodes))
        if self.target == "onnx":
            files = quantize_onnx(self.float_file, self.folder, self._inputs, keep)
        else:
            files = quantize_openvino(self.float_file, self.folder, self._inputs, self.count, keep)
        kept = {*self.always_float, *float_layers}
        sidecar = msgspec.structs.replace(
            describe(self.network, self.source, self.target, files),
            precision="int8",
            calibration=Calibration(images=self.count, source=self.calibration.source, ranges=ACTIVATION_RANGE),
            float_layers=tuple(path for path in self.nodes if path in kept),
        )
        description = self.folder / f"{NAME}.toml"
        write_sidecar(sidecar, description)
        artefact = load_artefact(files[0], self.threads)
        verification = verify(self.network, artefact, self.material, wish.equal, wish.drop, self.miou)
        sidecar = msgspec.structs.replace(sidecar, verification=verification)
        write_sidecar(sidecar, description)
        return Exported(path=files[0], sidecar=sidecar)

    def searched(self, wish: _Wish, ranking: Sequence[LayerCost] | None) -> Exported:
        """The first of 0, 1, 2, 4, ... layers in float, those that cost most, that passes; else the last one."""
        written = self.written(wish, ())
        if _passed(written):
            return written
        if ranking is None:
            chosen = evenly_spaced(list(self.calibration.images()), RANGE_IMAGES)
            ranking = layer_costs(self.network, chosen, self.material, SENSITIVITY_IMAGES, self.progress)
        order = [cost.name for cost in ranking if cost.name in self.nodes and cost.name not in self.always_float]
        count = 1
        while not _passed(written) and count < 2 * len(order):
            written = self.written(wish, order[:count])
            count *= 2
        return written

    def _inputs(self) -> Iterable[np.ndarray]:
        for image in self.calibration.images():
            with torch.inference_mode():
                yield network_input(self.network, image).numpy()


def _materials(
    source: Source,
    options: GraphOptions,
    data: str | os.PathLike[str] | None,
    split: str | None,
    images: str | os.PathLike[str] | None,
    count: int,
) -> tuple[Material, Material]:
    """What the ranges come from, and what is verified on.

    Raises:
        RecipeError: R246, there is nothing to calibrate on.
    """
    material = material_for(source, options, data, split, images)
    if images is not None and data is None and split is None:
        return _some(material, count), material
    if source.run is None and data is None:
        raise RecipeError(
            "R246",
            f"int8 needs images to find the ranges of activations on, and '{source.recipe.name}' is a recipe, which "
            "was trained on none",
            "quantize a run, or give --data or --images",
        )
    dataset, training = dataset_of(source, data), source.recipe.data.train_split
    chosen = evenly_spaced(dataset.samples(training), count)
    few = msgspec.structs.replace(dataset, splits={training: tuple(chosen)})
    return split_images(few, training, source.recipe, None if options.dynamic else options.size), material


def _some(material: Material, count: int) -> Material:
    """At most `count` images of it."""
    total = sum(1 for _ in material.images())
    wanted = set(evenly_spaced(range(total), count))

    def read() -> Iterable[np.ndarray]:
        return (image for index, image in enumerate(material.images()) if index in wanted)

    source = material.source if len(wanted) == total else f"{len(wanted)} of {material.source}"
    return msgspec.structs.replace(material, images=read, source=source)


def _passed(written: Exported) -> bool:
    return written.sidecar.verification is not None and written.sidecar.verification.passed


def _check_numbers(count: int, max_miou_drop: float | None) -> None:
    if count < 1:
        raise RecipeError("R247", f"the number of images is {count}; expected 1 or more", "give a larger number")
    if max_miou_drop is not None and not 0 <= max_miou_drop <= 100:
        raise RecipeError(
            "R247",
            f"--max-miou-drop is {max_miou_drop:g}; expected points of mean IoU, 0 to 100",
            "0.5 allows half a point",
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
        "nothing was kept; --force keeps it, a larger --max-miou-drop or more --calibration-images may do",
    )
