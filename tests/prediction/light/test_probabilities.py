import numpy as np
import pytest
import torch

from pixelwise.models.probabilities import probabilities as with_pytorch
from pixelwise.prediction.light.probabilities import probabilities


@pytest.mark.parametrize(("scores", "multilabel"), [("logits", False), ("logits", True), ("probabilities", False)])
def test_probabilities_are_those_with_pytorch(scores, multilabel):
    values = np.random.default_rng(0).normal(scale=40, size=(5, 6, 7)).astype(np.float32)
    if scores == "probabilities":
        values = abs(values)
        values[:, 0] = 0  # what no mask covers
    wanted = with_pytorch(torch.from_numpy(values), scores, multilabel=multilabel).numpy()
    with np.errstate(all="raise", under="ignore"):
        assert np.abs(probabilities(values, scores, multilabel=multilabel) - wanted).max() < 1e-6


def test_by_hand():
    assert probabilities(np.log(np.array([1.0, 3.0])), "logits").tolist() == pytest.approx([0.25, 0.75])
    assert probabilities(np.array([1.0, 3.0]), "probabilities").tolist() == [0.25, 0.75]
    assert probabilities(np.array([0.0, np.log(3.0)]), "logits", multilabel=True).tolist() == pytest.approx([0.5, 0.75])
