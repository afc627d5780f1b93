from __future__ import annotations

import pytest

from pixelwise.deployment.export.options import ArtefactOptions
from pixelwise.errors import RecipeError


@pytest.mark.parametrize("field", ["data", "split"])
def test_images_without_labels_exclude_labelled_ones(field: str) -> None:
    both = ArtefactOptions(images="photos", **{field: "x"})
    with pytest.raises(RecipeError, match=f"`{field}`") as caught:
        both.refuse_two_sources("data", "split")
    assert caught.value.code == "R251"
    both.refuse_two_sources("split" if field == "data" else "data")
    ArtefactOptions(data="x", split="val").refuse_two_sources("data", "split")
