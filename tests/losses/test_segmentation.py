import pytest
import torch
import torch.nn.functional as F

from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.dice import soft_dice
from pixelwise.losses.segmentation import segmentation_loss
from pixelwise.recipes.schema import Loss


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


def test_no_logits_is_a_mistake():
    with pytest.raises(ValueError, match="head_logits is empty"):
        segmentation_loss((), torch.zeros(1, 2, 2), Loss())
