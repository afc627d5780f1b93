from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from evaluation.color_model import GREY, GreyModel, image_of
from torch import Tensor

from pixelwise.prediction.network import (
    NetworkOutput,
    decide,
    main_logits,
    padded_size,
    predicted_labels,
    prediction_mode,
    probability_bands,
    resized_by_floor,
    views_of,
)
from pixelwise.prediction.sizes import seen_images
from pixelwise.prediction.windows import View
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.training import Precision

# Class 0 leads by 5 in the left cell, class 1 by 1 in the right one: the border is at 5/6 between them.
UNEVEN = torch.tensor([[[[5.0, 0.0]], [[0.0, 1.0]]]])


def test_logits_are_interpolated_to_the_score_size_and_class_ids_are_not():
    logits_first = Protocol(name="x", summary="")
    ids_first = Protocol(name="x", summary="", argmax_at="input")

    # Pixel centres lie at -0.25, 0.25, 0.75 and 1.25 cells.
    assert predicted_labels(UNEVEN, (1, 2), (1, 4), logits_first, False).tolist() == [[0, 0, 0, 1]]
    assert predicted_labels(UNEVEN, (1, 2), (1, 4), ids_first, False).tolist() == [[0, 0, 1, 1]]


def test_class_ids_are_taken_at_the_input_size_not_at_the_logits_own():
    ids_first = Protocol(name="x", summary="", argmax_at="input")

    assert predicted_labels(UNEVEN, (1, 4), (1, 8), ids_first, False).tolist() == [[0, 0, 0, 0, 0, 0, 1, 1]]
    assert predicted_labels(UNEVEN, (1, 4), (1, 2), ids_first, False).tolist() == [[0, 0]]


def test_padding_is_cut_off_before_class_ids_are_resized():
    padded = Protocol(name="x", summary="", argmax_at="input", pad_to=(1, 4))
    logits = torch.nn.functional.one_hot(torch.tensor([[[0, 1, 2, 3]]]), 4).permute(0, 3, 1, 2).float()

    assert predicted_labels(logits, (1, 3), (1, 3), padded, False).tolist() == [[0, 1, 2]]
    assert predicted_labels(logits, (1, 3), (1, 6), padded, False).tolist() == [[0, 0, 1, 1, 2, 2]]


def test_an_image_larger_than_the_padding_is_not_cut():
    assert padded_size((3, 9), (5, 7)) == (5, 9)
    assert padded_size((3, 9), None) == (3, 9)


def test_logits_are_those_of_the_main_head_for_normalised_images():
    labels = np.array([[0, 1], [2, 3]], np.uint8)
    with prediction_mode(model := GreyModel()):
        logits = main_logits(model, [image_of(labels), image_of(labels[::-1])])
    assert logits.shape == (2, 4, 2, 2)
    assert torch.equal(logits.argmax(1), torch.from_numpy(np.stack([labels, labels[::-1]])).long())
    # Minus the squared distance of class 0's grey, 0, from that of class 1.
    assert logits[0, 0, 0, 1].item() == pytest.approx(-((GREY / 255) ** 2))


def test_padding_is_the_mean_colour_right_and_below():
    model = GreyModel()
    model.preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    with prediction_mode(model):
        logits = main_logits(model, [np.zeros((2, 3, 3), np.uint8)], pad_to=(4, 2))
    assert logits.shape == (1, 4, 4, 3)
    # The mean colour becomes 0, which is the grey of class 0; black becomes -1.
    assert logits[0, 0, 2:].eq(0).all()
    assert torch.equal(logits[0, 0, :2], torch.full((2, 3), -1.0))


def test_bfloat16_is_computed_in_bfloat16():
    class Product(GreyModel):
        def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
            return (F.conv2d(images, torch.ones(4, 3, 1, 1)),)

    with prediction_mode(model := Product()):
        image = np.zeros((2, 2, 3), np.uint8)
        assert main_logits(model, [image], Precision(dtype="bfloat16")).dtype == torch.bfloat16
        assert main_logits(model, [image]).dtype == torch.float32


