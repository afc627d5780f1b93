"""Recipes of our own: no published number stands behind them, and their names say what they are."""

from __future__ import annotations

from pixelwise.recipes.schema import (
    Augment,
    Data,
    Ema,
    Evaluation,
    Loss,
    Optimizer,
    Precision,
    Recipe,
    Sampling,
    Schedule,
    Selection,
)
from pixelwise.recipes.specs import ENetSpec, UNetSpec

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

UNET_RESNET18 = Recipe(
    name="unet-resnet18",
    summary="U-Net over a ResNet-18 for anybody's own images",
    model=UNetSpec(encoder="resnet18"),
    data=Data(dataset="auto"),
    augment=Augment(
        scale=(0.75, 1.75), aspect=0.1, crop=(352, 480), class_crop=0.5, flip=0.5, brightness=0.3, contrast=0.3,
        saturation=0.3, channel_gain=0.1,
    ),
    loss=Loss(class_weights="inverse-sqrt"),
    optimizer=Optimizer(kind="adamw", lr=1e-3, weight_decay=0.05, betas=(0.9, 0.99), clip_norm=5.0),
    schedule=Schedule(epochs=100, kind="poly", warmup_iterations=100),
    sampling=Sampling(batch_size=8, drop_last=True),
    ema=Ema(decay=0.999),
    selection=Selection(weights="best", split="val", every_epochs=5),
    evaluation=Evaluation(protocols=("native",), split="val"),
)  # fmt: skip

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

RECIPES = (TOWN_DEMO, UNET_RESNET18, CAMVID_CPU_15MIN)
