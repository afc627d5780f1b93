"""Search for an int8 artefact that is good enough, with the most costly layers kept in float."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from pixelwise.deployment.export.export import Exported, describe, sealed
from pixelwise.deployment.export.sources import Source
from pixelwise.deployment.export.verification import Acceptance, miou_on, network_input, verify
from pixelwise.deployment.export.writing import write_artefact
from pixelwise.deployment.int8.calibration import Int8Images
from pixelwise.deployment.int8.onnx_graphs import last_layers, layer_nodes
from pixelwise.deployment.int8.quantizers import ACTIVATION_RANGE, Int8Job, Quantizer
from pixelwise.deployment.int8.sensitivity import LayerCost, evenly_spaced, layer_costs
from pixelwise.observer import Observer
from pixelwise.runtimes.artefact import load_artefact
from pixelwise.runtimes.graphs import ExportedNetwork
from pixelwise.runtimes.packages import require
from pixelwise.runtimes.sidecar import DESCRIPTION, Calibration, write_sidecar
from pixelwise.runtimes.targets import Target, find_target

SENSITIVITY_IMAGES = 8
"""Number of images on which the cost of each layer is measured."""
RANGE_IMAGES = 16
"""Number of calibration images for the input ranges of layers in `sensitivity`."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A network to be quantized, with all that is needed for it.

    Attributes:
        network: The network in PyTorch, in float32.
        source: Origin of the network.
        target: Export target.
        quantizer: Quantizer of the target.
        images: Images for calibration and verification.
        threads: Threads of the runtime while an artefact is verified; None: the runtime's default.
    """

    network: ExportedNetwork
    source: Source
    target: Target
    quantizer: Quantizer
    images: Int8Images
    threads: int | None = None


class Int8Search:
    """Writes int8 artefacts of one network until one is good enough.

    Args:
        subject: The network to quantize.
        folder: Existing empty folder for the artefacts; each overwrites the previous one.
        observer: Receives progress.

    Attributes:
        nodes: Path of each layer in the network -> name of its node in the graph.
        always_float: Paths of the layers that the quantizer always leaves in float.
    """

    def __init__(self, subject: Subject, folder: Path, observer: Observer) -> None:
        onnx = require("onnx", "quantizing")
        self._subject, self._folder, self._observer = subject, folder, observer
        observer.phase("writing onnx in float32")
        between = folder / "float32"
        between.mkdir()
        (self._float_file,) = write_artefact(subject.network, find_target("onnx"), between, observer)
        proto = onnx.load(self._float_file)
        self.nodes = layer_nodes(proto, subject.network.model)
        last = last_layers(proto) if subject.quantizer.last_in_float else set()
        self.always_float = tuple(path for path, node in self.nodes.items() if node in last)
        self._count = sum(1 for _ in subject.images.calibration.read())
        seen = subject.images.verification
        self._miou = None
        if seen.dataset is not None:
            observer.phase("scoring PyTorch")
            self._miou = miou_on(subject.network.model, seen, observer)

    def best(self, acceptance: Acceptance, ranking: Sequence[LayerCost] | None) -> Exported:
        """Keep 0, 1, 2, 4, ... of the most costly layers in float; the first artefact that passes, else the last one.

        Args:
            acceptance: Criteria that the artefact must meet.
            ranking: The layers by descending cost; None: measured if needed.
        """
        written = self.written(acceptance, ())
        if _passed(written):
            return written
        if ranking is None:
            images, network = self._subject.images, self._subject.network
            few = evenly_spaced(list(images.calibration.read()), RANGE_IMAGES)
            ranking = layer_costs(network, few, images.verification, SENSITIVITY_IMAGES, self._observer)
        order = [cost.name for cost in ranking if cost.name in self.nodes and cost.name not in self.always_float]
        count = 1
        while not _passed(written) and count < 2 * len(order):
            written = self.written(acceptance, order[:count])
            count *= 2
        return written

    def written(self, acceptance: Acceptance, float_layers: Collection[str]) -> Exported:
        """Write and verify an artefact in which some layers stay in float; it is returned whether it passes or not.

        Args:
            acceptance: Criteria that the artefact is verified against.
            float_layers: Paths of the layers that stay in float.
        """
        subject, kept = self._subject, {*self.always_float, *float_layers}
        self._observer.phase(f"quantizing for {subject.target.name}, {len(float_layers)} layers kept in float")
        files = subject.quantizer.quantize(
            Int8Job(
                float_file=self._float_file,
                folder=self._folder,
                inputs=self._inputs,
                count=self._count,
                float_nodes={self.nodes[path] for path in float_layers},
            )
        )
        calibration = subject.images.calibration
        sidecar = msgspec.structs.replace(
            describe(subject.network, subject.source, subject.target, (subject.quantizer.package,)),
            precision="int8",
            calibration=Calibration(images=self._count, source=calibration.source, ranges=ACTIVATION_RANGE),
            float_layers=tuple(path for path in self.nodes if path in kept),
        )
        sidecar, description = sealed(sidecar, subject.target, files), self._folder / DESCRIPTION
        write_sidecar(sidecar, description)
        artefact = load_artefact(files[0], subject.threads, trust=True)
        self._observer.phase(f"verifying {subject.target.name}")
        seen = subject.images.verification
        verification = verify(subject.network, artefact, seen, acceptance, self._miou, self._observer)
        sidecar = msgspec.structs.replace(sidecar, verification=verification)
        write_sidecar(sidecar, description)
        return Exported(path=files[0], sidecar=sidecar)

    def _inputs(self) -> Iterable[np.ndarray]:
        for image in self._subject.images.calibration.read():
            with torch.inference_mode():
                yield network_input(self._subject.network, image).numpy()


def _passed(written: Exported) -> bool:
    return written.sidecar.verification is not None and written.sidecar.verification.passed
