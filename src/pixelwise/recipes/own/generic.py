"""Recipes without a published result, named after their network or purpose."""

from __future__ import annotations

import msgspec

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.deeplabv3 import DeepLabV3Spec
from pixelwise.recipes.families.deeplabv3plus import DeepLabV3PlusSpec
from pixelwise.recipes.families.dpt import DPTSpec
from pixelwise.recipes.families.eomt import EoMTSpec
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.fpn import FPNSpec
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.families.mask2former import Mask2FormerSpec
from pixelwise.recipes.families.pmt import PMTSpec
from pixelwise.recipes.families.pspnet import PSPNetSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.families.real_time.swiftnet import SwiftNetSpec
from pixelwise.recipes.families.segformer import SegFormerSpec
from pixelwise.recipes.families.unet import UNetSpec
from pixelwise.recipes.schema.model import Preprocessing, Spec
from pixelwise.recipes.schema.planning import PLANNABLE
from pixelwise.recipes.schema.recipe import (
    Augment,
    Data,
    Ema,
    Evaluation,
    Group,
    Initialize,
    Loss,
    Matching,
    Optimizer,
    Precision,
    Recipe,
    Sampling,
    Schedule,
    Selection,
)

TOWN_DEMO = Recipe(
    name="town-demo",
    summary="a small ENet on the synthetic town, about two minutes on 2 CPU cores",
    model=ENetSpec(graph="any-size"),
    data=Data(dataset="town"),
    augment=Augment(crop=(144, 192), flip=0.5, brightness=0.3, contrast=0.2),
    loss=Loss(class_weights="enet"),
    optimizer=Optimizer(kind="adamw", lr=5e-3, weight_decay=2e-4, clip_norm=5.0),
    schedule=Schedule(epochs=8, kind="poly", warmup_iterations=20),
    sampling=Sampling(batch_size=8, drop_last=True),
    selection=Selection(weights="best", split="val", every_epochs=2),
    evaluation=Evaluation(protocols=("native",), split="test", batch_size=8),
)


BALANCED = Loss(class_weights="inverse-sqrt")


def own_images(name: str, summary: str, model: Spec, loss: Loss = BALANCED) -> Recipe:
    """A recipe for the user's own images; `model.encoder=NAME` selects another encoder."""
    return Recipe(
        name=name,
        summary=summary,
        model=model,
        data=Data(dataset="auto"),
        augment=Augment(
            scale=(0.75, 1.75), aspect=0.1, crop=(352, 480), class_crop=0.5, flip=0.5, brightness=0.3, contrast=0.3,
            saturation=0.3, channel_gain=0.1,
        ),
        loss=loss,
        optimizer=Optimizer(kind="adamw", lr=1e-3, weight_decay=0.05, betas=(0.9, 0.99), clip_norm=5.0),
        schedule=Schedule(epochs=100, kind="poly", warmup_share=0.05),
        sampling=Sampling(batch_size=8, drop_last=True),
        ema=Ema(decay=0.999),
        selection=Selection(weights="best", split="val", every_epochs=5, statistics_images=64),
        evaluation=Evaluation(protocols=("native",), split="val"),
    )  # fmt: skip


UNET = msgspec.structs.replace(
    own_images(
        "unet",
        "for your own images: a U-Net that fits crop, batch, length and weights to your data, machine and time",
        UNetSpec(
            encoder="tf_efficientnet_lite0",
            decoder_channels=(128, 64, 48),
            preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        ),
    ),
    augment=Augment(
        scale=(0.7, 1.4), aspect=0.1, crop=(352, 480), class_crop=0.3, flip=0.5, brightness=0.3, contrast=0.3,
        saturation=0.3, channel_gain=0.1,
    ),
    # The decoder learns from nothing, the encoder has learnt already.
    optimizer=Optimizer(
        kind="adamw", lr=3e-3, weight_decay=0.05, betas=(0.9, 0.99), clip_norm=5.0,
        groups=(Group(pattern="^encoder", lr=0.33),),
    ),
    initialize=Initialize(encoder="default"),
    sampling=Sampling(batch_size=8),
    planned=tuple(PLANNABLE),
    notes="Decoder, rates and augmentation were chosen on parts of the training images of CamVid and of microscope "
    "images of nuclei, after 6 to 10 minutes on one processor core.",
)  # fmt: skip

