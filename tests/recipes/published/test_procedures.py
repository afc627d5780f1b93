"""The choices that depend on the row; the values of every row are in tests/recipes/resolved.toml."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pixelwise.recipes.published import procedures
from pixelwise.recipes.schema.recipe import Ema, Group, Schedule
from pixelwise.recipes.sizes import Size

SMALL, LARGE = (384, 768), (768, 1536)


def own_rates(groups: tuple[Group, ...], name: str) -> tuple[float, float | None] | None:
    """Factor of the rate and decay of the group that a parameter belongs to; None: it belongs to none."""
    return next(((group.lr, group.weight_decay) for group in groups if re.search(group.pattern, name)), None)


# Data set, decoder, encoder, quantization-aware -> optimizer, rate, decay; course, epochs, milestones; batch.
EDGEAI: list[tuple[tuple[str, str, str, bool], tuple[Any, ...]]] = [
    (("cityscapes", "fpnlite", "regnetx_008", False), ("sgd", 0.1, 1e-4, "cosine", 250, (), 16)),
    (("cityscapes", "fpnlite", "mobilenetv2_100", False), ("adam", 4e-4, 1e-4, "step", 250, (100, 200), 12)),
    (("cityscapes", "deeplabv3lite", "mobilenetv2_100", False), ("adam", 4e-4, 1e-4, "step", 250, (100, 200), 12)),
    (("cityscapes", "deeplabv3lite", "mobilenetv2_100", True), ("adam", 1e-5, 1e-4, "step", 50, (100, 200), 6)),
    (("ade20k32", "fpnlite", "regnetx_004", False), ("sgd", 0.1, 4e-5, "cosine", 60, (), 32)),
    (("cocoseg21", "fpnlite", "regnetx_008", False), ("sgd", 0.1, 4e-5, "cosine", 60, (), 32)),
    (("ade20k32", "deeplabv3lite", "mobilenetv2_100", False), ("adam", 1e-4, 1e-4, "step", 120, (60, 90), 32)),
    (("ade20k32", "unetlite", "mobilenetv2_100", False), ("sgd", 0.1, 1e-4, "cosine", 120, (), 32)),
    (("cocoseg21", "fpnlite", "mobilenetv2_100", False), ("sgd", 0.1, 1e-4, "cosine", 120, (), 32)),
]


@pytest.mark.parametrize(("row", "expected"), EDGEAI, ids=["-".join(map(str, row)) for row, _ in EDGEAI])
def test_edgeais_training_depends_on_data_set_decoder_and_encoder(
    row: tuple[str, str, str, bool], expected: tuple[Any, ...]
):
    dataset, decoder, encoder, quantized = row
    made = procedures.edgeai(dataset, decoder, encoder, SMALL, quantized=quantized)
    optimizer, schedule = made["optimizer"], made["schedule"]
    found = (optimizer.kind, optimizer.lr, optimizer.weight_decay)
    assert (*found, schedule.kind, schedule.epochs, schedule.milestones, made["batch"]) == expected


def test_eight_bits_come_after_a_training_in_float():
    plain = procedures.edgeai("cityscapes", "unetlite", "mobilenetv2_100", SMALL, quantized=False)
    aware = procedures.edgeai("cityscapes", "unetlite", "mobilenetv2_100", SMALL, quantized=True)
    assert (plain["quantization"], plain["stages"]) == ("none", ())
    assert aware["quantization"] == "edgeai-8bit"
    (stage,) = aware["stages"]
    # The stage is the float row: same optimizer and course, its rate, length and batch.
    changes = dict(change.split("=") for change in stage.overrides)
    assert changes == {
        "quantization": plain["quantization"],
        "optimizer.lr": str(plain["optimizer"].lr),
        "schedule.epochs": str(plain["schedule"].epochs),
        "sampling.batch_size": str(plain["batch"]),
    }
    assert aware["optimizer"].kind == plain["optimizer"].kind
    assert aware["schedule"].milestones == plain["schedule"].milestones


@pytest.mark.parametrize(("size", "crop"), [(SMALL, SMALL), ((512, 512), (512, 512)), (LARGE, (512, 1024))])
def test_edgeais_largest_size_is_trained_on_crops(size: Size, crop: Size):
    made = procedures.edgeai("cityscapes", "fpnlite", "regnetx_008", size, quantized=False)
    assert (made["augment"].fit, made["augment"].crop) == (size, crop)
    assert made["evaluation"] == {"input_size": size}


@pytest.mark.parametrize(
    ("dataset", "weights", "share"),
    [("cityscapes", "edgeai-cityscapes", 0.2), ("ade20k32", "edgeai-ade20k32", 0.2), ("cocoseg21", "none", 1)],
)
def test_edgeai_weighs_the_classes_of_two_data_sets(dataset: str, weights: str, share: float):
    loss = procedures.edgeai(dataset, "fpnlite", "regnetx_008", SMALL, quantized=False)["loss"]
    assert (loss.class_weights, loss.class_weights_share, loss.normalize) == (weights, share, "all")


def test_sssegmentation_fits_images_into_the_height_of_its_crop():
    small, large = procedures.sssegmentation((512, 512), 16, 60), procedures.sssegmentation((512, 1024), 8, 220)
    assert (small["augment"].fit, small["augment"].crop) == ((512, 2048), (512, 512))
    assert (large["augment"].fit, large["augment"].crop) == ((1024, 2048), (512, 1024))
    assert [(made["batch"], made["schedule"].epochs) for made in (small, large)] == [(16, 60), (8, 220)]
    # Poly with an end at 1 % of the rate; the last weights are taken.
    assert large["schedule"] == Schedule(epochs=220, kind="poly", power=0.9, min_lr_ratio=0.01)
    assert "selection" not in large


def test_enet_is_trained_and_scored_at_one_size():
    made = procedures.enet((360, 480), 10)
    assert made["augment"].resize == (360, 480)
    assert made["evaluation"] == {"input_size": (360, 480), "batch_size": 10}
    assert made["batch"] == 10


def test_united_perceptions_rows_differ_in_their_colours_alone_before_the_batch():
    segformer, hrnet = procedures.segformer(), procedures.hrnet(averaged=False)
    assert (segformer["augment"].photometric, segformer["augment"].brightness_shift) == ("united-perception", 0)
    assert (hrnet["augment"].photometric, hrnet["augment"].brightness_shift) == ("none", 10)
    for made in (segformer, hrnet):
        assert made["augment"].crop == (1024, 1024)
        assert (made["batch"], made["drop_last"]) == (8, False)
        assert (made["selection"].weights, made["selection"].every_epochs) == ("best", 5)


def test_an_average_is_kept_where_the_row_says_so():
    assert procedures.hrnet(averaged=True)["ema"] == Ema(decay=0.9998, ramp=2000.0)
    assert procedures.hrnet(averaged=False)["ema"] is None


def test_hrnet_keeps_100_000_pixels_of_the_2_crops_of_a_gpu():
    ohem = procedures.hrnet(averaged=False)["loss"].ohem
    assert ohem.min_kept * (2 * 1024 * 1024) == pytest.approx(100_000)
    assert ohem.threshold == 0.9


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("head.fusion.norm.weight", (10.0, None)),
        ("encoder.stages.0.embedding.norm.weight", (1.0, 0.0)),
        ("encoder.stages.3.blocks.1.norm2.bias", (1.0, 0.0)),
        ("encoder.stages.0.blocks.1.attention.reduction_norm.weight", (1.0, 0.0)),
        ("encoder.stages.3.norm.weight", None),
        ("encoder.stages.0.embedding.conv.weight", None),
        ("encoder.head.weight", None),
    ],
)
def test_segformers_head_learns_faster_and_norms_within_stages_do_not_decay(
    name: str, expected: tuple[float, float | None] | None
):
    groups = procedures.segformer()["optimizer"].groups
    assert own_rates(groups, name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("head.classifier.bias", (2.0, None)),
        ("head.gate.bias", (2.0, None)),
        ("encoder.blocks.2.0.se.reduce.bias", (2.0, None)),
        ("encoder.blocks.2.0.se.expand.bias", (2.0, None)),
        ("encoder.blocks.2.0.bn1.bias", None),
        ("head.classifier.weight", None),
        ("encoder.blocks.0.0.conv_dw.weight", (1.0, 0.0)),
        ("head.refine.depthwise.conv.weight", (1.0, 0.0)),
        ("encoder.blocks.0.0.conv_pw.weight", None),
        ("head.refine.depthwise.norm.weight", None),
    ],
)
def test_tensorflows_biases_learn_twice_as_fast_and_depthwise_convolutions_do_not_decay(
    name: str, expected: tuple[float, float | None] | None
):
    groups = procedures.tf_deeplab((513, 513), 30_000)["optimizer"].groups
    assert own_rates(groups, name) == expected


def test_tensorflows_crop_and_length_are_the_rows():
    made = procedures.tf_deeplab((769, 769), 90_000)
    assert (made["augment"].crop, made["schedule"].iterations, made["schedule"].epochs) == ((769, 769), 90_000, None)


@pytest.mark.parametrize(("mobile", "decay"), [(True, 1e-6), (False, 1e-4)])
def test_torchvisions_small_networks_decay_a_hundredth(mobile: bool, decay: float):
    made = procedures.torchvision((480, 480), mobile=mobile, auxiliary=False)
    assert made["optimizer"].weight_decay == decay


def test_torchvisions_auxiliary_head_learns_ten_times_as_fast_where_there_is_one():
    without = procedures.torchvision((480, 960), mobile=False, auxiliary=False)
    made = procedures.torchvision((480, 960), mobile=False, auxiliary=True)
    assert without["optimizer"].groups == ()
    ((group,), crop) = made["optimizer"].groups, made["augment"].crop
    assert (group.lr, crop) == (10.0, (480, 960))
    assert re.search(group.pattern, "auxiliary.convs.0.conv.weight")
    assert not re.search(group.pattern, "head.auxiliary.weight")


def test_erfnets_encoder_is_trained_before_the_network_that_it_is_of():
    made = procedures.erfnet((512, 1024))
    (stage,) = made["stages"]
    assert stage.name == "encoder"
    assert {"model.part=encoder", "loss.compare_at=logits", "selection.weights=last"} < set(stage.overrides)
    assert made["evaluation"]["input_size"] == made["augment"].resize == (512, 1024)


def test_swiftnets_encoder_learns_and_decays_at_a_quarter():
    optimizer = procedures.swiftnet()["optimizer"]
    (group,) = optimizer.groups
    assert group.lr == 1 / 4
    assert group.weight_decay == optimizer.weight_decay / 4
    assert re.search(group.pattern, "encoder.conv_stem.weight")
    assert not re.search(group.pattern, "head.encoder.weight")


@pytest.mark.parametrize(
    ("dataset", "crop", "rate", "epochs", "weights"),
    [("cityscapes", (1024, 1024), 0.01, 484, "ocnet-cityscapes"), ("camvid", (720, 960), 0.005, 121, "none")],
)
def test_pidnets_training_depends_on_the_data_set(
    dataset: str, crop: Size, rate: float, epochs: int, weights: str
) -> None:
    made = procedures.pidnet(dataset)
    assert (made["augment"].crop, made["optimizer"].lr, made["schedule"].epochs) == (crop, rate, epochs)
    assert made["loss"].class_weights == weights
    # 131,072 pixels of the six crops of a GPU.
    assert made["loss"].ohem.min_kept * 6 * crop[0] * crop[1] == pytest.approx(131_072)


def test_pidnet_on_camvid_ends_at_the_rate_after_121_of_200_epochs() -> None:
    schedule = procedures.pidnet("camvid")["schedule"]
    assert schedule.min_lr_ratio == pytest.approx((1 - 121 / 200) ** 0.9, abs=1e-4)


def test_ddrnets_auxiliary_head_weighs_less_and_takes_all_pixels() -> None:
    loss = procedures.ddrnet()["loss"]
    assert (loss.auxiliary, loss.ohem.auxiliary, loss.terms) == (0.4, False, None)
