from collections.abc import Sequence

import pytest
import torch

from pixelwise.checkpoints.class_order import in_order_of
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe

NAMES = ("road", "car", "sky", "tree")


def built(name: str, classes: Sequence[str]):
    torch.manual_seed(0)
    return build_model(recipe(name).model, classes=classes).eval()


@pytest.mark.parametrize("name", ["enet-camvid", "unet-resnet18", "segformer-b0-cityscapes"])
def test_a_network_in_another_order_predicts_the_same_names(name: str):
    wanted = ("sky", "road", "tree", "car")
    network, other = built(name, NAMES), built(name, wanted)
    found = in_order_of(network.state_dict(), recipe(name), NAMES, wanted)
    assert found is not None
    other.load_state_dict(found)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(images)[:, [NAMES.index(one) for one in wanted]]
        torch.testing.assert_close(other(images), expected)


@pytest.mark.parametrize("wanted", [NAMES, ("road", "car", "sky"), ("road", "car", "sky", "bus")])
def test_the_same_order_and_other_names_are_left_alone(wanted: Sequence[str]):
    assert in_order_of({}, recipe("enet-camvid"), NAMES, wanted) is None
