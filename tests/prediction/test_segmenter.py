from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.prediction import segmenter as module
from pixelwise.prediction.segmenter import Segmenter, same_area, through_windows
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.model import Preprocessing

LABELS = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 2, 2]], np.uint8)


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(GreyModel(), palette=PALETTE)


def test_an_array_gives_class_ids_of_its_size(segmenter):
    prediction = segmenter.predict(image_of(LABELS))

    assert prediction.labels.dtype == np.uint8
    assert np.array_equal(prediction.labels, LABELS)
    assert prediction.classes == CLASSES


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_file_gives_what_its_array_gives(segmenter, tmp_path, kind):
    Image.fromarray(image_of(LABELS)).save(tmp_path / "a.png")

    assert np.array_equal(segmenter.predict(kind(tmp_path / "a.png")).labels, LABELS)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK"])
def test_a_pillow_image_of_any_8_bit_mode_is_understood(segmenter, mode):
    image = Image.fromarray(image_of(LABELS)).convert(mode, dither=Image.Dither.NONE, palette=Image.Palette.ADAPTIVE)

    assert np.array_equal(segmenter.predict(image).labels, LABELS)


def test_a_pillow_image_of_more_bits_is_refused_instead_of_clipped(segmenter):
    with pytest.raises(DataError, match="'I;16'") as caught:
        segmenter.predict(Image.fromarray(np.zeros((4, 4), np.uint16)))
    assert caught.value.code == "D104"


def test_the_exif_orientation_of_a_pillow_image_is_applied(segmenter):
    image = Image.fromarray(image_of(LABELS))
    image.getexif()[0x0112] = 6  # to be turned 90 degrees clockwise

    assert np.array_equal(segmenter.predict(image).labels, np.rot90(LABELS, -1))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_an_array_of_another_kind_is_refused_with_its_kind(segmenter, image):
    with pytest.raises(ValueError, match=rf"{image.dtype} {re.escape(str(image.shape))}.*uint8 \(H, W, 3\)"):
        segmenter.predict(image)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (31, 33), (8, 400)])
def test_the_result_has_the_size_of_the_image_at_any_stride(size):
    segmenter = Segmenter(GreyModel(stride=8), input_size=(16, 16))

    prediction = segmenter.predict(np.zeros((*size, 3), np.uint8), scores=True)

    assert prediction.labels.shape == size
    assert prediction.scores is not None
    assert prediction.scores.shape == (4, *size)


def test_scores_are_a_softmax_whose_largest_is_the_label():
    prediction = Segmenter(GreyModel(stride=2)).predict(
        image_of(np.kron(LABELS, np.ones((4, 4), np.uint8))), scores=True
    )

    assert prediction.scores is not None
    assert prediction.scores.dtype == np.float32
    assert np.allclose(prediction.scores.sum(0), 1, atol=1e-6)
    of_the_label = np.take_along_axis(prediction.scores, prediction.labels[None].astype(int), 0)[0]
    assert np.allclose(of_the_label, prediction.scores.max(0), atol=1e-6)


def test_without_asking_there_are_no_scores(segmenter):
    assert segmenter.predict(image_of(LABELS)).scores is None


def test_the_network_sees_the_area_it_was_trained_on():
    model = GreyModel()

    Segmenter(model, input_size=(36, 48)).predict(np.zeros((144, 192, 3), np.uint8))
    Segmenter(model, input_size=(36, 48)).predict(np.zeros((192, 144, 3), np.uint8))

    assert model.sizes == [(1, 3, 36, 48), (1, 3, 48, 36)]


@given(wanted=st.tuples(st.integers(1, 2000), st.integers(1, 2000)), factor=st.sampled_from([1, 2, 3, 5, 7]))
def test_an_image_of_the_trained_aspect_is_seen_at_exactly_the_trained_size(wanted, factor):
    assert same_area((wanted[0] * factor, wanted[1] * factor), wanted) == wanted


def test_without_input_size_every_image_keeps_its_own():
    assert same_area((17, 23), None) == (17, 23)


def test_an_extreme_shape_keeps_at_least_a_pixel():
    assert same_area((1, 100_000), (10, 10)) == (1, 3162)


def test_overlays_mix_the_colours_of_the_chosen_palette(segmenter):
    prediction = segmenter.predict(image_of(np.zeros((1, 1), np.uint8)))

    assert prediction.overlay(alpha=1.0)[0, 0].tolist() == list(PALETTE[0])
    assert prediction.overlay(alpha=1.0, palette="cvd")[0, 0].tolist() == list(colorblind_palette(4)[0])
    assert prediction.overlay(alpha=0.0)[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("alpha", "palette", "named"),
    [(1.5, "official", r"alpha.*1\.5"), (-0.1, "official", r"alpha.*-0\.1"), (0.5, "neon", "palette.*'neon'")],
)
def test_an_overlay_that_does_not_exist_is_refused(segmenter, alpha, palette, named):
    with pytest.raises(ValueError, match=named):
        segmenter.predict(image_of(LABELS)).overlay(alpha, palette)