EOMT = msgspec.structs.replace(
    own_images(
        "generic-eomt",
        "EoMT, masks and their classes, over any plain transformer",
        EoMTSpec(encoder="vit_small_patch14_reg4_dinov2"),
        Loss(matching=Matching(assignment="fixed")),
    ),
    optimizer=Optimizer(kind="adamw", lr=1e-4, weight_decay=0.05, decay_all=True, layer_decay=0.8),
    ema=None,
)

PMT = msgspec.structs.replace(
    own_images(
        "generic-pmt",
        "PMT, masks and their classes, over any plain transformer, which stays as it is",
        PMTSpec(encoder="vit_small_patch14_reg4_dinov2"),
        Loss(matching=Matching(assignment="fixed")),
    ),
    optimizer=Optimizer(kind="adamw", lr=2e-4, weight_decay=0.05, decay_all=True, clip_norm=0.01),
    initialize=Initialize(encoder="default", freeze=True),
    ema=None,
)

DPT = msgspec.structs.replace(
    own_images("generic-dpt", "DPT's decoder over any plain transformer", DPTSpec()),
    # The decoder learns from nothing, the encoder has learnt already.
    optimizer=Optimizer(
        kind="adamw", lr=1e-3, weight_decay=0.05, betas=(0.9, 0.99), clip_norm=5.0,
        groups=(Group(pattern="^encoder", lr=0.1),),
    ),
)  # fmt: skip

MASK2FORMER = msgspec.structs.replace(
    own_images(
        "generic-mask2former",
        "Mask2Former, masks and their classes, over any encoder with several scales",
        Mask2FormerSpec(encoder="resnet18"),
        Loss(matching=Matching(assignment="fixed")),
    ),
    optimizer=Optimizer(kind="adamw", lr=1e-4, weight_decay=0.05, clip_norm=0.01),
    ema=None,
)

OWN_IMAGES = (
    UNET,
    own_images("unet-resnet18", "U-Net over a ResNet-18 for anybody's own images", UNetSpec(encoder="resnet18")),
    own_images("generic-fcn", "FCN head over any encoder", FCNSpec(encoder="resnet18", channels=256)),
    own_images("generic-psp", "pyramid pooling over any encoder", PSPNetSpec(encoder="resnet18", channels=256)),
    own_images("generic-aspp", "DeepLabV3 head over any encoder", DeepLabV3Spec(encoder="resnet18", rates=(6, 12, 18))),
    own_images("generic-aspp-decoder", "DeepLabV3+ head over any encoder", DeepLabV3PlusSpec(encoder="resnet18")),
    own_images("generic-fpn", "feature pyramid over any encoder", FPNSpec(encoder="resnet18")),
    own_images("generic-unet", "U-Net over any encoder", UNetSpec(encoder="resnet34")),
    own_images("generic-segformer", "SegFormer's MLP head over any encoder", SegFormerSpec(encoder="mit_b0")),
    own_images("generic-linear", "a linear classifier over any encoder", LinearSpec(encoder="resnet18")),
    DPT,
    EOMT,
    PMT,
    MASK2FORMER,
)

