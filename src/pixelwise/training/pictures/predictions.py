"""A few images as predicted at every evaluation, which passes them on, so that nothing is computed twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from torch import Tensor

from pixelwise.datasets.samples import Dataset
from pixelwise.evaluation.pairs import EvaluationPair
from pixelwise.ranks import Ranks
from pixelwise.records.pictures import PICTURES, Moment, Picture, read_pictures, spread, write_pictures
from pixelwise.storage import write_bytes
from pixelwise.training.pictures.layers import at_most, clear_classes, layer, write_picture

MOST_IMAGES = 3
LONGEST_SIDE = 480


class PredictedImages:
    """Pictures of the predictions of an evaluation; `see` receives every prediction and keeps the chosen ones.

    Args:
        run: Run folder.
        dataset: The opened data set.
        split: The evaluated split.
        step: Number of steps done.
    """

    def __init__(self, run: Path, dataset: Dataset, split: str, step: int) -> None:
        self._run, self._dataset, self._split, self._step = run, dataset, split, step
        self._chosen = chosen_ids([sample.id for sample in dataset.samples(split)])
        self._clear = () if dataset.multilabel else clear_classes(dataset.classes)
        found = read_pictures(run)
        self._images = {one.id: one for one in found.images} if found.split == split else {}
        self._layers: dict[str, bytes] = {}

    def see(self, pair: EvaluationPair, predicted: Tensor) -> None:
        """Keep the picture of a prediction if its image was chosen.

        Args:
            pair: The image as the network saw it, with its labels at the score size.
            predicted: Class ids (H, W) or int32 bit fields, on any device.
        """
        sample = pair.sample.id
        if sample not in self._chosen:
            return
        size = at_most((pair.labels.shape[0], pair.labels.shape[1]), LONGEST_SIDE)
        palette = self._dataset.palette
        self._layers[sample] = layer(predicted.cpu().numpy(), palette, self._clear, size)
        if sample not in self._images:
            truth = layer(pair.labels, palette, self._clear, size)
            name = f"image-{self._chosen.index(sample) + 1}"
            self._images[sample] = write_picture(self._run, name, sample, pair.image, truth, size)

    def gather(self, ranks: Ranks) -> None:
        """Collect what the other processes have seen."""
        for layers, images in ranks.gather_objects((self._layers, self._images)):
            self._layers |= layers
            self._images |= images

    def save(self) -> None:
        """Add the predictions to the run's pictures, when the evaluation is complete.

        Raises:
            ResourceError: S601, the disk is full.
            OSError: The files cannot be written.
        """
        seen = [sample for sample in self._chosen if sample in self._layers]
        names = [self._name(self._images[sample]) for sample in seen]
        for sample, name in zip(seen, names, strict=True):
            write_bytes(self._run / PICTURES / name, self._layers[sample])
        before, images = read_pictures(self._run), tuple(self._images[sample] for sample in seen)
        others = before.moments if before.images == images else ()  # those of other images would not fit
        moments = {one.step: one for one in (*others, Moment(step=self._step, layers=tuple(names)))}
        kept = tuple(moments[step] for step in spread(sorted(moments)))
        write_pictures(self._run, msgspec.structs.replace(before, split=self._split, images=images, moments=kept))

    def _name(self, image: Picture) -> str:
        return f"{image.photo.removesuffix('.webp')}-step-{self._step}.webp"


def chosen_ids(ids: Sequence[str], most: int = MOST_IMAGES) -> list[str]:
    """At most `most` of the ids, evenly spaced in their alphabetical order: the middle of each part of equal length."""
    ordered = sorted(ids)
    count = min(most, len(ordered))
    return [ordered[(2 * part + 1) * len(ordered) // (2 * count)] for part in range(count)]
