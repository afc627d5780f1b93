import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.protocols import PROTOCOLS, protocol


def test_the_protocols_of_the_enet_page():
    assert protocol("camvid-480x360").score_size == (360, 480)
    assert protocol("enet-1024x512").input_size == protocol("enet-1024x512").score_size == (512, 1024)
    assert protocol("native").score_size == "native"


def test_names_and_keys_agree():
    assert all(name == entry.name for name, entry in PROTOCOLS.items())


def test_an_unknown_protocol_gets_near_misses():
    with pytest.raises(RecipeError, match="'camvid-480x36'; did you mean 'camvid-480x360'"):
        protocol("camvid-480x36")
