"""What EoMT and PMT have in common, on networks of either."""

from __future__ import annotations

import eomt_originals
import pmt_originals
import pytest
import torch
from eomt_originals import BLOCKS, QUERIES, drawn_state, network
from torch import Tensor

from pixelwise.models.queried import QueriedTransformer, masked_share


def test_the_share_of_masked_queries_falls_within_its_window() -> None:
    steps, window = 1000, (0.2, 0.4)
    assert [masked_share(step, steps, window) for step in (0, 199, 200, 400, 999)] == [1, 1, 1, 0, 0]
    assert masked_share(300, steps, window) == pytest.approx(0.5**0.9)
    assert masked_share(300, steps, (250, 350)) == pytest.approx(0.5**0.9)
    assert [masked_share(step, steps, (0, 0)) for step in (0, 1)] == [0, 0]


def test_blocks_lose_their_masks_one_after_the_other() -> None:
    model = network("dinov3")
    found = []
    for step in (0, 25, 50, 75):
        model.at(step, 100)
        found.append(None if model.shares is None else [round(value, 3) for value in model.shares.tolist()])
    assert found == [[1, 1], [1, 1], [0, 1], None]


def test_a_masked_query_sees_no_patch_outside_of_its_mask() -> None:
    model = network("dinov3").train()
    model.shares = torch.tensor([0.0, 1.0])
    grid = (2, 3)
    masks = torch.full((1, QUERIES, 8, 12), -1.0, dtype=torch.float64)
    masks[0, 0, 4:, 8:] = 3.0  # the last patch
    tokens = QUERIES + model.encoder.prefix + 6

    seen, free = (model.seen(masks, grid, tokens, block) for block in (1, 0))

    assert seen is not None
    assert free is not None
    assert free.all()
    seen = seen[0, 0]
    assert seen.shape == (tokens, tokens)
    assert seen[:, : QUERIES + 5].all()  # queries and the tokens before the patches
    assert seen[0, QUERIES + 5 :].tolist() == [False] * 5 + [True]
    assert not seen[1:QUERIES, QUERIES + 5 :].any()
    assert seen[QUERIES:].all()
    model.shares = None
    assert model.seen(masks, grid, tokens, 0) is None


@pytest.mark.parametrize(
    "model", [eomt_originals.network("dinov2"), pmt_originals.network("dinov3")], ids=["eomt", "pmt"]
)
def test_masks_change_what_is_trained_but_not_what_is_predicted(model: QueriedTransformer) -> None:
    # Of initial weights, which are small, some predict masks that hold every patch, and then change nothing.
    model.load_state_dict(drawn_state(model))
    images = torch.rand(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def last(share: Tensor | None) -> Tensor:
        model.shares = share
        with torch.no_grad():
            return model.training_outputs(images)[-2]

    model.eval()
    assert torch.equal(last(torch.ones(BLOCKS)), last(None))
    model.train()
    assert not torch.equal(last(torch.ones(BLOCKS)), last(None))
