from pathlib import Path

import pytest
from observing import Listener

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.drawing import draw_town
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.schema.recipe import Data


def test_the_town_is_drawn_as_overrides_say(tmp_path: Path):
    listener = Listener()
    overrides = ["data.town_images=[2,1,1]", "data.town_size=[32,48]"]
    written = draw_town(tmp_path / "town", overrides, observer=listener)
    assert written.root == tmp_path / "town"
    assert written.pairs == {"train": 2, "val": 1, "test": 1}
    assert written.classes == CAMVID.names
    assert (listener.phases, listener.last) == (["drawing the town"], (4, 4))
    assert open_dataset(Data(), tmp_path / "town").classes == CAMVID.names
    with pytest.raises(DataError) as caught:
        draw_town(tmp_path / "town")
    assert caught.value.code == "D225"