def test_without_a_palette_the_colours_are_safe_for_colour_blind_eyes():
    assert Segmenter(GreyModel()).palette == colorblind_palette(4)


def test_names_and_colours_must_be_as_many_as_classes():
    with pytest.raises(ValueError, match=r"\b3 class names .*\b4 classes"):
        Segmenter(GreyModel(), classes=("a", "b", "c"))
    with pytest.raises(ValueError, match=r"\b1 palette .*\b4 classes"):
        Segmenter(GreyModel(), palette=((0, 0, 0),))


def test_a_model_in_training_mode_is_put_into_evaluation_mode():
    model = GreyModel().train()

    prediction = Segmenter(model, device="cpu").predict(image_of(LABELS))

    assert not model.training
    assert np.array_equal(prediction.labels, LABELS)
    assert not torch.is_inference(model.centres)


WINDOWS = Protocol(name="x", summary="", window=(2, 2), window_stride=(1, 2))


def test_windows_cover_the_image_and_a_network_without_context_says_the_same():
    model = GreyModel()

    prediction = Segmenter(model, palette=PALETTE, protocol=WINDOWS).predict(image_of(LABELS), scores=True)

    assert {size[2:] for size in model.sizes} == {(2, 2)}
    assert np.array_equal(prediction.labels, LABELS)
    whole = Segmenter(GreyModel(), palette=PALETTE).predict(image_of(LABELS), scores=True)
    assert prediction.scores is not None
    assert whole.scores is not None
    assert np.allclose(prediction.scores, whole.scores, atol=1e-6)


def test_very_large_images_are_seen_through_windows_by_themselves(monkeypatch):
    monkeypatch.setattr(module, "WHOLE_PIXELS", 11)
    monkeypatch.setattr(module, "WINDOW", (2, 4))
    model = GreyModel()
    segmenter = Segmenter(model, palette=PALETTE)

    segmenter.predict(image_of(LABELS[:2]))
    large = segmenter.predict(image_of(LABELS))

    assert [size[2:] for size in model.sizes] == [(2, 4), (2, 4), (2, 4)]
    assert np.array_equal(large.labels, LABELS)


def test_a_network_evaluated_at_a_fitted_size_predicts_at_that_size():
    model = GreyModel()
    segmenter = Segmenter(
        model, palette=PALETTE, input_size=(3, 3), protocol=Protocol(name="x", summary="", fit=(6, 9))
    )

    labels = segmenter.predict(image_of(np.zeros((4, 8), np.uint8))).labels

    assert model.sizes == [(1, 3, 5, 9)]  # 9/8 times: the longer side decides
    assert labels.shape == (4, 8)


def test_padding_is_seen_but_not_predicted():
    model = GreyModel()
    padded = Protocol(name="x", summary="", pad_to=(5, 6), argmax_at="input")

    prediction = Segmenter(model, palette=PALETTE, protocol=padded).predict(image_of(LABELS), scores=True)

    assert model.sizes == [(1, 3, 5, 6)]
    assert np.array_equal(prediction.labels, LABELS)
    assert prediction.scores is not None
    assert np.array_equal(prediction.scores.argmax(0), LABELS)


def test_scales_and_mirrored_images_are_left_out():
    model = GreyModel()
    costly = Protocol(name="x", summary="", scales=(0.5, 1.0), flip=True)

    Segmenter(model, palette=PALETTE, protocol=costly).predict(image_of(LABELS))

    assert len(model.sizes) == 1


def test_windows_overlap_by_a_quarter_and_replace_padding():
    found = through_windows(Protocol(name="x", summary="", pad_to=(9, 9), argmax_at="input"), (8, 1))

    assert (found.window, found.window_stride, found.pad_to) == ((8, 1), (6, 1), None)


