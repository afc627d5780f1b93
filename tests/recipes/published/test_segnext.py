"""The rates and decays of SegNeXt's authors, by the names that their rules are written for."""

from __future__ import annotations

import re

import pytest

from pixelwise.recipes.published.segnext import procedure


@pytest.mark.parametrize(
    ("name", "rate", "decay"),
    [
        # Their names say "head".
        ("head.squeeze.norm.weight", 10.0, None),
        ("head.hamburger.before.bias", 10.0, None),
        ("head.classifier.weight", 10.0, None),
        # Their names say "norm".
        ("encoder.block1.0.norm1.weight", 1.0, 0.0),
        ("encoder.patch_embed2.norm.bias", 1.0, 0.0),
        ("encoder.norm3.weight", 1.0, 0.0),
        # Their names say neither, not even that of the stem's normalisation.
        ("encoder.patch_embed1.proj.1.weight", 1.0, None),
        ("encoder.block3.2.layer_scale_1", 1.0, None),
        ("encoder.block3.2.attn.proj_1.bias", 1.0, None),
    ],
)
def test_heads_learn_faster_and_normalisations_do_not_decay(name: str, rate: float, decay: float | None) -> None:
    optimizer = procedure("ade20k")["optimizer"]
    group = next((group for group in optimizer.groups if re.search(group.pattern, name)), None)
    assert optimizer.decay_all
    assert (1.0 if group is None else group.lr, None if group is None else group.weight_decay) == (rate, decay)


@pytest.mark.parametrize(("dataset", "batch", "crop"), [("ade20k", 16, (512, 512)), ("cityscapes", 8, (1024, 1024))])
def test_data_sets_have_their_own_batch_and_crop(dataset: str, batch: int, crop: tuple[int, int]) -> None:
    sections = procedure(dataset)
    assert (sections["batch"], sections["augment"].crop) == (batch, crop)
    assert sections["schedule"].decay_from == "start"
