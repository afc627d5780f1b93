from __future__ import annotations

import pytest
import torch

from pixelwise.models import SegmentationModel, build_model
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.testing.exporting import settled


@pytest.fixture(scope="session")
def small_model() -> SegmentationModel:
    """A network that exports in seconds."""
    torch.manual_seed(1)
    return settled(build_model(LinearSpec(encoder="resnet10t"), 3))
