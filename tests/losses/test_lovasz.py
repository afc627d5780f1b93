import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.losses.lovasz import lovasz_softmax
from pixelwise.losses.pixels import labelled_classes


def test_two_pixels_by_hand():
    # p(class 0) = 3/4 on a pixel of class 0 and 1/2 on one of class 1.
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 0, 0, 0] = math.log(3)
    labels = torch.tensor([[[0, 1]]])
    # Class 0: the larger error, 1/2, is outside: the Jaccard loss rises from 0 to 1/2; the other, 1/4, inside,
    # to 1. Class 1: the larger error, 1/2, is its only pixel: from 0 to 1; the other adds nothing.
    expected = ((0.5 * 0.5 + 0.25 * 0.5) + 0.5 * 1) / 2
    assert lovasz_softmax(logits, labels).item() == pytest.approx(expected)


def test_the_gradient_by_hand():
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 0, 0, 0] = math.log(3)
    logits.requires_grad_()
    lovasz_softmax(logits, torch.tensor([[[0, 1]]])).backward()
    # By the probabilities: pixel 0 has -1/2 for class 0 and 0 for class 1, pixel 1 has 1/2 and -1, halved for
    # two classes. By the logits: p (g - sum p g).
    first, second = 0.75 * 0.25 * -0.25, 0.5 * 0.5 * (0.25 + 0.5)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0, 0, 0], torch.tensor([first, second]))
    torch.testing.assert_close(logits.grad[0, 1, 0], torch.tensor([-first, -second]))


def certain(predicted: torch.Tensor, num_classes: int) -> torch.Tensor:
    return 200 * torch.nn.functional.one_hot(predicted, num_classes).permute(0, 3, 1, 2).double()


def mean_jaccard_loss(predicted: torch.Tensor, labels: torch.Tensor, num_classes: int) -> float:
    valid = labels != 255
    losses = []
    for k in range(num_classes):
        mine, theirs = (predicted == k) & valid, labels == k
        if theirs.any():
            losses.append(1 - int((mine & theirs).sum()) / int((mine | theirs).sum()))
    return sum(losses) / len(losses) if losses else 0.0


PIXELS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2, 255])), min_size=1, max_size=30)


@given(PIXELS)
def test_of_certain_predictions_it_is_1_minus_the_iou(pixels: list[tuple[int, int]]):
    predicted = torch.tensor([[[guess for guess, _ in pixels]]])
    labels = torch.tensor([[[label for _, label in pixels]]], dtype=torch.uint8)
    found = lovasz_softmax(certain(predicted, 3), labels).item()
    assert found == pytest.approx(mean_jaccard_loss(predicted, labels, 3), abs=1e-9)


def test_per_image_averages_the_images_that_have_labels():
    torch.manual_seed(0)
    predicted, labels = torch.randint(0, 3, (3, 4, 4)), torch.randint(0, 3, (3, 4, 4))
    labels[1] = 255
    each = [mean_jaccard_loss(predicted[i : i + 1], labels[i : i + 1], 3) for i in (0, 2)]
    found = lovasz_softmax(certain(predicted, 3), labels, per_image=True).item()
    assert found == pytest.approx(sum(each) / 2)
    whole = lovasz_softmax(certain(predicted, 3), labels).item()
    assert whole == pytest.approx(mean_jaccard_loss(predicted, labels, 3))
    assert abs(whole - found) > 1e-3


def test_of_one_image_both_are_the_same():
    torch.manual_seed(0)
    logits, labels = torch.randn(1, 4, 6, 6), torch.randint(0, 4, (1, 6, 6))
    torch.testing.assert_close(lovasz_softmax(logits, labels, per_image=True), lovasz_softmax(logits, labels))


def test_it_equals_the_definition_by_differences_of_the_jaccard_loss():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4, 5, dtype=torch.float64), torch.randint(0, 3, (2, 4, 5))
    probabilities = logits.softmax(1)
    losses = []
    for k in range(3):
        truth = (labels == k).flatten()
        errors = (truth.double() - probabilities[:, k].flatten()).abs()
        order = errors.argsort(descending=True).tolist()
        wrong: set[int] = set()
        before, total = 0.0, 0.0
        for pixel in order:
            wrong.add(pixel)
            missed = sum(bool(truth[i]) for i in wrong)
            after = 1 - (int(truth.sum()) - missed) / (int(truth.sum()) + len(wrong) - missed)
            total += float(errors[pixel]) * (after - before)
            before = after
        losses.append(total)
    assert lovasz_softmax(logits, labels).item() == pytest.approx(sum(losses) / 3, rel=1e-12)


def test_it_stays_exact_over_many_pixels():
    # One class pixel among 2^20 that are right: 1 - IoU is 1 minus 1 / (1 + 0). Differences in float32 would drift.
    labels = torch.zeros(1, 1024, 1024, dtype=torch.uint8)
    labels[0, 0, 0] = 1
    logits = torch.zeros(1, 2, 1024, 1024)
    logits[:, 0] = math.log(3)  # p = 3/4 for class 0 everywhere
    # Class 0: every class pixel errs by 1/4, the other by 3/4, which comes first: 3/4 / N + 1/4 (1 - 1 / N).
    # Class 1: its pixel errs by 3/4 first: 3/4, and nothing is left to lose.
    pixels = 1024 * 1024
    expected = (0.75 / pixels + 0.25 * (1 - 1 / pixels) + 0.75) / 2
    assert lovasz_softmax(logits, labels).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("per_image", [False, True])
def test_classes_that_are_known_are_not_looked_for(per_image: bool, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 4, 6, 6), torch.randint(0, 3, (3, 6, 6))
    labels[2] = 255
    expected = lovasz_softmax(logits, labels, per_image=per_image)
    classes = labelled_classes(labels)

    def read_back(tensor: torch.Tensor) -> torch.Tensor:
        raise AssertionError("waits for the GPU")

    monkeypatch.setattr(torch.Tensor, "cpu", read_back)
    assert torch.equal(lovasz_softmax(logits, labels, per_image=per_image, classes=classes), expected)
