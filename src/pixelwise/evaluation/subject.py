"""What is scored, and the one function that scores it.

A run, an exported artefact and a model in memory differ in where their weights, their data and their recipe are
found. Once that is known each of them is a `Subject`, and `score` does the same with all of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.layouts.splits import group_names
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import RecipeError
from pixelwise.evaluation.assembling import Origin, Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_protocols
from pixelwise.evaluation.gallery import save_samples
from pixelwise.machine.devices import choose_device
from pixelwise.models import SegmentationModel
from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.recipes.schema.training import Precision
from pixelwise.records.result import Result, save_result
from pixelwise.records.run_folder import EVALUATIONS
from pixelwise.runtimes import ArtefactModel


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured of a subject, and on which device.

    Attributes:
        device: None or `auto`: a GPU where there is one; artefacts compute on the CPU.
        boundary: Measure boundary IoU too.
        calibration: Measure the calibration error too.
        group: A regular expression whose match in an image's id names its group; None: no groups are scored.
        progress: Told (images done, images in all).
    """

    device: str | torch.device | None = None
    boundary: bool = True
    calibration: bool = False
    group: str | None = None
    progress: Callable[[int, int], None] | None = None

    def words(self) -> list[str]:
        """The words of a command line that ask for the same."""
        words = [] if self.boundary else ["--no-boundary"]
        if self.calibration:
            words.append("--calibration")
        return words if self.group is None else [*words, "--group", self.group]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A network together with the data and the protocols by which it is scored.

    Attributes:
        model: The network.
        origin: Where its weights come from.
        dataset: The opened data.
        split: Name of the split that is scored.
        protocols: Scored in one pass.
        input_size: (height, width) that the network sees where a protocol leaves it open; None: the image's own.
        batch_size: Images of equal size per forward pass.
        precision: Number format and layout.
        command: The words of the command line that names it; empty: no command can measure it again.
        folder: Where results are kept; None: nowhere.
        pictures: Whether pictures of the worst, middle and best images are kept beside them.
    """

    model: SegmentationModel
    origin: Origin
    dataset: Dataset
    split: str
    protocols: tuple[Protocol, ...]
    input_size: Size | None = None
    batch_size: int = 1
    precision: Precision = Precision()
    command: tuple[str, ...] = ()
    folder: Path | None = None
    pictures: bool = False


def score(subject: Subject, measures: Measures) -> list[Result]:
    """Measure a subject and keep the results in `subject.folder/evaluations/SPLIT-PROTOCOL/`.

    Returns:
        One result per protocol.

    Raises:
        DataError: D221, there is no such split; an image or mask is missing or wrong.
        CheckpointError: The network does not fit the data; an artefact fails.
        RecipeError: R203, `group` is no regular expression or the calibration error is not defined for this network;
            R214, the device cannot be used.
        ResourceError: S601, the disk is full.
    """
    split = subject.split
    samples = subject.dataset.samples(split)
    groups = None
    if measures.group is not None:
        groups = group_names([sample.id for sample in samples], measures.group, 1.0)
    measured = evaluate_protocols(
        subject.model,
        subject.dataset,
        split,
        subject.protocols,
        input_size=subject.input_size,
        batch_size=subject.batch_size,
        device=_device(subject, measures),
        precision=subject.precision,
        progress=measures.progress,
        boundary=measures.boundary,
        calibration=measures.calibration,
    )
    origin, scored = msgspec.structs.asdict(subject.origin), fingerprint(subject.dataset, [split])
    results = []
    for protocol, measurement in zip(subject.protocols, measured, strict=True):
        command = _command(subject, protocol, measures)
        result = make_result(measurement, Provenance(**origin, data_fingerprint=scored, command=command), groups)
        results.append(result)
        if subject.folder is None:
            continue
        folder = subject.folder / EVALUATIONS / f"{split}-{protocol.name}"
        if subject.pictures:
            save_samples(subject.model, subject.dataset, measurement, folder / "samples")
        save_result(result, measurement.per_image, folder)
    return results


def _device(subject: Subject, measures: Measures) -> torch.device:
    if not isinstance(subject.model, ArtefactModel):
        return choose_device(measures.device)
    # The runtimes here compute on the CPU, in the artefact's own number format.
    if measures.device not in (None, "auto") and choose_device(measures.device).type != "cpu":
        raise RecipeError(
            "R214",
            f"device '{measures.device}' cannot be used: {subject.model.sidecar.runtime} artefacts compute on the CPU; "
            "found: cpu",
            "leave --device out, or evaluate the run that the artefact was exported from",
        )
    return torch.device("cpu")


def _command(subject: Subject, protocol: Protocol, measures: Measures) -> str:
    """The command line that measures the same again."""
    if not subject.command:
        return ""
    return shlex.join([*subject.command, "--split", subject.split, "--protocol", protocol.name, *measures.words()])