CAMVID_CPU_15MIN = Recipe(
    name="camvid-cpu-15min",
    summary="what 15 minutes on 2 CPU cores reach on CamVid, from scratch, at about half resolution",
    model=UNetSpec(encoder="mobilenetv3_small_100", decoder_channels=(64, 48, 32)),
    data=Data(dataset="camvid"),
    augment=Augment(
        resize=(192, 256), scale=(0.7, 1.8), aspect=0.1, crop=(192, 256), class_crop=0.3, flip=0.5, brightness=0.5,
        contrast=0.4, saturation=0.5, channel_gain=0.15,
    ),
    loss=Loss(class_weights="inverse-sqrt", dice=0.5),
    optimizer=Optimizer(kind="adamw", lr=2e-3, weight_decay=0.05, betas=(0.9, 0.99), clip_norm=5.0),
    schedule=Schedule(iterations=2500, kind="poly", warmup_iterations=100),
    sampling=Sampling(batch_size=8, drop_last=True),
    ema=Ema(decay=0.997),
    precision=Precision(channels_last=True),
    evaluation=Evaluation(protocols=("camvid-480x360",), split="test", input_size=(192, 256)),
    notes="Train split only. The network sees 256x192 and its logits have stride 4; scored at 480x360. Choices were "
    "made for speed, on a part of the train split and on val; the test score of one earlier version was seen "
    "(39.14, benchmarks/README.md).",
)  # fmt: skip

CAMVID_CPU_1H = Recipe(
    name="camvid-cpu-1h",
    summary="what an hour on 2 CPU cores with bfloat16 reaches on CamVid, from scratch, at 480x360",
    model=SwiftNetSpec(encoder="resnet18"),
    data=Data(dataset="camvid"),
    augment=Augment(
        scale=(0.5, 1.6), aspect=0.1, crop=(240, 320), class_crop=0.5, flip=0.5, mix="classmix", mix_probability=0.3,
        brightness=0.5, contrast=0.5, saturation=0.5, channel_gain=0.1,
    ),
    loss=Loss(class_weights="inverse-sqrt", dice=0.5),
    optimizer=Optimizer(kind="adamw", lr=1e-3, weight_decay=0.05, betas=(0.9, 0.99), clip_norm=1.0),
    schedule=Schedule(iterations=5000, kind="poly", power=0.9, warmup_iterations=150),
    sampling=Sampling(batch_size=8, drop_last=True),
    ema=Ema(decay=0.999),
    precision=Precision(dtype="bfloat16", channels_last=True),
    selection=Selection(weights="last", split="val", every_epochs=10),
    evaluation=Evaluation(protocols=("camvid-480x360", "camvid-480x360-tta"), split="test"),
    notes="Train split only; the last averaged weights are the result, nothing is chosen on test. Dense convolutions "
    "and bfloat16, because that is what processors with AVX-512 or AMX do fast; elsewhere precision.dtype=auto. Crops "
    "of 320x240 take the fewest seconds per image; the network sees whole images when it is scored.",
)  # fmt: skip

CAMVID_CPU_1H_PRETRAINED = Recipe(
    name="camvid-cpu-1h-pretrained",
    summary="what an hour on 2 CPU cores reaches on CamVid at 480x360, from an encoder pretrained on ImageNet",
    model=UNET.model,
    data=Data(dataset="camvid"),
    augment=CAMVID_CPU_1H.augment,
    loss=Loss(class_weights="inverse-sqrt", dice=0.5),
    optimizer=UNET.optimizer,
    schedule=Schedule(iterations=5000, kind="poly", power=0.9, warmup_iterations=150),
    sampling=Sampling(batch_size=8, drop_last=True),
    ema=Ema(decay=0.999),
    initialize=Initialize(encoder="default"),
    precision=Precision(dtype="bfloat16", channels_last=True),
    selection=Selection(weights="last", split="val", every_epochs=10),
    evaluation=Evaluation(protocols=("camvid-480x360", "camvid-480x360-tta"), split="test"),
    notes="Train split only; the last averaged weights are the result, nothing is chosen on test. Network and rates "
    "are those of unet, augmentation and length those of camvid-cpu-1h.",
)  # fmt: skip

RECIPES = register(TOWN_DEMO, *OWN_IMAGES, CAMVID_CPU_15MIN, CAMVID_CPU_1H, CAMVID_CPU_1H_PRETRAINED)
