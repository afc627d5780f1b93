from __future__ import annotations

import torch

from pixelwise.models import normalize
from pixelwise.models.preprocessing import renormalisation
from pixelwise.recipes.schema.model import IMAGENET, Preprocessing


def test_without_statistics_bytes_become_zero_to_one() -> None:
    images = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)

    normalized = normalize(images, Preprocessing())

    assert normalized.dtype == torch.float32
    assert torch.equal(normalized, torch.tensor([0.0, 51 / 255, 1.0]).view(1, 3, 1, 1))


def test_each_channel_has_its_own_mean_and_deviation() -> None:
    images = torch.full((1, 1, 2, 3), 255, dtype=torch.uint8)

    normalized = normalize(images, Preprocessing(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 2.0)))

    assert normalized[0, :, 0].tolist() == [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]


def test_the_result_equals_the_formula_bit_for_bit() -> None:
    images = torch.randint(256, (2, 5, 7, 3), dtype=torch.uint8)
    before = images.clone()
    mean, std = torch.tensor(IMAGENET.mean), torch.tensor(IMAGENET.std)

    normalized = normalize(images, IMAGENET)

    assert torch.equal(normalized, ((images / 255 - mean) / std).permute(0, 3, 1, 2))
    assert normalized.is_contiguous()
    assert torch.equal(images, before)


def test_images_normalised_for_one_network_become_those_for_another():
    ours = Preprocessing(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    theirs = Preprocessing(mean=(0.25, 0.25, 0.5), std=(0.25, 0.5, 0.5))
    scale, shift = renormalisation(ours, theirs, torch.device("cpu"))
    assert scale is not None
    assert shift is not None
    assert (scale.flatten().tolist(), shift.flatten().tolist()) == ([2, 0.5, 2], [1, 0, -1])
    assert renormalisation(ours, ours, torch.device("cpu")) == (None, None)
