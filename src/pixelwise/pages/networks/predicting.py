"""Predictions of images that a result's folder does not keep, made when somebody looks at them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.datasets.format import needs_folder
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.run_data import open_run_data
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import PixelwiseError
from pixelwise.evaluation.gallery import LONGEST_SIDE
from pixelwise.evaluation.large import Rules
from pixelwise.evaluation.pairs import pairs_of
from pixelwise.evaluation.passes import predict_pair
from pixelwise.pages.catalog import Catalog, Entry, Refused
from pixelwise.pages.networks.permission import require_predictable
from pixelwise.pages.networks.whole_images import Left, write_whole
from pixelwise.pages.pictures import Shown
from pixelwise.prediction.network import prediction_mode
from pixelwise.prediction.overlays import as_picture
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.records.result import Result
from pixelwise.records.run_folder import read_recipe
from pixelwise.transforms.resizing import resize_image, resize_labels


class _Loaded(NamedTuple):
    """The network of a result and the images it was scored on, by id."""

    trained: TrainedModel
    dataset: Dataset
    samples: dict[str, Sample]


class Predictor:
    """Predicts one image at a time; the network of the run that was asked for last stays in memory.

    Args:
        catalog: The folders that may be read: images of others are not shown.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._of = ""
        self._loaded: _Loaded | Refused | None = None

    def predict(self, entry: Entry, result: Result, image: str) -> Shown:
        """An image of a result with its labels and its prediction, at the size of the score, at most 1280 px long.

        Args:
            entry: The result's place.
            result: The result.
            image: Id of the image.

        Raises:
            Refused: It cannot be predicted, or may not be shown.
        """
        with self._lock:
            try:
                found = self._load(entry, result)
                return self._predicted(found, result, image)
            except (PixelwiseError, OSError) as error:
                raise Refused(str(error)) from error

    def predict_whole(self, entry: Entry, result: Result, image: str, folder: Path) -> None:
        """Predict a large image at its own size into files, as `write_whole`.

        Args:
            entry: The result's place.
            result: The result, whose protocol scores at the size of the labels.
            image: Id of the image.
            folder: Existing folder for the files.

        Raises:
            Refused: It cannot be predicted, or may not be shown; or the folder was removed.
        """
        with self._lock:
            try:
                found = self._load(entry, result)
                sample = _sample_of(found, image)
                rules = Rules(find_protocol(result.protocol), result.input_size)
                with prediction_mode(found.trained.model):
                    write_whole(found.trained.model, sample, found.dataset, rules, folder)
            except (PixelwiseError, OSError, Left) as error:
                raise Refused(str(error)) from error

    def _load(self, entry: Entry, result: Result) -> _Loaded:
        key = f"{entry.id} {result.weights_sha256}"
        if self._loaded is None or self._of != key:
            self._loaded = None  # before the next network needs the memory
            try:
                self._loaded = self._opened(entry, result)
            except Refused as refused:
                self._loaded = refused
            self._of = key
        if isinstance(self._loaded, Refused):
            raise Refused(str(self._loaded))
        return self._loaded

    def _opened(self, entry: Entry, result: Result) -> _Loaded:
        folder, recipe = require_predictable(self._catalog, entry, result), read_recipe(entry.run)
        trained = load_trained(entry.run)
        if trained.weights_sha256 != result.weights_sha256:
            raise Refused("The run has other weights now; `pixelwise evaluate` scores them.")
        dataset = open_run_data(entry.run, recipe, folder)
        samples = {one.id: one for one in dataset.samples(result.split)}
        paths = [Path(one.image_path) for one in samples.values()]
        if needs_folder(recipe.data.dataset) and not all(map(self._catalog.holds, paths)):
            raise Refused("Some of its images lie outside the folders that may be shown.")
        return _Loaded(trained, dataset, samples)

    def _predicted(self, found: _Loaded, result: Result, image: str) -> Shown:
        sample = _sample_of(found, image)
        picture, labels = read_pair(sample, found.dataset, fit=False)
        protocol = find_protocol(result.protocol)
        (pair,) = pairs_of(sample, picture, labels, (protocol,), result.input_size)
        with prediction_mode(found.trained.model):
            prediction = predict_pair(found.trained.model, pair, protocol).cpu().numpy().astype(np.uint8)
        height, width = pair.labels.shape
        scale = min(1.0, LONGEST_SIDE / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return Shown(
            resize_image(as_picture(picture), size), resize_labels(pair.labels, size), resize_labels(prediction, size)
        )


def _sample_of(found: _Loaded, image: str) -> Sample:
    sample = found.samples.get(image)
    if sample is None or found.dataset.multilabel:
        raise Refused("The data set no longer has this image." if sample is None else "It is multi-label data.")
    return sample
