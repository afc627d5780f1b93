"""The order in which correcting pre-labels pays: unsure images first, and none that looks like one before it.

Each place goes to the image with the highest product of its uncertainty and its distance to the nearest image before
it, corrected ones included. Uncertainty alone would ask for many images of the same difficult kind, distance alone for
oddities that the network knows well. The uncertainty is the mean entropy of the pixels (Settles, Active Learning
Literature Survey, 2009, section 3.1); the distance is that of farthest-first traversal (Gonzalez, Theoretical Computer
Science 38, 1985) on features of the network, as in core-set selection (Sener and Savarese, ICLR 2018,
arXiv:1708.00489).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PLACES = 1000
"""Number of places that are given so; the images after them follow by uncertainty alone."""


class Place(NamedTuple):
    """A place in the order.

    Attributes:
        image: Number of the image.
        score: Product of uncertainty and distance; the uncertainty for images after the first `PLACES`.
        distance: Distance to the nearest image before it, 1 at the typical distance between images; None if there is no
            image before it, or if it was not looked at.
        nearest: Number of that image; those that are corrected follow the others.
    """

    image: int
    score: float
    distance: float | None = None
    nearest: int | None = None


def ordered(
    uncertainty: Sequence[float], features: np.ndarray, corrected: np.ndarray, places: int = PLACES
) -> list[Place]:
    """The order of images. The same values give the same order; of equal images, the first comes first.

    Args:
        uncertainty: Uncertainty of each image, 0..1.
        features: Features (N, D) of the images.
        corrected: Features (M, D) of images that were corrected already.
        places: Number of places that are given by the product.
    """
    number = len(uncertainty)
    if not number:
        return []
    values = np.asarray(uncertainty, np.float64)
    points = np.asarray(features, np.float64)
    others = np.asarray(corrected, np.float64).reshape(-1, points.shape[1])
    centred = np.concatenate([points, others])
    # Root mean square distance between two of the images.
    typical = float(np.sqrt(2 * centred.var(0).sum())) or 1.0
    nearest = np.full(number, -1)
    distances = np.full(number, np.inf)

    def look(point: np.ndarray, name: int) -> None:
        found = np.sqrt(((points - point) ** 2).sum(1)) / typical
        closer = found < distances
        nearest[closer] = name
        np.minimum(distances, found, out=distances)

    for name, point in enumerate(others, number):
        look(point, name)
    left = np.ones(number, bool)
    order: list[Place] = []
    for _ in range(min(places, number)):
        gains = np.where(left, values * np.where(np.isfinite(distances), distances, 1.0), -1.0)
        # Images that look alike have no gain; the more unsure one still comes first.
        best = int(np.lexsort((-np.where(left, values, -1.0), -gains))[0])
        known = bool(np.isfinite(distances[best]))
        order.append(
            Place(
                best,
                float(gains[best]),
                float(distances[best]) if known else None,
                int(nearest[best]) if known else None,
            )
        )
        left[best] = False
        look(points[best], best)
    rest = [place for place in np.argsort(-values, kind="stable").tolist() if left[place]]
    return [*order, *(Place(place, float(values[place])) for place in rest)]
