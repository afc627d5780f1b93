import math

import pytest
import torch
import torch.nn.functional as F

from pixelwise.losses.dice import soft_dice
from pixelwise.losses.multilabel import binary_cross_entropy, binary_tversky, expanded
from pixelwise.losses.segmentation import Truth, segmentation_loss
from pixelwise.recipes.class_sets.tables import IGNORE_BIT
from pixelwise.recipes.schema.recipe import Loss


def multilabel_loss(
    heads: list[torch.Tensor], labels: torch.Tensor, loss: Loss, weights: torch.Tensor | None = None
) -> torch.Tensor:
    return segmentation_loss(heads, Truth(labels, multilabel=True), loss, weights)


def batch(classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (2, K, 5, 4) and bit fields with some ignored pixels."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 1 << classes, (2, 5, 4), generator=random, dtype=torch.int32)
    labels[0, :2] = IGNORE_BIT
    return torch.randn(2, classes, 5, 4, generator=random), labels


def test_bits_become_truth_values_by_hand():
    labels = torch.tensor([[[0, 1, 2, 3, 1 << 29, IGNORE_BIT]]], dtype=torch.int32)
    targets, valid = expanded(labels, 30)
    assert targets[0, 0, 0].tolist() == [False, True, False, True, False, False]
    assert targets[0, 1, 0].tolist() == [False, False, True, True, False, False]
    assert targets[0, 29, 0].tolist() == [False, False, False, False, True, False]
    assert valid[0, 0, 0].tolist() == [True, True, True, True, True, False]


def test_two_pixels_and_two_classes_by_hand():
    # Logit ln 3 is a probability of 3/4. Pixel 0 is of class 0 only, pixel 1 is ignored.
    logits = torch.full((1, 2, 1, 2), math.log(3))
    labels = torch.tensor([[[1, IGNORE_BIT]]], dtype=torch.int32)
    found = multilabel_loss([logits], labels, Loss())
    assert found.item() == pytest.approx((-math.log(0.75) - math.log(0.25)) / 2, abs=1e-6)
    weighted = multilabel_loss([logits], labels, Loss(), torch.tensor([5.0, 7.0]))
    assert weighted.item() == pytest.approx((-5 * math.log(0.75) - math.log(0.25)) / 2, abs=1e-6)


def test_labels_are_shrunk_to_the_logits_of_each_head_where_the_recipe_compares_there():
    logits, labels = batch()
    main, auxiliary = logits[:, :, :2, :2], logits[:, :, :1, :1]
    found = multilabel_loss([main, auxiliary], labels, Loss(compare_at="logits", auxiliary=0.4))
    alone = [
        multilabel_loss([main], labels[:, [1, 3]][:, :, [1, 3]], Loss()),
        multilabel_loss([auxiliary], labels[:, [2]][:, :, [2]], Loss()),
    ]
    torch.testing.assert_close(found, alone[0] + 0.4 * alone[1])


def test_it_equals_pytorchs_own_over_the_labelled_pixels():
    logits, labels = batch()
    weights = torch.tensor([1.0, 3.0, 0.5])
    kept = labels != IGNORE_BIT
    pixels = logits.permute(0, 2, 3, 1)[kept]
    truth = torch.stack([labels[kept] >> k & 1 for k in range(3)], dim=1).float()
    expected = F.binary_cross_entropy_with_logits(pixels, truth, pos_weight=weights)
    torch.testing.assert_close(multilabel_loss([logits], labels, Loss(), weights), expected)
    # Divided by all pixels, an image with few labels weighs less.
    share = kept.float().mean()
    torch.testing.assert_close(multilabel_loss([logits], labels, Loss(normalize="all"), weights), expected * share)


def test_auxiliary_heads_count_with_their_weight_and_are_enlarged():
    logits, labels = batch()
    small = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    enlarged = F.interpolate(small, (5, 4), mode="bilinear")
    both = multilabel_loss([logits, small], labels, Loss(auxiliary=0.25))
    alone = [multilabel_loss([head], labels, Loss()) for head in (logits, enlarged)]
    torch.testing.assert_close(both, alone[0] + 0.25 * alone[1])


def test_focal_with_gamma_0_is_the_cross_entropy_and_otherwise_weighs_doubt():
    logits, labels = batch()
    plain = multilabel_loss([logits], labels, Loss())
    focal = Loss(cross_entropy=0, focal=1, focal_gamma=0)
    torch.testing.assert_close(multilabel_loss([logits], labels, focal), plain)
    # One pixel, one class, p = 3/4 of what is true: (1/4)^2 of its cross entropy.
    one = torch.full((1, 1, 1, 1), math.log(3))
    found = multilabel_loss([one], torch.ones(1, 1, 1, dtype=torch.int32), Loss(cross_entropy=0, focal=1))
    assert found.item() == pytest.approx(-math.log(0.75) / 16, abs=1e-6)


def test_dice_of_one_class_is_that_of_two_logits_without_the_background():
    logits, labels = batch(1)
    targets, valid = expanded(labels, 1)
    p = logits.sigmoid()[valid]
    truth = targets[valid].float()
    expected = 1 - 2 * (p * truth).sum() / (p.sum() + truth.sum())
    torch.testing.assert_close(binary_tversky(logits, targets, valid), expected)
    # A softmax of (0, x) is the sigmoid of x: of a class that is everywhere both are the same.
    everywhere = torch.zeros(2, 5, 4, dtype=torch.int32)
    both = soft_dice(torch.cat([logits, torch.zeros_like(logits)], 1), everywhere)
    single = multilabel_loss([logits], everywhere + 1, Loss(cross_entropy=0, dice=1))
    torch.testing.assert_close(single, both)


def test_a_batch_without_labels_gives_0_and_no_gradient():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    labels = torch.full((1, 2, 2), IGNORE_BIT, dtype=torch.int32)
    loss = multilabel_loss([logits], labels, Loss(dice=1, focal=1, tversky=1))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_label_smoothing_moves_the_target_towards_one_half():
    logits = torch.zeros(1, 1, 1, 1) + math.log(3)
    targets = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    found = binary_cross_entropy(logits, targets, targets, label_smoothing=0.2)
    assert found.item() == pytest.approx(-0.9 * math.log(0.75) - 0.1 * math.log(0.25), abs=1e-6)


def test_certain_predictions_have_finite_gradients():
    logits = torch.tensor([[[[1000.0, -1000.0]]]], requires_grad=True)
    labels = torch.tensor([[[1, 1]]], dtype=torch.int32)
    multilabel_loss([logits], labels, Loss(focal=1, focal_gamma=0.5, dice=1)).backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def test_empty_head_logits_are_refused():
    with pytest.raises(ValueError, match="head_logits"):
        multilabel_loss([], torch.zeros(1, 1, 1, dtype=torch.int32), Loss())
