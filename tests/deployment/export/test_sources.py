from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pixelwise.deployment.export.sources import open_source
from pixelwise.errors import RecipeError


def test_a_recipe_is_exported_with_random_weights_only_on_request() -> None:
    with pytest.raises(RecipeError, match="'town-demo'") as caught:
        open_source("town-demo")
    assert caught.value.code == "R241"
    assert "`weights`" in caught.value.help

    with pytest.raises(RecipeError, match=r"town-demoo; .*'town-demoo'") as caught:
        open_source("town-demoo")
    assert caught.value.code == "R241"

    source = open_source("town-demo", "none")
    assert source.weights_sha256 == ""
    assert source.licence.weights == "none"
    assert source.score is None


def test_random_weights_are_the_same_every_time() -> None:
    first, second = (open_source("town-demo", "none").model.state_dict() for _ in range(2))

    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_has_weights_that_none_cannot_mean(small_run: Path) -> None:
    with pytest.raises(RecipeError, match="`weights`") as caught:
        open_source(str(small_run), "none")
    assert caught.value.code == "R241"
    assert small_run.name in caught.value.message


def test_weights_are_those_of_the_run_or_none() -> None:
    with pytest.raises(RecipeError) as caught:
        open_source("town-demo", "imagenet")
    assert caught.value.code == "R241"
    assert "'imagenet'" in caught.value.message


def test_a_run_has_its_own_classes(small_run: Path) -> None:
    with pytest.raises(RecipeError, match="`num_classes`") as caught:
        open_source(str(small_run), num_classes=5)
    assert caught.value.code == "R251"
