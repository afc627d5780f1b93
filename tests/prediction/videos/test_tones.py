"""Values of the standards' own formulas, computed in double precision and pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pixelwise.prediction.videos.tones import BT2020, HLG, PQ, standard_range


def picture(*signals: float) -> np.ndarray:
    """Grey pixels of these signals, 0..1."""
    return np.array([[[round(65535 * signal)] * 3 for signal in signals]], np.uint16)


def srgb(light: float) -> float:
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def pq(cd: float) -> float:
    """ITU-R BT.2100, table 4: the signal of a luminance, the inverse of what is tested."""
    power = (cd / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


@pytest.mark.parametrize("cd", [0.0, 1.0, 20.0, 92.0, 160.0])
def test_light_up_to_the_knee_is_that_of_an_srgb_picture(cd: float):
    (pixel,) = standard_range(picture(pq(cd)), PQ)[0]
    assert pixel == pytest.approx([255 * srgb(cd / 203)] * 3, abs=1)


def test_brighter_light_is_compressed_and_stays_in_order():
    greys = standard_range(picture(*(pq(cd) for cd in (160, 203, 300, 500, 1000, 10_000))), PQ)[0, :, 0].tolist()
    assert greys == sorted(greys)
    assert greys[1] > 235
    assert greys[-1] == 255
    # 203 cd/m2 lie one room (0.2) above the knee: 1 - 0.2 / e.
    assert greys[1] == pytest.approx(255 * srgb(1 - 0.2 / math.e), abs=1)


def test_hlg_of_three_quarters_is_the_white_of_graphics():
    # ITU-R BT.2408, table 1: 75 % of HLG are 203 cd/m2 on a display of 1000.
    from_hlg = standard_range(picture(0.75), HLG)[0, 0].tolist()
    from_pq = standard_range(picture(pq(203)), PQ)[0, 0].tolist()
    assert from_hlg == pytest.approx(from_pq, abs=1)


def test_colours_of_bt2020_become_those_of_bt709():
    # A red of BT.709 of 100 cd/m2 in BT.2020, by ITU-R BT.2087, equation of the inverse conversion.
    red = np.array([0.6274, 0.0691, 0.0164]) * 100
    signal = np.array([[[round(65535 * pq(value)) for value in red]]], np.uint16)
    image = standard_range(signal, PQ, BT2020)[0, 0].tolist()
    assert image == pytest.approx([255 * srgb(100 / 203), 0, 0], abs=4)
    assert standard_range(signal, PQ, 1)[0, 0, 1] > 30  # without conversion it is another red


def test_a_large_frame_is_converted_like_a_small_one():
    random = np.random.default_rng(0)
    signal = random.integers(0, 65536, (700, 800, 3)).astype(np.uint16)
    whole = standard_range(signal, HLG)
    assert np.array_equal(whole[600:603], standard_range(signal[600:603], HLG))
