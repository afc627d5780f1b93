from __future__ import annotations

import pytest
import torch

from pixelwise.layers.drop_path import drop_path, probabilities


def test_whole_images_are_dropped_and_the_others_enlarged_in_training_only() -> None:
    torch.manual_seed(0)
    branch = torch.ones(1000, 2, 3)
    kept = drop_path(branch, 0.2, training=True)

    assert drop_path(branch, 0.2, training=False) is branch
    assert drop_path(branch, 0.0, training=True) is branch
    assert set(kept.unique().tolist()) == {0.0, 1.25}
    assert torch.equal(kept, kept[:, :1, :1].expand_as(kept))
    assert kept.mean() == pytest.approx(1, abs=0.06)  # about four standard deviations


def test_probabilities_grow_linearly_over_all_stages() -> None:
    assert probabilities((2, 3), 0.4) == [pytest.approx([0.0, 0.1]), pytest.approx([0.2, 0.3, 0.4])]
    assert probabilities((1,), 0.4) == [[0.0]]
