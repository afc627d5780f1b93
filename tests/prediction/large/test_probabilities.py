from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from prediction.large.images import Multilabel, labels_of, saved

from pixelwise.errors import CheckpointError
from pixelwise.prediction.large import blocks
from pixelwise.prediction.large.probabilities import in_steps, tags_of
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.protocols import PROTOCOLS, Protocol, protocol


def test_probabilities_are_rounded_to_steps_of_255():
    values = torch.tensor([0.0, 1.0, 0.5 / 255 - 1e-4, 0.5 / 255 + 1e-4, 100.4 / 255, 2.5 / 255 + 1e-4, 1 + 1e-7])
    wanted = [0, 255, 0, 1, 100, 3, 255]
    assert in_steps(values[:, None, None].numpy()).ravel().tolist() == wanted
    assert blocks.in_steps(values[:, None, None]).ravel().tolist() == wanted  # where they still are tensors


def test_names_of_bands_survive_as_xml():
    ((code, _, _, text, _),) = tags_of(["a<b", "Straße"], None)
    assert code == 42112
    assert '<Item name="DESCRIPTION" sample="0" role="description">a&lt;b</Item>' in text
    assert '<Item name="DESCRIPTION" sample="1" role="description">Stra&#223;e</Item>' in text


def predicted(tmp_path, segmenter, **options):
    """The files of the probabilities of the whole image and in parts, and the masks."""
    image = image_of(labels_of()) + np.random.default_rng(1).integers(0, 20, (131, 167, 3)).astype(np.uint8)
    image[20:90, 30:50] = 7
    path = saved(tmp_path / "a.tif", image, (42113, "s", 0, "7", True))
    for kind, above in (("whole", None), ("parts", 0)):
        predict_paths(segmenter, [path], tmp_path / kind, parts_above=above, probabilities=True, **options)
    return [tifffile.imread(tmp_path / kind / "probabilities" / "a.tif", key=0) for kind in ("whole", "parts")]


@pytest.mark.parametrize(
    "rules",
    [
        PROTOCOLS["native"],
        protocol("slide-40x56"),
        Protocol(name="x", summary="", fit=(40, 90), resampling="antialiased"),
        Protocol(name="x", summary="", pad_to=(132, 168), argmax_at="input"),
    ],
    ids=["native", "slide", "shrunk", "padded"],
)
def test_probabilities_in_parts_are_those_of_the_whole(tmp_path, rules):
    segmenter = Segmenter(GreyModel(stride=1), palette=PALETTE, protocol=rules)
    segmenter.whole_pixels, segmenter.large_window = 1 << 24, (64, 48)

    whole, parts = predicted(tmp_path, segmenter)

    assert whole.shape == parts.shape == (131, 167, 4)
    # Sums in another order may round to the other side.
    assert np.abs(whole.astype(int) - parts).max() <= 1
    missing = np.zeros((131, 167), bool)
    missing[20:90, 30:50] = True
    assert not parts[missing].any()
    assert not whole[missing].any()
    assert np.abs(parts[~missing].sum(1, dtype=int) - 255).max() <= 2
    mask = tifffile.imread(tmp_path / "parts" / "masks" / "a.tif", key=0)
    largest = np.take_along_axis(parts, np.where(missing, 0, mask)[..., None], 2)[..., 0]
    assert np.array_equal(largest[~missing], parts.max(2)[~missing])


def test_files_have_the_position_and_a_named_band_per_class(tmp_path):
    predicted(tmp_path, Segmenter(GreyModel(stride=1), palette=PALETTE))

    for kind in ("whole", "parts"):
        with tifffile.TiffFile(tmp_path / kind / "probabilities" / "a.tif") as file:
            page = file.pages.first
            assert page.tags[33922].value[3:5] == (5e5, 5e6)
            assert page.is_tiled
            assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
            assert all(f">{name}<" in page.tags[42112].value for name in CLASSES)
            assert 42113 not in page.tags  # 0 in a single band is a probability


def test_multilabel_probabilities_are_those_of_each_class_alone(tmp_path):
    segmenter = Segmenter(Multilabel(), palette=PALETTE)
    segmenter.large_window = (64, 48)

    whole, parts = predicted(tmp_path, segmenter)

    assert np.abs(whole.astype(int) - parts).max() <= 1
    for class_id, name in enumerate(CLASSES):
        mask = tifffile.imread(tmp_path / "parts" / "masks" / name / "a.tif", key=0)
        steps = parts[..., class_id]
        assert (steps[mask == 255] >= 128 - 1).all()
        assert (steps[mask == 0] <= 128).all()


def test_a_network_of_class_ids_has_none(tmp_path):
    model = GreyModel(stride=1)
    model.gives_scores = False
    path = saved(tmp_path / "a.tif", image_of(labels_of()))

    with pytest.raises(CheckpointError, match="class ids") as caught:
        predict_paths(Segmenter(model, palette=PALETTE), [path], tmp_path / "out", probabilities=True)

    assert caught.value.code == "K466"
    assert not (tmp_path / "out").exists()
