"""Likely label mistakes: regions labelled as one class that a network surely predicts as another, unseen.

Confident learning (Northcutt, Jiang and Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70,
2021, arXiv:1911.00068): how sure a network has to be of a class follows from the labels themselves; it is the average
probability of the class where it is the label (equation 2), over predictions of images that the network has not seen.
A pixel that is predicted as another class than its label with at least that probability counts as an error of the
label. Here connected pixels with the same two classes are one region. Of the classes that are likely enough, the paper
takes the likeliest; here the predicted class is the only one that may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pixelwise.evaluation.details import near_border
from pixelwise.evaluation.folds.out_of_fold import Said
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.sizes import Size
from pixelwise.records.folds.mistakes import LabelMistake

BORDER = 2
"""Pixels this near a border between two labelled classes do not count: there labels are seldom exact."""
LEAST_PIXELS, LEAST_SHARE = 12, 0.0002
"""A region has at least so many pixels, and at least this share of its image."""
PER_IMAGE = 50
"""Number of regions of one image that are ranked: those with the highest score."""


class Evidence(NamedTuple):
    """An image with its labels, and what the network that has not seen it says.

    Attributes:
        truth: Labels, uint8 (H, W), 255 = ignored.
        predicted: Predicted class ids, uint8 (H, W).
        confidence: uint8 (H, W), 255 times the probability of the predicted class.
        of_label: uint8 (H, W), 255 times that of the labelled class.
        size: (height, width) of the image itself.
    """

    truth: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    of_label: np.ndarray
    size: Size


class Expected(NamedTuple):
    """What is to be expected of the networks of all folds, from what they say of images that they have not seen.

    Attributes:
        least: How sure a network has to be of each class to contradict a label: float64 (K,), 0..1; inf for classes
            that label no pixel.
        confusions: Share of the pixels labelled as one class (row) that are predicted as another (column), float64
            (K, K), with one pixel more of each pair, so that none is 0.
    """

    least: np.ndarray
    confusions: np.ndarray


def expected_of(said: Sequence[Said]) -> Expected:
    """What is to be expected of the networks.

    Args:
        said: What the network of each fold says of the images that it has not seen.
    """
    counts = np.sum([one.confusion for one in said], axis=0)
    sums = np.sum([one.self_confidence for one in said], axis=0)
    pixels = counts.sum(1)
    least = np.divide(sums, pixels, out=np.full(len(pixels), np.inf), where=pixels > 0)
    return Expected(least, (counts + 1) / (counts + 1).sum(1, keepdims=True))


def likely_mistakes(seen: Evidence, id: str, classes: Sequence[str], expected: Expected) -> list[LabelMistake]:
    """The regions of an image that are likely label mistakes, the likeliest first.

    Args:
        seen: Labels and prediction of the image.
        id: Its id.
        classes: Names of the classes.
        expected: What is to be expected of the networks.
    """
    truth, predicted = seen.truth, seen.predicted
    enough = np.append(np.ceil(255 * expected.least), np.inf)[np.minimum(predicted, len(classes))]
    sure = (truth != predicted) & (truth != IGNORE) & (seen.confidence >= enough) & ~near_border(truth, BORDER)
    fewest = max(LEAST_PIXELS, LEAST_SHARE * truth.size)
    pairs, counts = np.unique(truth[sure].astype(np.int64) << 8 | predicted[sure], return_counts=True)
    found = []
    for pair in pairs[counts >= fewest].tolist():
        labelled, other = int(pair) >> 8, int(pair) & 255
        mask = (sure & (truth == labelled) & (predicted == other)).astype(np.uint8)
        _, numbers, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
        for number in np.flatnonzero(boxes[1:, cv2.CC_STAT_AREA] >= fewest) + 1:
            x, y, width, height, pixels = boxes[number].tolist()
            part = slice(y, y + height), slice(x, x + width)
            inside = numbers[part] == number
            confidence, of_label = (float(one[part][inside].mean()) / 255 for one in (seen.confidence, seen.of_label))
            left, top, right, bottom = _scaled((x, y, x + width, y + height), truth.shape[:2], seen.size)
            found.append(
                LabelMistake(
                    image=id,
                    labelled=classes[labelled],
                    predicted=classes[other],
                    pixels=pixels,
                    confidence=confidence,
                    of_label=of_label,
                    score=score_of(pixels, confidence, of_label, float(expected.confusions[labelled, other])),
                    x=left,
                    y=top,
                    width=max(1, right - left),
                    height=max(1, bottom - top),
                )
            )
    return sorted(found, key=lambda one: -one.score)[:PER_IMAGE]


def score_of(pixels: int, confidence: float, of_label: float, confused: float) -> float:
    """What a region is ranked by: how far both classes are apart there, how rarely they are confused, and its size.

    It is the product of the logarithm of the ratio of both probabilities, the surprise of the pair (in nats), and the
    side of a square of the same area. Without the surprise, what networks confuse everywhere comes first, as the sky
    between buildings; with the area itself, large regions of which they are half sure come before small objects.

    Args:
        pixels: Area of the region.
        confidence: Mean probability of the predicted class, 0..1.
        of_label: Mean probability of the labelled class, 0..1; taken as 1/510, half of the least that is kept, or more.
        confused: Share of all pixels labelled as the one class that are predicted as the other, above 0.
    """
    return math.log(confidence / max(of_label, 1 / 510)) * -math.log(confused) * math.sqrt(pixels)


def ranked(found: Sequence[LabelMistake]) -> list[LabelMistake]:
    """All regions by score, the likeliest first."""
    return sorted(found, key=lambda one: (-one.score, one.image, one.y, one.x))


def _scaled(box: tuple[int, int, int, int], scored: Size, own: Size) -> tuple[int, int, int, int]:
    """A box (left, top, right, bottom) at the score size, in pixels of the image itself."""
    down, right = own[0] / scored[0], own[1] / scored[1]
    return round(box[0] * right), round(box[1] * down), round(box[2] * right), round(box[3] * down)
