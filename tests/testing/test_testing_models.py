from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pixelwise.models import SegmentationModel
from pixelwise.recipes.specs import LinearSpec
from pixelwise.testing import check_model


class Sloppy(SegmentationModel):
    """A network of one convolution with a fault that can be chosen."""

    def __init__(self, fault: str) -> None:
        super().__init__(LinearSpec(), ("a", "b"))
        self.fault = fault
        self.conv = nn.Conv2d(3, 2, kernel_size=1)
        self.forgotten = nn.Parameter(torch.zeros(1))

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        logits = self.conv(images)
        if self.fault == "size":
            logits = logits[..., : images.shape[-1] // 2]
        if self.fault == "nan":
            logits = logits / 0 * 0
        if self.fault == "auxiliary":
            return logits, logits
        if self.fault == "batch":
            logits = logits - logits.mean(dim=0, keepdim=True)
        return (logits,)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("nan", "not finite"),
        ("auxiliary", "auxiliary logits in evaluation mode"),
        ("batch", "depend on the rest of the batch"),
    ],
)
def test_a_fault_is_named(fault: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=f"Sloppy: .*{sentence}"):
        check_model(Sloppy(fault))


def test_a_sound_network_passes() -> None:
    check_model("enet-camvid", heavy=False)
