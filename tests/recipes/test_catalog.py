import subprocess
import sys

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe


def test_the_published_enet_rows_are_there():
    camvid = recipe("enet-camvid")
    assert camvid.published is not None
    assert (camvid.published.miou_percent, camvid.published.split) == (53.12, "test")
    assert (camvid.model.graph, camvid.sampling.batch_size, camvid.schedule.epochs) == ("overlapping", 10, 300)
    cityscapes = recipe("enet-cityscapes")
    assert cityscapes.published is not None
    assert (cityscapes.published.miou_percent, cityscapes.published.protocol) == (60.94, "enet-1024x512")
    assert (cityscapes.augment.resize, cityscapes.sampling.batch_size) == ((512, 1024), 4)


def test_names_are_unique_and_found():
    names = list_recipes()
    assert len(names) == len(set(names))
    assert {"enet-camvid", "enet-cityscapes", "enet-camvid-2021", "enet-cityscapes-2021", "town-demo"} <= set(names)
    assert [recipe(name).name for name in names] == names


def test_an_unknown_name_gets_near_misses():
    with pytest.raises(RecipeError, match="did you mean 'enet-camvid'") as caught:
        recipe("enet-camvit")
    assert caught.value.code == "R200"


def test_reading_recipes_does_not_load_pytorch():
    script = (
        "import sys; from pixelwise.recipes.catalog import list_recipes, recipe; "
        "[recipe(n) for n in list_recipes()]; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
