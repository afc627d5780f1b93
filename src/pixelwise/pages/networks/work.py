"""What is asked of networks: their cost, predictions of images that no run has kept, and masks to fill."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelwise.errors import PixelwiseError
from pixelwise.pages.catalog import Catalog, Entry, Refused
from pixelwise.pages.fixing.masks import Uneditable
from pixelwise.pages.networks.costs import UNKNOWN, Cost, counted
from pixelwise.pages.networks.filling import Filler
from pixelwise.pages.networks.helper import Ended, Helper
from pixelwise.pages.networks.permission import require_predictable
from pixelwise.pages.pictures import Shown
from pixelwise.recipes.default_sizes import seen_size
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.result import Result
from pixelwise.records.run_folder import read_recipe

if TYPE_CHECKING:
    from pixelwise.pages.networks.predicting import Predictor

KEPT = 60.0
"""Seconds that a network stays in memory: whoever looks at one image looks at the next one, too."""
COUNTED = 2.0
"""Seconds that a process without a network stays. The many networks of a leaderboard are counted one after another."""
_DIED = "The process that predicts has ended; perhaps the memory did not suffice."


class Work:
    """Does the work; lives in the process that has PyTorch, which its methods import.

    Args:
        catalog: The folders that may be read.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._predictor: Predictor | None = None
        self._filler = Filler()

    def cost(self, recipe: Recipe, size: Size) -> Cost:
        """The cost of a recipe's network at an input size."""
        return counted(recipe, size)

    def shown(self, entry: Entry, result: Result, image: str) -> Shown:
        """As `Networks.shown`."""
        from pixelwise.pages.networks.predicting import Predictor

        self._predictor = self._predictor or Predictor(self._catalog)
        return self._predictor.predict(entry, result, image)

    def whole(self, entry: Entry, result: Result, image: str, folder: Path) -> None:
        """As `Networks.whole`."""
        from pixelwise.pages.networks.predicting import Predictor

        self._predictor = self._predictor or Predictor(self._catalog)
        self._predictor.predict_whole(entry, result, image, folder)

    def filled(self, run: Path, image: Path, classes: Sequence[str], size: Size) -> np.ndarray:
        """As `Networks.filled`."""
        return self._filler.predict(run, image, classes, size)


class Networks:
    """Networks as the server knows them: in processes of their own, while somebody asks for them.

    Args:
        catalog: The folders that may be read.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        # Whoever looks at a page waits for a prediction, but nobody for counts.
        self._helper, self._counter = Helper(partial(Work, catalog)), Helper(partial(Work, catalog), background=True)
        self._large = Helper(partial(Work, catalog))  # takes minutes, during which other images are looked at

    def cost(self, run: Path, size: Size | None) -> Cost:
        """The cost of a run's network at an input size, or at that of its recipe; unknown if it cannot be built."""
        try:
            recipe = read_recipe(run)
            return self._counter.ask(COUNTED, Work.cost, recipe, size or seen_size(recipe))
        except (Ended, PixelwiseError, OSError):
            return UNKNOWN

    def shown(self, entry: Entry, result: Result, image: str) -> Shown:
        """An image of a result with its labels and its prediction, as `Predictor.predict`.

        Raises:
            Refused: It cannot be predicted, or may not be shown.
        """
        try:
            require_predictable(self._catalog, entry, result)  # no process for what it would refuse
            return self._helper.ask(KEPT, Work.shown, entry, result, image)
        except Ended as ended:
            raise Refused(_DIED) from ended
        except PixelwiseError as error:
            raise Refused(str(error)) from error

    def whole(self, entry: Entry, result: Result, image: str, folder: Path) -> None:
        """Predict a large image at its own size into files, as `Predictor.predict_whole`.

        Raises:
            Refused: It cannot be predicted, or may not be shown; or the folder was removed.
        """
        try:
            require_predictable(self._catalog, entry, result)
            self._large.ask(KEPT, Work.whole, entry, result, image, folder)
        except Ended as ended:
            raise Refused(_DIED) from ended
        except PixelwiseError as error:
            raise Refused(str(error)) from error

    def filled(self, run: Path, image: Path, classes: Sequence[str], size: Size) -> np.ndarray:
        """What a run sees in an image, as class ids of a data set, as `Filler.predict`.

        Raises:
            Uneditable: The run cannot predict it.
        """
        try:
            return self._helper.ask(KEPT, Work.filled, run, image, classes, size)
        except Ended as ended:
            raise Uneditable(_DIED) from ended

    def close(self) -> None:
        """End the processes."""
        self._helper.close()
        self._counter.close()
        self._large.close()
