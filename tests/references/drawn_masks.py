"""Labels and predictions drawn by a rule: with ignored pixels, absent classes, nothing labelled, a single class.

Everything follows from a number, so that what another library computed once can be compared wherever tests run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

IGNORE = 255
SIZES = ((1, 1), (1, 9), (7, 5), (24, 31), (40, 40))
"""(height, width) of the images: a single pixel, a row, and images of even and odd sides."""


class Drawn(NamedTuple):
    """A labelled image and its prediction.

    Attributes:
        labels: uint8 (H, W), 0..K-1 or 255 (ignored).
        prediction: uint8 (H, W), 0..K-1.
        classes: Number of classes K.
    """

    labels: np.ndarray
    prediction: np.ndarray
    classes: int

    @property
    def truth(self) -> np.ndarray:
        """The labelled pixels in a row."""
        return self.labels[self.labels != IGNORE]

    @property
    def found(self) -> np.ndarray:
        """What is predicted for them."""
        return self.prediction[self.labels != IGNORE]


def drawn(number: int, classes: int | None = None, size: tuple[int, int] | None = None) -> Drawn:
    """The image of this number; patches of a class, so that there are regions and contours."""
    random = np.random.RandomState(number)
    K = classes or int(random.randint(1, 7))
    H, W = size or SIZES[random.randint(len(SIZES))]
    # Some classes may be labelled, and others predicted: each is now and then in neither.
    labelled, predicted = (np.flatnonzero(random.rand(K) < 0.7) for _ in range(2))
    labelled, predicted = (some if len(some) else np.array([0]) for some in (labelled, predicted))
    patch = int(random.randint(1, 6))
    truth, other = (
        np.kron(random.choice(some, (H // patch + 1, W // patch + 1)), np.ones((patch, patch)))[:H, :W]
        for some in (labelled, predicted)
    )
    found = np.where(random.rand(H, W) < random.choice([0.0, 0.6, 1.0]), truth, other).astype(np.uint8)
    ignored = random.rand(H, W) < random.choice([0.0, 0.3, 1.0], p=[0.4, 0.5, 0.1])
    return Drawn(np.where(ignored, IGNORE, truth).astype(np.uint8), found, K)


def images() -> st.SearchStrategy[Drawn]:
    """Any of these images."""
    return st.integers(0, 2**20).map(drawn)


def drawn_logits(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits float32 (K, N) of N pixels, and labels int64 (N,), which the surest predictions often miss."""
    random = np.random.RandomState(number)
    K, N = int(random.randint(2, 7)), 400
    logits = (random.standard_normal((K, N)) * random.choice([0.5, 2.0, 6.0])).astype(np.float32)
    labels = np.where(random.rand(N) < 0.6, logits.argmax(0), random.randint(0, K, N))
    return logits, np.where(random.rand(N) < 0.2, IGNORE, labels).astype(np.int64)


def drawn_shapes(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Two bool masks (H, W), neither of which is empty: a few rectangles each."""
    random = np.random.RandomState(number)
    H, W = (int(side) for side in random.randint(5, 60, 2))
    masks = np.zeros((2, H, W), bool)
    for mask in masks:
        for _ in range(random.randint(1, 4)):
            y, x = random.randint(H), random.randint(W)
            mask[y : y + random.randint(1, H), x : x + random.randint(1, W)] = True
    return masks[0], masks[1]