def bands_segmenter(channels: tuple[int, ...]) -> Segmenter:
    """Reads classes off the mean of all channels, as `GreyModel` off three."""
    model = GreyModel()
    model.preprocessing = Preprocessing(mean=(0.0,) * len(channels), std=(1.0,) * len(channels))
    return Segmenter(model, palette=PALETTE, reading=Reading(channels=channels))


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("window", [None, (2, 3)])
def test_arrays_and_files_of_other_bands_are_segmented(tmp_path, count, window):
    segmenter = bands_segmenter(tuple(range(count)))
    if window is not None:
        segmenter.protocol = through_windows(segmenter.protocol, window)
    labels = np.tile(LABELS, (3, 2))
    bands = np.repeat(image_of(labels)[..., :1], count, axis=2)
    np.save(tmp_path / "a.npy", bands)
    for image in (bands, tmp_path / "a.npy"):
        prediction = segmenter.predict(image)
        assert np.array_equal(prediction.labels, labels)
        assert prediction.image.shape == (9, 8, count)
        assert prediction.overlay().shape == (9, 8, 3)


def test_other_channels_than_the_network_s_are_refused_by_name():
    segmenter = bands_segmenter((3, 2, 1, 7))
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 4\).*\[3, 2, 1, 7\]"):
        segmenter.predict(image_of(LABELS))
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 4\)"):
        segmenter.predict(Image.fromarray(image_of(LABELS)))


@pytest.mark.parametrize(
    ("shape", "dtype", "way_out"),
    [
        ((3, 4, 5), np.uint8, r"transpose\(1, 2, 0\)"),
        ((4, 5), np.uint8, "repeat the grey channel"),
        ((4, 5, 1), np.uint8, "repeat the grey channel"),
        ((4, 5, 4), np.uint8, r"Image\.fromarray"),
        ((4, 5, 3), np.uint16, r"data\.input_range"),
        ((4, 5, 3), np.float32, r"data\.input_range"),
        ((4, 5, 3), bool, r"data\.input_range"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_a_way_out(segmenter, shape, dtype, way_out):
    with pytest.raises(ValueError, match=rf"expected uint8 \(H, W, 3\) RGB: .*{way_out}"):
        segmenter.predict(np.zeros(shape, dtype))


def test_transparency_of_pillow_images_is_treated_as_in_files(tmp_path):
    segmenter = Segmenter(GreyModel(), palette=PALETTE, reading=Reading(alpha="black"))
    rgba = np.dstack([np.full((2, 3, 3), 200, np.uint8), np.array([[0, 255, 0]] * 2, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    file = segmenter.predict(tmp_path / "a.png").image
    assert file[..., 0].tolist() == [[0, 200, 0]] * 2
    assert np.array_equal(segmenter.predict(Image.fromarray(rgba)).image, file)


def test_channels_of_a_pillow_image_are_chosen_as_those_of_a_file():
    image = Image.fromarray(image_of(LABELS))
    assert np.array_equal(bands_segmenter((2,)).predict(image).image, image_of(LABELS)[..., 2:])


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("blend", ["logits", "probabilities", "central"])
def test_windows_give_the_labels_of_their_scores(stride, blend):
    # Labels alone are joined block by block, labels with scores from views of the whole image.
    rules = Protocol(name="x", summary="", window=(20, 24), window_stride=(15, 18), blend=blend)
    segmenter = Segmenter(GreyModel(stride=stride), palette=PALETTE, protocol=rules)
    image = np.random.default_rng(0).integers(0, 200, (70, 90, 3)).astype(np.uint8)

    alone, scored = segmenter.predict(image), segmenter.predict(image, scores=True)

    assert scored.scores is not None
    assert alone.labels.dtype == scored.labels.dtype
    assert np.array_equal(alone.labels, scored.labels)


class Exponential(GreyModel):
    """The same network with scores that are no logits: their parts of the sum are the softmax of its logits."""

    scores = "probabilities"

    def head_logits(self, images):
        return (3 * super().head_logits(images)[0].exp(),)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"flip": True},
        {"scales": (1.0, 2.0)},
        {"window": (4, 6), "window_stride": (3, 4), "blend": "probabilities"},
        {"window": (4, 6), "window_stride": (4, 6), "blend": "central", "flip": True},
    ],
)
def test_scores_that_are_probabilities_are_not_softmaxed_again(fields):
    grey = np.random.default_rng(0).choice([3, 50, 70, 110, 130, 170], (8, 12, 1)).astype(np.uint8)
    image, protocol = np.repeat(grey, 3, axis=2), Protocol(name="x", summary="", **fields)

    of_logits, of_scores = (
        Segmenter(model, protocol=protocol).predict(image, scores=True) for model in (GreyModel(), Exponential())
    )

    assert of_logits.scores is not None
    assert of_scores.scores is not None
    if fields.get("scales") is None:  # at another size, logits and scores are not interpolated alike
        assert np.array_equal(of_logits.labels, of_scores.labels)
        assert np.allclose(of_logits.scores, of_scores.scores, atol=1e-6)
    assert np.allclose(of_scores.scores.sum(0), 1, atol=1e-6)
