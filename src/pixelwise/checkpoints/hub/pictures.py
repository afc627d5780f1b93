"""Pictures of an evaluation for the page of a model: photo, labels and prediction side by side."""

from __future__ import annotations

import io
from pathlib import Path

from pixelwise.records.details import SavedSample, load_samples
from pixelwise.records.evaluations import SAMPLES

MOST = 6
"""Number of pictures: the worst, middle and best images."""
_GAP = 4
_WIDTH = 480


def sample_pictures(evaluation: Path) -> dict[str, bytes]:
    """Pictures of the images that an evaluation has kept, under names that say nothing about their files.

    Args:
        evaluation: Folder of the score.

    Returns:
        Path in the repository -> JPEG with photo, labels and prediction from left to right; empty without samples.

    Raises:
        DataError: D150, their list is damaged.
    """
    saved = load_samples(evaluation / SAMPLES)
    if saved is None:
        return {}
    chosen: dict[str, SavedSample] = {}
    for one in saved.samples:
        number = sum(name.startswith(f"{one.kind}-") for name in chosen)
        if number < MOST // 3 and len(chosen) < MOST:
            chosen[f"{one.kind}-{number + 1}"] = one
    return {f"{SAMPLES}/{name}.jpg": _picture(evaluation / SAMPLES, one) for name, one in chosen.items()}


def _picture(folder: Path, one: SavedSample) -> bytes:
    from PIL import Image

    height = max(1, round(one.height * _WIDTH / one.width))
    whole = Image.new("RGB", (3 * _WIDTH + 2 * _GAP, height), (255, 255, 255))
    for place, name in enumerate((one.photo, one.truth, one.prediction)):
        with Image.open(folder / name) as opened:
            resampling = Image.Resampling.BILINEAR if place == 0 else Image.Resampling.NEAREST
            whole.paste(opened.convert("RGB").resize((_WIDTH, height), resampling), (place * (_WIDTH + _GAP), 0))
    stored = io.BytesIO()
    whole.save(stored, "JPEG", quality=88)  # without the EXIF data of the photo
    return stored.getvalue()
