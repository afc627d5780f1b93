from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training.distillation.looking import (
    require_rgb,
    require_same_channels,
    require_same_range,
)
from tests.plain_recipe import PLAIN


def test_other_channels_and_values_are_refused():
    bands = apply_overrides(PLAIN, ["data.channels=[3,2,1]"])
    model = build_model(PLAIN, num_classes=2)
    require_same_channels(PLAIN, Path("t"), PLAIN, model, model)
    require_rgb("resnet18", PLAIN)
    ranged = [apply_overrides(PLAIN, [f"data.input_range=[0,{largest}]"]) for largest in (4095, 65535)]
    require_same_range(PLAIN, Path("t"), ranged[0])
    refused = (
        (
            lambda: require_same_channels(PLAIN, Path("t"), bands, model, model),
            "t sees RGB, this network the bands 3, 2, 1",
        ),
        (lambda: require_rgb("resnet18", bands), "resnet18 sees RGB, this network the bands 3, 2, 1"),
        (lambda: require_same_range(ranged[1], Path("t"), ranged[0]), r"\[0\.0, 65535\.0\] as 0 to 255"),
    )
    for refuse, said in refused:
        with pytest.raises(CheckpointError, match=said) as caught:
            refuse()
        assert caught.value.code == "K453"
