"""Whatever predicts images predicts videos: a frame has the mask that the same frame has as an image, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from subjects import INT8, subjects_in
from videos import write_video

import pixelwise
from pixelwise.runtimes.targets import TARGETS

KINDS = ("run", "file", "class ids", "one size", *TARGETS.own(), *INT8)
FRAMES = 9
"""More than the engine predicts with the network as it is."""


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Callable[[str], Any]:
    """What predicts, by kind, created on first use."""
    return subjects_in(tmp_path_factory.mktemp("kinds"), tiny_data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clip.mkv`, and its frames as images in `frames/`."""
    folder, random = tmp_path_factory.mktemp("videos"), np.random.default_rng(0)
    coarse = random.integers(0, 256, (FRAMES, 7, 9, 3), np.uint8)
    images = [np.kron(one, np.ones((8, 8, 1), np.uint8))[:49, :65] for one in coarse]
    write_video(folder / "clip.mkv", images, [33 * number for number in range(FRAMES)], Fraction(1, 1000))
    (folder / "frames").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / "frames" / f"{number:06d}.png")
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_frames_have_the_masks_of_images(
    subjects: Callable[[str], Any], kind: str, folder: Path, tmp_path: Path
) -> None:
    subject = subjects(kind)
    pixelwise.predict(subject, folder / "frames", tmp_path / "images", overlay=False, trust=True)
    summary = pixelwise.predict(subject, folder / "clip.mkv", tmp_path / "video", overlay=False, trust=True)

    assert (summary.ok, summary.frames) == (1, FRAMES)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "images" / "masks").iterdir()}
    found = {path.name: path.read_bytes() for path in (tmp_path / "video" / "masks" / "clip").glob("*.png")}
    assert found == expected
    assert len(set(found.values())) > 1

    # The same in Python, with the scores where there are any.
    segmenter = pixelwise.load(subject, trust=True)
    scores = segmenter.model.gives_scores
    frames = list(segmenter.predict_video(folder / "clip.mkv", scores=scores))
    assert [frame.seconds for frame in frames] == [33 * number / 1000 for number in range(FRAMES)]
    assert all((frame.prediction.scores is not None) == scores for frame in frames)
    for frame in frames:
        image = np.asarray(Image.open(folder / "frames" / f"{frame.index:06d}.png"))
        assert np.array_equal(frame.prediction.image, image)
        assert np.array_equal(frame.prediction.labels, segmenter.predict(image).labels)
