"""Subjects of an evaluation, and the function that scores them.

A run, an exported artefact and a model in memory differ in where their weights, data and recipe are found. Once that is
known, each of them is a `Subject`, and `score` treats all of them alike.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import RecipeError
from pixelwise.evaluation.assembling import Origin, Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_protocols
from pixelwise.evaluation.gallery import save_samples
from pixelwise.evaluation.keeping import other_groups, same_counts, with_earlier
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.passes import ScoringOptions, refusal_of
from pixelwise.evaluation.tally import Measurement
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.machine.devices import choose_device
from pixelwise.metrics import METRICS
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.training import Precision
from pixelwise.recipes.sizes import Size
from pixelwise.records.details import THUMBNAILS, save_details
from pixelwise.records.evaluations import EVALUATIONS, IMAGES, SAMPLES, earlier_result, folder_for
from pixelwise.records.result import Result, save_result
from pixelwise.records.suspects import SUSPECTS, save_suspects
from pixelwise.runtimes import ArtefactModel
from pixelwise.storage import writing
from pixelwise.storage.locks import writing_alone
from pixelwise.storage.series import group_names


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A network together with the data and the protocols by which it is scored.

    Attributes:
        model: The network.
        origin: Origin of the network's weights.
        dataset: The opened data set.
        split: Name of the split to score.
        protocols: Protocols to score, all in one pass.
        input_size: (height, width) of the network's input if a protocol leaves it open; None for the image's own size.
        batch_size: Largest number of images of equal size per forward pass.
        precision: Number format and memory layout.
        command: First arguments of a command line that evaluates the subject; empty if no command can.
        folder: Folder in which results are saved; None to save nothing.
        pictures: Whether to save pictures of the worst, middle and best images with the results.
        data: Folder of the data set; empty for generated data.
        own_data: Whether this is the data that the network was trained on; None if that is not known.
        overrides: Changes to how the data is read and the network sees it.
        notes: What has to be known about the data and its splits to read the scores, as sentences.
        refuse: Raises the error of masks whose values mean something else than they say; None if that was looked at.
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
    data: str = ""
    own_data: bool | None = None
    overrides: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refuse: Callable[[], None] | None = None


def score(
    subject: Subject, options: EvaluateOptions, observer: Observer = SILENT, ranks: Ranks = ALONE
) -> list[Result]:
    """Score a subject and save the results in a folder each below `subject.folder/evaluations/`.

    A saved result keeps what an earlier one measured in addition, if both count the same predictions.

    Args:
        subject: The subject to score.
        options: Options of the evaluation.
        observer: Receives the phase, and progress after every batch.
        ranks: The processes that score together, each a part of the images; the first one saves.

    Returns:
        One result per protocol.

    Raises:
        DataError: D221, there is no such split; others, an image or a mask is missing or faulty.
        CheckpointError: The network does not fit the data, or an artefact fails.
        RecipeError: R203, `group` is not a regular expression or a metric is not defined for this network; R214, the
            device cannot be used; R225, there is no such metric.
        ResourceError: S601, the disk is full.
    """
    observer.phase("evaluating")
    with Thumbnails() as thumbnails:
        measured = evaluate_protocols(
            subject.model,
            subject.dataset,
            subject.split,
            subject.protocols,
            scoring_options(subject, options, thumbnails, ranks),
            observer=observer,
        )
        saved = save(subject, options, measured, thumbnails, observer, first=ranks.first)
        return [result for result, _ in saved]


def scoring_options(
    subject: Subject, options: EvaluateOptions, thumbnails: Thumbnails, ranks: Ranks = ALONE
) -> ScoringOptions:
    """Options of the pass over the images of a subject.

    Args:
        subject: The subject.
        options: Options of the evaluation.
        thumbnails: Receives small pictures, if the subject wants any.
        ranks: The processes that score together.

    Raises:
        RecipeError: R203, `group` is not a regular expression; R214, the device cannot be used; R225, there is no
            such metric.
    """
    groups = None
    if options.group is not None:
        samples = subject.dataset.samples(subject.split)
        groups = group_names([sample.id for sample in samples], options.group, 1.0)
    return ScoringOptions(
        input_size=subject.input_size,
        batch_size=subject.batch_size,
        device=_device(subject, options),
        precision=subject.precision,
        metrics=measured_metrics(options, subject.model),
        groups=groups,
        thumbnails=thumbnails if subject.pictures else None,
        details=subject.folder is not None,
        ranks=ranks,
    )


def save(
    subject: Subject,
    options: EvaluateOptions,
    measured: Sequence[Measurement],
    thumbnails: Thumbnails,
    observer: Observer = SILENT,
    *,
    first: bool = True,
    tables: Sequence[Path] = (),
) -> list[tuple[Result, Path | None]]:
    """Make results of measurements, and save each in a folder below `subject.folder/evaluations/`.

    Args:
        subject: What was scored.
        options: Options of the evaluation.
        measured: The measurement under each protocol.
        thumbnails: Small pictures of all images.
        observer: Receives the phase and progress.
        first: Whether this process saves.
        tables: Files with a row of counts per image, for each protocol, to be kept with the result.

    Returns:
        One result per protocol, and the folder in which it was saved, if it was.

    Raises:
        ResourceError: S601, the disk is full.
    """
    scored = fingerprint(subject.dataset, [subject.split])
    found: list[tuple[Result, Path | None]] = []
    for number, (protocol, measurement) in enumerate(zip(subject.protocols, measured, strict=True)):
        result = make_result(measurement, _provenance(subject, scored, protocol, options))
        folder = None
        if subject.folder is not None and first:
            with writing_alone(subject.folder / EVALUATIONS, wait=True):
                folder, result, kept = _place(result, subject, options)
                if subject.pictures:
                    _save_pictures(subject, measurement, thumbnails, folder, observer)
                save_details(measurement.details, folder)
                _save_table(tables[number] if tables else None, folder)
                save_result(kept, measurement.per_image, folder)
        found.append((msgspec.structs.replace(result, per_image=measurement.per_image), folder))
    return found


def _save_table(table: Path | None, folder: Path) -> None:
    """Keep a row of counts per image, or remove those of an earlier evaluation."""
    if table is None:
        (folder / IMAGES).unlink(missing_ok=True)
        return
    with writing(folder / IMAGES) as temporary:
        shutil.copyfile(table, temporary)


def _provenance(subject: Subject, scored: str, protocol: Protocol, options: EvaluateOptions) -> Provenance:
    return Provenance(
        **msgspec.structs.asdict(subject.origin),
        data_fingerprint=scored,
        command=_command(subject, protocol, options),
        data=subject.data,
        own_data=subject.own_data,
        notes=(*(remark.message for remark in subject.dataset.remarks), *subject.notes),
        variant=shlex.join(subject.overrides),
    )


def _place(result: Result, subject: Subject, options: EvaluateOptions) -> tuple[Path, Result, Result]:
    """Where a result overwrites nothing but an earlier answer to the same question; the result; what to save there."""
    run = subject.folder or Path()
    folder, kept = folder_for(run, result), result
    earlier = earlier_result(folder)
    if earlier is not None and other_groups(result, earlier):
        result = msgspec.structs.replace(
            result, variant=shlex.join([*subject.overrides, "--group", options.group or ""])
        )
        folder, kept, earlier = folder_for(run, result), result, None
    if earlier is not None and same_counts(result, earlier):
        kept = with_earlier(result, earlier)
    return folder, result, kept


def _save_pictures(
    subject: Subject, measurement: Measurement, thumbnails: Thumbnails, folder: Path, observer: Observer
) -> None:
    """Save the small pictures of all images, the pictures of some, and labels that may be wrong."""
    gallery = save_samples(subject.model, subject.dataset, measurement, folder / SAMPLES, observer)
    thumbnails.save(folder / THUMBNAILS)
    if gallery.suspects is None:
        (folder / SUSPECTS).unlink(missing_ok=True)
    else:
        save_suspects(gallery.suspects, folder)


def measured_metrics(options: EvaluateOptions, model: SegmentationModel) -> tuple[str, ...]:
    """Names of the metrics to measure: the requested ones, and the default ones that are defined for the network."""
    asked = [*(["calibration_error"] if options.calibration else []), *options.metrics]
    usual = [name for name, metric in METRICS.all().items() if metric.default and not refusal_of(metric, model)]
    if not options.boundary and "boundary_iou" in usual:
        usual.remove("boundary_iou")
    return tuple(dict.fromkeys([*usual, *asked]))


def _device(subject: Subject, options: EvaluateOptions) -> torch.device:
    if not isinstance(subject.model, ArtefactModel):
        return choose_device(options.device)
    # Artefacts run on the CPU here, in their own number format.
    if options.device not in (None, "auto") and choose_device(options.device).type != "cpu":
        raise RecipeError(
            "R214",
            f"device '{options.device}' cannot be used: {subject.model.sidecar.runtime} artefacts run on the CPU; "
            "found: cpu",
            "leave `device` out, or evaluate the run that the artefact was exported from",
        )
    return torch.device("cpu")


def _command(subject: Subject, protocol: Protocol, options: EvaluateOptions) -> str:
    """The command line that repeats the measurement; empty if there is none."""
    if not subject.command:
        return ""
    return shlex.join([*subject.command, "--split", subject.split, "--protocol", protocol.name, *options.words()])
