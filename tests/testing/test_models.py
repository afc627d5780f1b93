from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from pixelwise.models import SegmentationModel
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.schema.model import SPECS, Spec, register_spec
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
    ("fault", "pattern"),
    [
        ("nan", r"\(1, 1\) .*finite"),
        ("auxiliary", r"head_logits .*\b2\b.* 1$"),
        ("batch", "batch"),
    ],
)
def test_a_fault_is_named(fault: str, pattern: str) -> None:
    with pytest.raises(AssertionError, match=f"Sloppy: .*{pattern}"):
        check_model(Sloppy(fault))


def test_a_sound_network_passes() -> None:
    check_model("enet-camvid", heavy=False)


class OwnSpec(Spec, frozen=True, kw_only=True, tag="own"):
    """A spec that no builder is registered for."""


@pytest.fixture
def own_family() -> Iterator[None]:
    register_spec(OwnSpec)
    yield
    SPECS.discard("own")


class Own(SegmentationModel):
    """A third party's network, with a normalisation that learns nothing."""

    def __init__(self, *, small_images: bool = True, unused: bool = False) -> None:
        super().__init__(OwnSpec(), ("a", "b"))  # type: ignore[arg-type]
        self.small_images = small_images
        self.norm = nn.BatchNorm2d(3, affine=False)
        self.conv = nn.Conv2d(3, 2, kernel_size=1)
        self.unused = nn.Parameter(torch.ones(1)) if unused else None

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        if not self.small_images and images.shape[-1] % 2:
            raise RuntimeError("an odd width")
        return (self.conv(self.norm(images)),)


@pytest.mark.usefixtures("own_family")
def test_a_third_partys_network_needs_no_builder() -> None:
    check_model(Own())


def test_a_network_whose_family_is_unknown_cannot_be_trained() -> None:
    with pytest.raises(AssertionError, match=r"Own: .*R203.*OwnSpec"):
        check_model(Own())


def test_what_a_network_raises_is_named_with_the_image() -> None:
    with pytest.raises(AssertionError, match=r"Own: .*\(1, 1\) .*: an odd width"):
        check_model(Own(small_images=False))


def test_a_parameter_that_nothing_reads_is_named() -> None:
    with pytest.raises(AssertionError, match=r"Own: .*\bunused\b"):
        check_model(Own(unused=True))


def test_a_plain_module_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"Linear .*\bSegmentationModel\b"):
        check_model(nn.Linear(1, 1))  # type: ignore[arg-type]
