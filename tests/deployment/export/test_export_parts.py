"""Large images: an artefact predicts them in parts as it predicts them whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import pixelwise
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import Exported


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["one_size", "any_size"])
def test_an_artefact_predicts_in_parts_what_it_predicts_whole(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # One takes windows of 48x64 and returns logits, the other takes any size and returns class ids.
    artefact: Exported = request.getfixturevalue(kind)
    image, _ = draw_scene(0, 5, (180, 220))
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", tile=(64, 64), compression="zlib", metadata=None)

    masks = []
    for above in (None, 0):
        output = tmp_path / f"out-{above}"
        pixelwise.predict(
            artefact.path.parent, tmp_path / "a.tif", output, parts_above=above, observer=pixelwise.Observer()
        )
        (mask,) = (output / "masks").iterdir()
        masks.append(np.asarray(Image.open(mask)))

    assert len(np.unique(masks[0])) > 2
    assert np.array_equal(*masks)
