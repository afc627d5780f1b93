"""Scoring of images that are too large to be decoded whole, through the blocks by which such images are predicted.

The counts are exact. Where a protocol shows the network windows, or the image at another size, they are those of the
image that is predicted whole; an image that a protocol shows in one piece is seen through tapered windows instead.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from pixelwise.datasets.reading.regions.images import Region
from pixelwise.datasets.reading.regions.pairs import PairRegions
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.evaluation.pairs import EvaluationPair
from pixelwise.evaluation.tally import task_of
from pixelwise.metrics import ScoredImage
from pixelwise.models import SegmentationModel
from pixelwise.prediction.large.blocks import Block, Blocks, Joining
from pixelwise.prediction.large.parts import widely_overlapping
from pixelwise.prediction.large.previews import Preview
from pixelwise.prediction.large.shrunk import shrunk_blocks, shrunken
from pixelwise.prediction.network import main_logits
from pixelwise.prediction.segmenter import WINDOW, through_windows
from pixelwise.prediction.sizes import fitted_size
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.training import Precision
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.inference import fitted_to
from pixelwise.storage import printable


class Rules(NamedTuple):
    """How images are scored.

    Attributes:
        protocol: Protocol by which they are predicted and scored.
        input_size: Input size if the protocol leaves it open; None for the image's own size.
        precision: Number format and memory layout.
    """

    protocol: Protocol
    input_size: Size | None = None
    precision: Precision = Precision()


class LargeScore(NamedTuple):
    """Counts of an image that was scored in parts, and a reduced picture of it.

    Attributes:
        counts: int64 (K, K), rows ground truth, columns prediction; for multi-label data (K, 4), as in `ScoredImage`.
        pair: The reduced image and its reduced labels.
        prediction: Class ids of the reduced picture, uint8 (h, w), or bit fields int32.
        size: (height, width) of the image.
    """

    counts: np.ndarray
    pair: EvaluationPair
    prediction: np.ndarray
    size: Size


def score_in_parts(
    model: SegmentationModel,
    sample: Sample,
    dataset: Dataset,
    rules: Rules,
    going: Callable[[], object] = lambda: None,
) -> LargeScore:
    """Predict an image in parts and count its pixels.

    Args:
        model: The network, in evaluation mode.
        sample: A sample of `dataset` that is read in parts.
        dataset: The data set, with the classes of the network.
        rules: How it is scored.
        going: Called after every part; an exception that it raises ends the scoring.

    Raises:
        DataError: The image or its mask cannot be read; D120, the protocol can only be applied to a whole image.
    """
    _refuse(sample, rules.protocol)
    task = task_of(dataset.classes, rules.protocol, multilabel=model.multilabel)
    counts: np.ndarray | None = None
    with (
        PairRegions(sample, dataset) as pair,
        tempfile.TemporaryDirectory(prefix="pixelwise-") as scratch,
    ):
        size = pair.regions.size
        shown = Preview(size, model.preprocessing.in_channels, np.int32 if dataset.multilabel else np.uint8)
        truth = np.zeros_like(shown.labels)

        def read(where: Rectangle) -> Region:
            # Pixels without data are scored as their labels say, like those of an image that is decoded whole.
            return Region(pair.regions.read(where).pixels)

        for block in scored_blocks(model, read, size, rules, Path(scratch)):
            labels = pair.mask.labels(block.where)
            found = ScoredImage(sample.id, labels, torch.from_numpy(block.labels), task).counts
            counts = found if counts is None else counts + found
            shown.add(block.where, block.pixels, block.labels)
            shown.put(truth, block.where, labels)
            going()
        if counts is None:
            raise AssertionError  # every image has a block
        return LargeScore(counts, EvaluationPair(sample, shown.image, truth), shown.labels, size)


def scored_blocks(
    model: SegmentationModel, read: Callable[[Rectangle], Region], size: Size, rules: Rules, scratch: Path
) -> Iterator[Block]:
    """The prediction of an image in blocks, in rows from the top, as it is scored in parts.

    Args:
        model: The network, in evaluation mode.
        read: Reads rectangles of the image.
        size: (height, width) of the image.
        rules: How it is scored; see `applies_in_parts`.
        scratch: Folder for values that wait for the windows of the next row.
    """
    protocol = fitted_to(rules.protocol, model.fixed_size)
    seen = protocol.seen_size(rules.input_size) or size
    if protocol.fit is not None:
        seen = fitted_size(size, *protocol.fit)
    if seen != size:
        shrunk = shrunken(read, size, seen, protocol.resampling)
        return shrunk_blocks(model, read, size, shrunk, protocol, precision=rules.precision)
    tapered = protocol.window is None and model.gives_scores
    if protocol.window is None:
        protocol = through_windows(protocol, WINDOW)
        # Class ids cannot be averaged.
        central = msgspec.structs.replace(protocol, blend="central")
        protocol = widely_overlapping(protocol) if tapered else central
    look = functools.partial(main_logits, model, precision=rules.precision)
    joining = Joining(protocol, model.align_corners, model.multilabel, tapered, model.scores)
    return iter(Blocks(look, read, size, joining, scratch=scratch))


def _refuse(sample: Sample, protocol: Protocol) -> None:
    """Refuse what only an image as a whole can be asked.

    Raises:
        DataError: D120.
    """
    asks = _asks(protocol)
    if asks:
        raise DataError(
            "D120",
            f"{printable(sample.image_path)}: too large to be decoded whole, but protocol '{protocol.name}' asks for "
            f"{' and '.join(asks)}, for which it would be",
            "score it by protocol native, or by one with windows; or set data.max_pixels to its number of pixels if "
            "there is the memory for it",
        )


def applies_in_parts(protocol: Protocol) -> bool:
    """Whether images can be predicted in parts by a protocol."""
    return not _asks(protocol)


def _asks(protocol: Protocol) -> list[str]:
    """What a protocol asks for of which only a whole image can be asked."""
    return [
        *(["several scales"] if protocol.scales != (1.0,) else []),
        *(["a mirrored image"] if protocol.flip else []),
        *(["a score at another size than that of the labels"] if protocol.score_size != "native" else []),
    ]