def test_prediction_mode_gives_every_module_back_its_own_mode():
    model = GreyModel().train()
    model.dropout.eval()
    with prediction_mode(model):
        assert not model.training
        assert torch.is_inference_mode_enabled()
    assert (model.training, model.dropout.training) == (True, False)


def test_there_is_a_view_per_scale_and_mirrored():
    protocol = Protocol(name="x", summary="", scales=(0.5, 1.0), flip=True)
    image = np.zeros((4, 6, 3), np.uint8)
    views = views_of(GreyModel(), seen_images(image, protocol, None)[1], protocol)
    assert [view.size for view in views] == [(2, 3), (2, 3), (4, 6), (4, 6)]


def answer(model: GreyModel, image: np.ndarray, protocol: Protocol) -> NetworkOutput:
    if protocol.one_look:
        return main_logits(model, [image], pad_to=protocol.pad_to)
    return views_of(model, seen_images(image, protocol, None)[1], protocol, keep=True)


PROTOCOLS = [
    Protocol(name="whole", summary=""),
    Protocol(name="ids", summary="", argmax_at="input"),
    Protocol(name="padded", summary="", argmax_at="input", pad_to=(20, 17)),
    Protocol(name="windows", summary="", window=(6, 7), window_stride=(4, 5)),
    Protocol(name="shares", summary="", window=(6, 7), window_stride=(4, 5), blend="probabilities", argmax_at="input"),
    Protocol(name="looks", summary="", scales=(0.5, 1.0), flip=True),
]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_class_ids_confidences_and_probabilities_belong_together(
    protocol: Protocol, several: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pixelwise.prediction.windows.BAND_VALUES", 4 * 9 * 3)  # bands of three rows and fewer
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (13, 11, 3), dtype=np.uint8)
    model = GreyModel(stride=2)
    model.multilabel = several
    sizes = (13, 11), (7, 9)
    with prediction_mode(model):
        given = answer(model, image, protocol)
        decided = decide(model, given, *sizes, protocol, confidence=not several)
        bands = list(probability_bands(model, given, *sizes, protocol))

    assert [first for first, _ in bands] == np.cumsum([0, *(band.shape[1] for _, band in bands)])[:-1].tolist()
    assert len(bands) > 1
    shares = torch.cat([band for _, band in bands], 1)
    assert shares.shape == (4, 7, 9)
    if several:
        assert torch.equal(decided.labels, sum((shares[k] > 0.5).int() << k for k in range(4)))
        assert decided.confidence is None
        return
    assert decided.confidence is not None
    assert torch.allclose(shares.sum(0), torch.ones(7, 9), atol=1e-5)
    assert torch.equal(decided.labels.long(), shares.argmax(0))
    assert torch.allclose(decided.confidence, shares.amax(0), atol=1e-6)


def test_probabilities_are_the_softmax_of_enlarged_logits():
    logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 1.0]]]])
    model = GreyModel(("a", "b"))
    ((first, band),) = probability_bands(model, logits, (1, 2), (1, 4), Protocol(name="x", summary=""))
    expected = F.interpolate(logits, (1, 4), mode="bilinear").softmax(1)[0]
    assert first == 0
    assert torch.allclose(band, expected)


def test_values_are_resized_by_floor_where_ids_are():
    values = torch.arange(4.0)[None]
    padded = Protocol(name="x", summary="", argmax_at="input", pad_to=(1, 4))
    assert resized_by_floor(values, (1, 3), (1, 6), padded).tolist() == [[0, 0, 1, 1, 2, 2]]
    assert resized_by_floor(values, (1, 3), (1, 6), Protocol(name="x", summary="")) is values


def test_a_view_of_known_logits_makes_no_forward_pass():
    def fail(images: list[np.ndarray]) -> Tensor:
        raise AssertionError("asked")

    model = GreyModel(("a", "b"))
    model.head_logits = fail  # type: ignore[method-assign, assignment]
    logits = torch.randn(1, 2, 3, 3)
    decided = decide(model, logits, (3, 3), (3, 3), Protocol(name="x", summary=""), confidence=True)
    assert torch.equal(decided.labels, logits.argmax(1)[0].to(torch.uint8))
    assert isinstance(views_of(model, [np.zeros((3, 3, 3), np.uint8)], Protocol(name="x", summary=""))[0], View)
