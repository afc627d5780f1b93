import numpy as np
import pytest
import torch

from pixelwise.models.preprocessing import standardize_, to_unit_range
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Augment
from pixelwise.transforms import color
from pixelwise.transforms.color import LUMA, apply_color, colored_input, draw_color_matrix, has_color, hue_matrix


def changed(augment: Augment, rgb: list[float], seed: int = 1) -> np.ndarray:
    matrix = draw_color_matrix(augment, np.random.default_rng(seed))
    return apply_color(torch.tensor(rgb).reshape(1, 3, 1, 1), torch.from_numpy(matrix)[None]).numpy().reshape(3)


def test_no_settings_is_the_identity():
    assert not has_color(Augment())
    np.testing.assert_allclose(changed(Augment(), [0.2, 0.5, 0.8]), [0.2, 0.5, 0.8], atol=1e-6)


def test_brightness_multiplies_every_channel_alike():
    ratio = changed(Augment(brightness=0.3), [0.2, 0.4, 0.5]) / np.array([0.2, 0.4, 0.5])
    assert ratio.std() < 1e-6
    assert 0.7 <= ratio[0] <= 1.3
    assert abs(ratio[0] - 1) > 1e-3


def test_contrast_keeps_mid_grey():
    np.testing.assert_allclose(changed(Augment(contrast=0.5), [0.5, 0.5, 0.5]), 0.5, atol=1e-6)


def test_saturation_keeps_luma_and_greys():
    rgb = [0.2, 0.5, 0.4]
    new = changed(Augment(saturation=0.5), rgb)
    np.testing.assert_allclose(new @ LUMA, np.array(rgb) @ LUMA, atol=1e-6)
    np.testing.assert_allclose(changed(Augment(saturation=0.5), [0.3, 0.3, 0.3]), 0.3, atol=1e-6)
    assert np.abs(new - rgb).max() > 1e-3


def test_hue_keeps_luma_and_greys():
    rgb = [0.4, 0.5, 0.45]
    new = changed(Augment(hue=0.5), rgb)
    np.testing.assert_allclose(new @ LUMA, np.array(rgb) @ LUMA, atol=1e-6)
    np.testing.assert_allclose(changed(Augment(hue=0.5), [0.3, 0.3, 0.3]), 0.3, atol=1e-6)
    assert np.abs(new - rgb).max() > 1e-2


def test_hue_rotates_by_the_given_fraction_of_a_circle():
    # A third of the circle takes the red axis near the green one: of equal luma it is the strongest channel.
    assert np.argmax(hue_matrix(1 / 3) @ np.array([1.0, 0, 0])) in (1, 2)
    np.testing.assert_allclose(hue_matrix(1 / 3) @ hue_matrix(-1 / 3), np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.linalg.matrix_power(hue_matrix(1 / 4), 4), np.eye(3), atol=1e-9)
    drawn = [draw_color_matrix(Augment(hue=0.1), np.random.default_rng(seed))[:, :3] for seed in range(300)]
    # The trace of a rotation by an angle is 1 + 2 cos(angle), in any basis.
    angles = np.arccos(np.clip((np.trace(drawn, axis1=1, axis2=2) - 1) / 2, -1, 1)) / (2 * np.pi)
    assert 0.09 < angles.max() <= 0.1 + 1e-4
    np.testing.assert_allclose(angles.mean(), 0.05, atol=0.005)


def test_a_setting_of_hue_draws_nothing_of_the_others():
    with_hue = Augment(brightness=0.4, contrast=0.4, hue=1e-9)
    without = Augment(brightness=0.4, contrast=0.4)
    matrices = [draw_color_matrix(augment, np.random.default_rng(7)) for augment in (with_hue, without)]
    np.testing.assert_allclose(matrices[0], matrices[1], atol=1e-6)


def test_results_stay_in_range():
    new = changed(Augment(brightness=0.9, contrast=0.9), [0.0, 1.0, 1.0], seed=5)
    assert new.min() >= 0
    assert new.max() <= 1


def test_any_number_of_channels_changes_but_only_rgb_has_saturation():
    old = torch.rand(2, 5, 3, 4, generator=torch.manual_seed(0))
    for augment, same in ((Augment(saturation=0.9, hue=0.3), True), (Augment(brightness=0.5, channel_gain=0.2), False)):
        matrix = torch.from_numpy(draw_color_matrix(augment, np.random.default_rng(1), channels=5))
        assert matrix.shape == (5, 6)
        new = apply_color(old, matrix.expand(2, 5, 6))
        assert torch.allclose(new, old, atol=1e-6) == same
        assert new.shape == old.shape


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_folded_matrix_equals_colour_change_and_normalisation(channels: int, channels_last: bool):
    random = np.random.default_rng(channels)
    augment = Augment(brightness=0.6, contrast=0.6, saturation=0.6, channel_gain=0.2)
    images = torch.from_numpy(random.integers(0, 256, (3, 7, 9, channels), np.uint8))
    matrices = torch.from_numpy(np.stack([draw_color_matrix(augment, random, channels) for _ in range(3)]))
    preprocessing = Preprocessing(
        mean=(0.485, 0.456, 0.406, 0.5, 0.3)[:channels], std=(0.229, 0.2, 0.225, 1, 0.1)[:channels]
    )
    unit = apply_color(to_unit_range(images), matrices)
    assert ((unit == 0) | (unit == 1)).any()
    found = colored_input(images, matrices, preprocessing.mean, preprocessing.std, channels_last=channels_last)
    torch.testing.assert_close(found, standardize_(unit, preprocessing), rtol=0, atol=1e-5)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert found.is_contiguous(memory_format=layout)


def test_the_cpu_and_device_paths_agree(monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(0)
    augment = Augment(brightness=0.4, contrast=0.4, saturation=0.4)
    images = torch.from_numpy(random.integers(0, 256, (2, 20, 30, 3), np.uint8))
    matrices = torch.from_numpy(np.stack([draw_color_matrix(augment, random) for _ in range(2)]))
    found = colored_input(images, matrices, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    monkeypatch.setattr(color, "_OPENCV_CHANNELS", ())
    torch.testing.assert_close(
        colored_input(images, matrices, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), found, rtol=0, atol=1e-5
    )
