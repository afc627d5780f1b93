"""Every score of a confusion matrix, and the counts themselves, as scikit-learn computes them from the pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from references.drawn_masks import IGNORE, Drawn, drawn, images
from sklearn import metrics as theirs

from pixelwise.metrics import confusion_matrix, multilabel_counts, multilabel_scores, scores
from pixelwise.metrics.scores import Scores
from pixelwise.recipes.class_sets.tables import IGNORE_BIT
from pixelwise.reports.run.thresholds import scores_at

AGREE = {"abs": 1e-12, "nan_ok": True}
EXAMPLES = settings(max_examples=40, deadline=None)
# A single class has a matrix of one row, which scikit-learn takes for a mistake.
pytestmark = pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")


def ours(image: Drawn, absent: str = "skip") -> Scores:
    return scores(confusion_matrix(image.labels, image.prediction, image.classes), absent)  # type: ignore[arg-type]


def in_neither(image: Drawn) -> np.ndarray:
    """bool (K,), whether a class occurs in neither labels nor prediction."""
    return ~np.isin(np.arange(image.classes), np.concatenate([image.truth, image.found]))


def per_class(score: object, image: Drawn) -> np.ndarray:
    """A score of scikit-learn for every class, which is undefined without a pixel that it divides by."""
    return score(image.truth, image.found, labels=range(image.classes), average=None, zero_division=np.nan)  # type: ignore[operator]


@EXAMPLES
@given(image=images())
def test_the_counts(image: Drawn):
    found = confusion_matrix(image.labels, image.prediction, image.classes).numpy()
    if not len(image.truth):
        assert not found.any()
        return
    assert np.array_equal(found, theirs.confusion_matrix(image.truth, image.found, labels=range(image.classes)))


@EXAMPLES
@given(image=images())
def test_accuracy_precision_and_f1_of_each_class(image: Drawn):
    assume(len(image.truth))
    found = ours(image)
    assert found.accuracy == pytest.approx(per_class(theirs.recall_score, image), **AGREE)
    assert found.precision == pytest.approx(per_class(theirs.precision_score, image), **AGREE)
    assert found.f1 == pytest.approx(per_class(theirs.f1_score, image), **AGREE)
    assert found.pixels == tuple(np.bincount(image.truth, minlength=image.classes))


@EXAMPLES
@given(image=images())
def test_iou_and_its_means(image: Drawn):
    assume(len(image.truth))
    found, absent = ours(image), in_neither(image)
    # scikit-learn has no undefined Jaccard index, and counts a class that occurs nowhere as 0.
    values = theirs.jaccard_score(
        image.truth, image.found, labels=range(image.classes), average=None, zero_division=0.0
    )
    assert found.iou == pytest.approx(np.where(absent, np.nan, values), **AGREE)
    assert found.classes_present == (~absent).sum()
    present = np.flatnonzero(~absent)
    mean = theirs.jaccard_score(image.truth, image.found, labels=present, average="macro", zero_division=0.0)
    assert found.miou == pytest.approx(mean, **AGREE)
    assert ours(image, "zero").miou == pytest.approx(mean * len(present) / image.classes, **AGREE)
    weighted = theirs.jaccard_score(image.truth, image.found, average="weighted", zero_division=0.0)
    assert found.frequency_weighted_iou == pytest.approx(weighted, **AGREE)


@EXAMPLES
@given(image=images())
def test_accuracy_of_pixels_and_of_classes(image: Drawn):
    assume(len(image.truth))
    found = ours(image)
    assert found.pixel_accuracy == pytest.approx(theirs.accuracy_score(image.truth, image.found), **AGREE)
    labelled = np.unique(image.truth)
    mean = theirs.recall_score(image.truth, image.found, labels=labelled, average="macro", zero_division=np.nan)
    assert found.mean_accuracy == pytest.approx(mean, **AGREE)


def test_the_drawn_images_hold_what_is_easily_got_wrong():
    some = [drawn(number) for number in range(100)]
    assert any(not len(one.truth) for one in some)
    assert any(one.classes == 1 and len(one.truth) for one in some)
    assert any(len(one.truth) and in_neither(one).any() for one in some)
    assert any(IGNORE in one.labels and len(one.truth) for one in some)
    assert any(set(one.found.tolist()) - set(one.truth.tolist()) for one in some)


@EXAMPLES
@given(seed=st.integers(0, 2**20), classes=st.integers(1, 5), ignored=st.sampled_from([0.0, 0.4]))
def test_multi_label_counts_and_scores(seed: int, classes: int, ignored: float):
    random = np.random.RandomState(seed)
    # (pixels, K); the last class is in no label, if there are several.
    truth, guess = (random.rand(60, classes) < share for share in (0.3, 0.4))
    truth[:, -1] &= classes == 1
    void = random.rand(60) < ignored
    bits = 1 << np.arange(classes)
    labels = np.where(void, IGNORE_BIT, truth @ bits).astype(np.int32)
    prediction = (guess @ bits).astype(np.int32)

    counts = multilabel_counts(labels[None], prediction[None], classes).numpy()
    found = multilabel_scores(counts)

    # A single class is a column too: scikit-learn would else take it for two classes that exclude each other.
    seen, told = truth[~void].astype(int), guess[~void].astype(int)
    for k in range(classes):
        table = theirs.confusion_matrix(seen[:, k], told[:, k], labels=[0, 1])
        assert counts[k].tolist() == [table[1, 1], table[0, 1], table[1, 0], table[0, 0]]
        anywhere = bool((seen[:, k] | told[:, k]).any())
        iou = theirs.jaccard_score(seen[:, k], told[:, k], zero_division=0.0) if anywhere else math.nan
        assert found.iou[k] == pytest.approx(iou, **AGREE)
        for name, score in (("accuracy", "recall"), ("precision", "precision"), ("f1", "f1")):
            value = getattr(theirs, f"{score}_score")(seen[:, k], told[:, k], zero_division=np.nan)
            assert getattr(found, name)[k] == pytest.approx(value, **AGREE)
    assert found.pixel_accuracy == pytest.approx(1 - theirs.hamming_loss(seen, told), **AGREE)


@EXAMPLES
@given(seed=st.integers(0, 2**20), threshold=st.integers(1, 99))
def test_scores_with_another_threshold(seed: int, threshold: int):
    random = np.random.RandomState(seed)
    # Level k holds the probabilities above k % and up to k + 1 %.
    levels, positive = random.randint(0, 100, 80), random.rand(80) < 0.4
    positive[0] = True

    found = scores_at(
        threshold, np.bincount(levels[positive], minlength=100), np.bincount(levels[~positive], minlength=100)
    )

    masked = (levels + 0.5) / 100 > threshold / 100
    assert found.iou == pytest.approx(theirs.jaccard_score(positive, masked), **AGREE)
    assert found.recall == pytest.approx(theirs.recall_score(positive, masked), **AGREE)
    expected = theirs.precision_score(positive, masked) if masked.any() else None
    assert found.precision == (expected if expected is None else pytest.approx(expected, **AGREE))


def test_tensors_on_the_way_change_nothing():
    image = drawn(11)
    counts = confusion_matrix(torch.from_numpy(image.labels), torch.from_numpy(image.prediction), image.classes)
    assert scores(counts) == ours(image)
