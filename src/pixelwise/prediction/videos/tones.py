"""Frames of a high dynamic range as pictures of the standard one, which networks are trained on.

The signal is turned into light by the transfer function that the video states, the light into that of the colours of
BT.709, and this into sRGB. The white of graphics, 203 cd/m2 by ITU-R BT.2408-7, table 1, becomes white nearly; what is
brighter is compressed, and nothing is cut off abruptly.

Reference: ITU-R BT.2100-2, tables 4 and 5 (PQ and HLG); ITU-R BT.2087-0 (BT.2020 to BT.709); IEC 61966-2-1 (sRGB).
Implemented from these documents.
"""

from __future__ import annotations

import numpy as np

PQ, HLG = 16, 18
"""Codes of the transfer functions, ITU-T H.273, table 3."""
BT2020 = 9
"""Code of the primaries, ITU-T H.273, table 2."""
NAMES = {PQ: "PQ", HLG: "HLG"}
WHITE = 203.0
"""cd/m2 of the white of graphics."""
KNEE = 0.8
"""Light, as a share of that of white, above which it is compressed."""
_PEAK = 1000.0
"""cd/m2 of the display that HLG is shown on."""
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
_BAND_PIXELS = 1 << 18
"""Number of pixels that are converted at once: all of a frame would take 12 bytes each, several times."""


def standard_range(signal: np.ndarray, transfer: int, primaries: int = BT2020) -> np.ndarray:
    """A frame of a high dynamic range as an image.

    Args:
        signal: The frame, uint16 (H, W, 3) RGB, 0..65535 for a signal of 0 to 1.
        transfer: Code of its transfer function, `PQ` or `HLG`.
        primaries: Code of its primaries; those of `BT2020` are converted.

    Returns:
        The image, uint8 (H, W, 3) RGB, sRGB.
    """
    image = np.empty(signal.shape, np.uint8)
    rows = max(1, _BAND_PIXELS // max(signal.shape[1], 1))
    for first in range(0, len(signal), rows):
        values = signal[first : first + rows].astype(np.float32) / 65535
        light = (_light_of_pq(values) if transfer == PQ else _light_of_hlg(values)) / np.float32(WHITE)
        if primaries == BT2020:
            light = light @ _TO_BT709.T
        image[first : first + rows] = np.rint(255 * _srgb(_compressed(np.maximum(light, 0))))
    return image


def _light_of_pq(signal: np.ndarray) -> np.ndarray:
    """cd/m2 of a signal of 0 to 1."""
    root = signal ** np.float32(1 / 78.84375)
    ratio = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return 10_000 * ratio ** np.float32(1 / 0.1593017578125)


def _light_of_hlg(signal: np.ndarray) -> np.ndarray:
    """cd/m2 of a signal of 0 to 1 on a display of `_PEAK`, whose system gamma is 1.2."""
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    luminance = np.maximum(scene @ _LUMINANCE, 1e-6)[..., None]
    return _PEAK * luminance ** np.float32(0.2) * scene


def _compressed(light: np.ndarray) -> np.ndarray:
    """Light of 0 on as 0 to 1: unchanged up to `KNEE`, then ever closer to 1, without a kink."""
    room = 1 - KNEE
    return np.where(light <= KNEE, light, 1 - room * np.exp(-(np.maximum(light, KNEE) - KNEE) / room))


def _srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)
