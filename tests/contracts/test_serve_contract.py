"""Whatever `predict` takes is served, and the masks are its files, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from subjects import INT8, subjects_in

import pixelwise
from pixelwise.errors import CheckpointError
from pixelwise.runtimes.targets import TARGETS
from pixelwise.serving.messages import Done, Order, decode_reply
from pixelwise.serving.work import handler_of
from pixelwise.serving.worker import Job

KINDS = ("run", "file", "class ids", "one size", *TARGETS.own(), *INT8)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Callable[[str], Any]:
    """What is served, by kind, created on first use."""
    return subjects_in(tmp_path_factory.mktemp("kinds"), tiny_data)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_the_files_that_predict_writes(
    subjects: Callable[[str], Any], kind: str, tiny_data: Path, tmp_path: Path
) -> None:
    photos, random = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    sizes = [(48, 64)] * 5 + [(64, 48)] * 2 + [(33, 70), (97, 130)]
    for number, (height, width) in enumerate(sizes):
        coarse = random.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
        image = np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]
        Image.fromarray(image).save(photos / f"{number}.png")
    pixelwise.predict(subjects(kind), photos, tmp_path / "out", overlay=False, trust=True)

    said: list[bytes] = []
    handler = handler_of(Job(Path(subjects(kind)), threads=1, max_pixels=10**6, trust=True), tmp_path, said.append)
    handler.handle(
        [Order(number=number, content=(photos / f"{number}.png").read_bytes()) for number in range(len(sizes))]
    )

    replies = [reply for reply in map(decode_reply, said) if isinstance(reply, Done)]
    found = {reply.number: reply.content for reply in replies}
    assert found == {number: (tmp_path / "out" / "masks" / f"{number}.png").read_bytes() for number in range(9)}
    assert len({mask[45:] for mask in found.values()}) > 1  # not the same for all


@pytest.mark.heavy
def test_what_can_run_code_is_served_only_if_it_is_trusted(subjects: Callable[[str], Any], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        handler_of(Job(subjects("torch-export"), threads=1, max_pixels=10**6), tmp_path, lambda _: None)
    assert caught.value.code == "K471"
