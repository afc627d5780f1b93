"""CamVid from scratch at 480x360: one procedure for six networks, on the train split or on train and val.

The elements of the procedure come from published ones and are compared on parts of the train split
(`benchmarks/camvid_ablation.py`), never on test. A network that was also trained on val is not comparable with one
that was not, so the two have different names.
"""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.deeplabv3plus import DeepLabV3PlusSpec
from pixelwise.recipes.families.hrnet import HRNetSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.families.real_time.swiftnet import SwiftNetSpec
from pixelwise.recipes.families.segformer import SegFormerSpec
from pixelwise.recipes.families.unet import UNetSpec
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import (
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
)

WARMUP_SHARE = 0.03


def from_scratch(name: str, title: str, model: Spec, lr: float, iterations: int) -> tuple[Recipe, Recipe]:
    """The recipes for train and for train+val; each iteration takes 16 images."""

    def on(suffix: str, split: str, words: str) -> Recipe:
        return Recipe(
            name=f"camvid-scratch-{name}{suffix}",
            summary=f"{title} on CamVid at 480x360 from scratch, {words}",
            model=model,
            data=Data(dataset="camvid", train_split=split),
            augment=Augment(
                scale=(0.5, 2.0), aspect=0.1, crop=(352, 480), class_crop=0.5, flip=0.5, mix="classmix",
                mix_probability=0.3, brightness=0.5, contrast=0.5, saturation=0.5, channel_gain=0.1,
            ),
            loss=Loss(class_weights="inverse-sqrt", lovasz=0.5),
            optimizer=Optimizer(kind="adamw", lr=lr, weight_decay=0.05, betas=(0.9, 0.99), clip_norm=1.0),
            schedule=Schedule(
                iterations=iterations, kind="poly", power=0.9, warmup_iterations=round(WARMUP_SHARE * iterations)
            ),
            sampling=Sampling(batch_size=16, drop_last=True),
            ema=Ema(decay=0.9995),
            precision=Precision(dtype="bfloat16", channels_last=True),
            evaluation=Evaluation(protocols=("camvid-480x360", "camvid-480x360-tta"), split="test", batch_size=16),
            notes=f"Trained on {words}. The last averaged weights are the result; nothing is chosen on test.",
        )  # fmt: skip

    return (
        on("", "train", "the train split only"),
        on("-trainval", "train+val", "train+val (not comparable with train only)"),
    )


# Name, title, network, learning rate, iterations. A transformer lacks the inductive bias of convolutions and learns
# more slowly.
RECIPES = register(
    *from_scratch("enet", "ENet", ENetSpec(graph="overlapping"), 2e-3, 24_000),
    *from_scratch("swiftnet-r18", "SwiftNet over ResNet-18", SwiftNetSpec(encoder="resnet18"), 1e-3, 24_000),
    *from_scratch("unet-r34", "U-Net over ResNet-34", UNetSpec(encoder="resnet34"), 1e-3, 24_000),
    *from_scratch("deeplabv3plus-mobilenetv2", "DeepLabV3+ over MobileNetV2",
                  DeepLabV3PlusSpec(encoder="mobilenetv2_100", output_stride=16), 1e-3, 24_000),
    *from_scratch("hrnet-w18", "HRNet-W18", HRNetSpec(variant="w18"), 1e-3, 24_000),
    *from_scratch("segformer-b0", "SegFormer-B0", SegFormerSpec(encoder="mit_b0"), 5e-4, 60_000),
)  # fmt: skip
