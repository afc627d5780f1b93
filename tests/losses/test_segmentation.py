import pytest
import torch
import torch.nn.functional as F

from pixelwise.losses.boundary import boundary_cross_entropy
from pixelwise.losses.boundary_head import balanced_boundary_loss
from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.dice import soft_dice
from pixelwise.losses.focal import focal
from pixelwise.losses.lovasz import lovasz_softmax
from pixelwise.losses.ohem import hard_labels
from pixelwise.losses.segmentation import segmentation_loss, uses_class_weights
from pixelwise.losses.tversky import tversky
from pixelwise.recipes.loss_terms.boundary_aware import BoundaryAware
from pixelwise.recipes.loss_terms.boundary_head import BoundaryHead
from pixelwise.recipes.schema.recipe import Loss, Ohem

# Every term alone.
TERMS = {
    "cross entropy": Loss(),
    "smoothed": Loss(label_smoothing=0.1),
    "over all pixels": Loss(normalize="all"),
    "hard pixels": Loss(ohem=Ohem(threshold=0.4, min_kept=0.25)),
    "dice": Loss(cross_entropy=0, dice=1),
    "focal": Loss(cross_entropy=0, focal=1),
    "tversky": Loss(cross_entropy=0, tversky=1),
    "lovasz": Loss(cross_entropy=0, lovasz=1),
    "lovasz per image": Loss(cross_entropy=0, lovasz=1, lovasz_per_image=True),
    "boundary": Loss(cross_entropy=0, boundary=1, boundary_width=1),
}
each_term = pytest.mark.parametrize("loss", TERMS.values(), ids=TERMS.keys())


def example(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (2, 4, 5, 6) and labels of three of the classes, some ignored."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, generator=random, dtype=torch.float64).to(dtype)
    labels = torch.randint(0, 3, (2, 5, 6), generator=random).to(torch.uint8)
    labels[0, :2, 1:4] = 255
    return logits, labels


def test_terms_add_up_and_logits_are_brought_to_the_labels_size():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2, 8, 8))
    main, auxiliary = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 8, 8)
    upsampled = F.interpolate(main, (8, 8), mode="bilinear", align_corners=False)
    expected = (
        cross_entropy(upsampled, labels) + 0.5 * soft_dice(upsampled, labels) + 0.4 * cross_entropy(auxiliary, labels)
    )
    found = segmentation_loss((main, auxiliary), labels, Loss(dice=0.5, auxiliary=0.4))
    torch.testing.assert_close(found, expected)


def test_every_term_has_its_weight_and_its_settings():
    logits, labels = example()
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    loss = Loss(
        cross_entropy=2, label_smoothing=0.1, normalize="all", dice=3, focal=5, focal_gamma=1.5, tversky=7,
        tversky_alpha=0.2, tversky_beta=0.9, lovasz=11, lovasz_per_image=True, boundary=13, boundary_width=2,
    )  # fmt: skip
    expected = (
        2 * cross_entropy(logits, labels, class_weights=weights, label_smoothing=0.1, normalize="all")
        + 3 * soft_dice(logits, labels)
        + 5 * focal(logits, labels, gamma=1.5, class_weights=weights, normalize="all")
        + 7 * tversky(logits, labels, alpha=0.2, beta=0.9)
        + 11 * lovasz_softmax(logits, labels, per_image=True)
        + 13 * boundary_cross_entropy(logits, labels, width=2, class_weights=weights)
    )
    torch.testing.assert_close(segmentation_loss((logits,), labels, loss, weights), expected)


@pytest.mark.parametrize("auxiliary", [True, False])
def test_every_head_has_its_own_hard_pixels(auxiliary: bool):
    main, labels = example()
    other = -main
    loss = Loss(ohem=Ohem(threshold=0.3, min_kept=7, auxiliary=auxiliary), auxiliary=0.4)
    chosen = hard_labels(other, labels, threshold=0.3, min_kept=7) if auxiliary else labels
    expected = cross_entropy(main, hard_labels(main, labels, threshold=0.3, min_kept=7)) + 0.4 * cross_entropy(
        other, chosen
    )
    torch.testing.assert_close(segmentation_loss((main, other), labels, loss), expected)


def test_auxiliary_heads_keep_their_cross_entropy_when_the_main_head_has_none():
    logits, labels = example()
    found = segmentation_loss((logits, logits), labels, Loss(cross_entropy=0, dice=1, auxiliary=0.4))
    torch.testing.assert_close(found, soft_dice(logits, labels) + 0.4 * cross_entropy(logits, labels))


def test_empty_head_logits_are_refused():
    with pytest.raises(ValueError, match="head_logits"):
        segmentation_loss((), torch.zeros(1, 2, 2), Loss())


def test_labels_are_shrunk_to_the_logits_of_each_head_where_the_recipe_compares_there():
    main, auxiliary = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 1, 2)
    labels = torch.randint(0, 3, (2, 8, 8), dtype=torch.uint8)
    labels[0, :3] = 255
    # Of 2 x 2 pixels the last one, of 8 x 4 that in the fifth row and third column: Pillow's nearest neighbour.
    expected = F.cross_entropy(main, labels[:, 1::2, 1::2].long(), ignore_index=255) + 0.4 * F.cross_entropy(
        auxiliary, labels[:, 4:5, [2, 6]].long(), ignore_index=255
    )
    torch.testing.assert_close(segmentation_loss((main, auxiliary), labels, Loss(compare_at="logits")), expected)


