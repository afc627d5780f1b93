"""Every registered protocol scores an image: it counts each labelled pixel at the score size, once."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from evaluation.color_model import GreyModel, write_dataset

from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.recipes.protocols import FAMILIES, PROTOCOLS, Protocol, protocol
from pixelwise.recipes.schema.recipe import Evaluation

EXAMPLES = {
    "slide-WIDTHxHEIGHT": "slide-24x16",
    "within-LONGERxSHORTER": "within-24x16",
    "short-side-PIXELS": "short-side-16",
}
"""A name of each family."""
NAMES = [*PROTOCOLS.own(), *(EXAMPLES[pattern] for pattern in FAMILIES.own())]


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_says_what_it_is_and_recipes_take_it(name: str) -> None:
    found = protocol(name)
    assert found.name == name
    assert found.summary
    assert "\n" not in found.summary
    assert msgspec.convert(msgspec.to_builtins(found), Protocol) == found
    assert Evaluation(protocols=(name,)).protocols == (name,)


@pytest.mark.parametrize("name", NAMES)
def test_every_labelled_pixel_counts_once_at_the_score_size(name: str, tmp_path) -> None:
    found = protocol(name)
    # Halves, so that whatever resizes them gets halves again; a label of the right one stays 1 at any size.
    labels = np.zeros((32, 64), np.uint8)
    labels[:, 32:] = 1
    dataset = write_dataset(tmp_path, [(labels, labels)])

    measured = evaluate_model(GreyModel(), dataset, "val", found, input_size=(32, 64))

    seen = found.seen_size((32, 64))
    size = {"native": (32, 64), "input": seen or (520, 1040)}.get(str(found.score_size), found.score_size)
    assert measured.counts.sum() == size[0] * size[1]
    assert measured.pixel_accuracy > 0.9
    assert measured.per_class_iou[2:] == [None, None]
    present = sum(measured.values["iou"].per_class[:2])
    assert measured.miou == pytest.approx(present / (2 if found.absent == "skip" else 4))
