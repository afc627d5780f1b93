from __future__ import annotations

import timm
import torch

from pixelwise.backbones.tf_xception import TFXception65


def test_it_is_timm_s_but_fine_features_are_taken_before_the_activation() -> None:
    theirs = timm.create_model("xception65", features_only=True, output_stride=16).eval()
    with torch.device("meta"):
        ours = TFXception65(16).eval()
    ours.network.load_state_dict(theirs.state_dict(), assign=True)  # the same keys, so that timm's weights fit
    images = torch.randn(1, 3, 33, 47)

    with torch.no_grad():
        fine, coarse = ours(images)
        expected = theirs(images)

    assert fine.shape == (1, 256, 9, 12)
    assert coarse.shape == (1, 2048, 3, 3)
    assert fine.min() < 0
    assert torch.allclose(fine.relu(), expected[1], atol=1e-5)
    assert torch.allclose(coarse, expected[-1], atol=1e-5)