@each_term
def test_its_gradient_is_that_of_its_value(loss: Loss):
    logits, labels = example()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: segmentation_loss((z,), labels, loss), (logits,))


@each_term
def test_a_batch_without_labels_costs_nothing_and_moves_nothing(loss: Loss):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    value = segmentation_loss((logits,), torch.full((2, 4, 4), 255, dtype=torch.uint8), loss, torch.ones(3))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@each_term
def test_ignored_pixels_have_no_gradient(loss: Loss):
    logits, labels = example()
    logits.requires_grad_()
    segmentation_loss((logits,), labels, loss).backward()
    assert logits.grad is not None
    ignored = (labels == 255).unsqueeze(1).expand_as(logits)
    assert not logits.grad[ignored].any()
    assert logits.grad[~ignored].any()


@each_term
def test_what_the_network_says_about_ignored_pixels_does_not_matter(loss: Loss):
    logits, labels = example()
    other = torch.where((labels == 255).unsqueeze(1), torch.randn(logits.shape, dtype=logits.dtype), logits)
    expected = segmentation_loss((logits,), labels, loss)
    torch.testing.assert_close(segmentation_loss((other,), labels, loss), expected)


@pytest.mark.parametrize("name", [name for name in TERMS if name != "smoothed"])  # which asks for doubt
def test_a_certain_right_answer_costs_nothing(name: str):
    loss = TERMS[name]
    _, labels = example()
    logits = 60.0 * (labels.unsqueeze(1) == torch.arange(4).view(1, 4, 1, 1))
    assert segmentation_loss((logits,), labels, loss).item() == pytest.approx(0, abs=1e-6)


@each_term
def test_the_numbering_of_the_classes_does_not_matter(loss: Loss):
    logits, labels = example()
    new_ids = torch.tensor([2, 0, 3, 1])
    renumbered = torch.where(labels == 255, 255, new_ids[labels.long().clamp(max=3)])
    moved = torch.empty_like(logits)
    moved[:, new_ids] = logits
    torch.testing.assert_close(
        segmentation_loss((moved,), renumbered, loss), segmentation_loss((logits,), labels, loss)
    )


@each_term
def test_the_place_of_a_pixel_does_not_matter(loss: Loss):
    logits, labels = example()
    # Mirroring keeps neighbours, which the boundary term looks at.
    order = (
        torch.arange(29, -1, -1) if loss.boundary else torch.randperm(30, generator=torch.Generator().manual_seed(1))
    )
    moved, moved_labels = logits.flatten(2)[..., order].view_as(logits), labels.flatten(1)[:, order].view_as(labels)
    torch.testing.assert_close(
        segmentation_loss((moved,), moved_labels, loss), segmentation_loss((logits,), labels, loss)
    )


@each_term
def test_labels_of_either_integer_type_and_bfloat16_logits_are_the_same_loss(loss: Loss):
    logits, labels = example(torch.bfloat16)
    expected = segmentation_loss((logits.float(),), labels, loss)
    assert expected.dtype == torch.float32
    assert torch.equal(segmentation_loss((logits,), labels.long(), loss), expected)


def test_class_weights_count_in_their_share_of_the_steps():
    loss = Loss(class_weights="edgeai-cityscapes", class_weights_share=0.2)
    drawn = [uses_class_weights(loss, 0, step) for step in range(2000)]
    # 400 +- 4 standard deviations of 17.9.
    assert 328 < sum(drawn) < 472
    assert drawn == [uses_class_weights(loss, 0, step) for step in range(2000)]
    assert drawn != [uses_class_weights(loss, 1, step) for step in range(2000)]
    assert all(uses_class_weights(Loss(class_weights="enet"), 0, step) for step in range(5))


def test_the_losses_of_pidnet_add_up():
    torch.manual_seed(0)
    logits, auxiliary, boundaries = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8), torch.randn(2, 1, 8, 8)
    labels = torch.randint(0, 3, (2, 8, 8))
    labels[:, 4:] = 1
    loss = Loss(auxiliary=0.4, terms={"boundary_head": BoundaryHead(weight=20.0), "boundary_aware": BoundaryAware()})
    found = segmentation_loss((logits, auxiliary, boundaries), labels, loss, boundary_head=True)
    sure = labels.masked_fill(boundaries[:, 0].sigmoid() <= 0.8, 255)
    expected = (
        F.cross_entropy(logits, labels)
        + 0.4 * F.cross_entropy(auxiliary, labels)
        + 20 * balanced_boundary_loss(boundaries[:, 0], labels)
        + F.cross_entropy(logits, sure, ignore_index=255)
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_boundary_head_is_enlarged_like_the_others_and_gets_a_gradient_without_a_term_of_its_own():
    boundaries = torch.randn(1, 1, 2, 2, requires_grad=True)
    logits = torch.randn(1, 3, 2, 2)
    labels = torch.tensor([[[0, 0, 1, 1]] * 4])
    term = Loss(cross_entropy=0, terms={"boundary_head": BoundaryHead()})
    found = segmentation_loss((logits, boundaries), labels, term, align_corners=True, boundary_head=True)
    enlarged = F.interpolate(boundaries, (4, 4), mode="bilinear", align_corners=True)
    assert found.item() == pytest.approx(balanced_boundary_loss(enlarged[:, 0], labels).item())

    segmentation_loss((logits.requires_grad_(), boundaries), labels, Loss(), boundary_head=True).backward()
    assert boundaries.grad is not None
    assert not boundaries.grad.any()
