"""How the published rows were trained: the sections of a recipe that a code base's rows share.

Sources are named in the modules of the rows. A function returns keyword arguments of
`pixelwise.recipes.rows.row`.
"""

from __future__ import annotations

from typing import Any

from pixelwise.recipes.protocols import Size
from pixelwise.recipes.schema import Augment, Ema, Loss, Optimizer, Schedule, Selection

Sections = dict[str, Any]


def enet(size: Size, batch: int) -> Sections:
    """PyTorch-ENet: Adam, coupled decay of everything, a tenth of the rate every 100 of 300 epochs, no augmentation.

    The original networks carry one more output, "unlabelled", whose loss weight is 0; here void pixels are
    ignored and never predicted.
    """
    return {
        "batch": batch,
        "drop_last": False,
        "evaluation": {"input_size": size, "batch_size": batch},
        "augment": Augment(resize=size),
        "loss": Loss(class_weights="enet"),
        "optimizer": Optimizer(kind="adam", lr=5e-4, weight_decay=2e-4, decay_all=True),
        "schedule": Schedule(epochs=300, kind="step", step_epochs=100, gamma=0.1),
        "selection": Selection(weights="best", split="val", every_epochs=10),
    }


def sssegmentation(crop: Size, batch: int, epochs: int) -> Sections:
    """SGD with decay of everything, poly 0.9 down to 1 % of the rate, last weights."""
    return {
        "batch": batch,
        "augment": Augment(scale=(0.5, 2.0), crop=crop, flip=0.5, brightness=0.125, contrast=0.5, saturation=0.5),
        "optimizer": Optimizer(kind="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4, decay_all=True),
        "schedule": Schedule(epochs=epochs, kind="poly", power=0.9, min_lr_ratio=0.01),
    }


def united_perception(**colors: Any) -> Sections:
    """What SegFormer and HRNet share there: crops of 1024x1024, batch 8, the best of the evaluations."""
    return {
        "batch": 8,
        "augment": Augment(scale=(0.5, 2.0), crop=(1024, 1024), flip=0.5, **colors),
        "selection": Selection(weights="best", split="val", every_epochs=5),
    }


def segformer() -> Sections:
    """AdamW, 160,000 iterations, linear decline."""
    return united_perception(brightness=0.125, contrast=0.5, saturation=0.5) | {
        "optimizer": Optimizer(kind="adamw", lr=6e-5, weight_decay=0.01, decay_all=True),
        "schedule": Schedule(iterations=160_000, power=1.0, warmup_iterations=1500, warmup_ratio=1e-6),
    }


def hrnet(*, averaged: bool) -> Sections:
    """SGD, 180 epochs; a running average of the weights where the row says so.

    The table prints batch 8; the files leave open whether it was 16. The rate per image is the same either way.
    """
    return united_perception(brightness=0.04) | {
        "loss": Loss(auxiliary=0.4),
        "optimizer": Optimizer(kind="sgd", lr=0.005, momentum=0.9, weight_decay=5e-4, decay_all=True),
        "schedule": Schedule(epochs=180, kind="poly", power=0.9, warmup_iterations=500, warmup_ratio=0.25),
        "ema": Ema(decay=0.9998, ramp=2000.0) if averaged else None,
    }


def edgeai(dataset: str, decoder: str, encoder: str, size: Size, *, quantized: bool) -> Sections:
    """TI's script and logs; for COCOSeg21 no log is public, the settings are those of ADE20K32."""
    regnet = encoder.startswith("regnet")
    kind, lr, decay, course, epochs, batch = "sgd", 0.1, 1e-4, "cosine", 120, 32
    if quantized:
        kind, lr, course, epochs, batch = "adam", 1e-5, "step", 50, 6
    elif dataset == "cityscapes":
        kind, lr, course, epochs, batch = ("sgd", 0.1, "cosine", 250, 16) if regnet else ("adam", 4e-4, "step", 250, 12)
    elif regnet:
        decay, epochs = 4e-5, 60
    elif (dataset, decoder) == ("ade20k32", "deeplabv3lite"):
        kind, lr, course = "adam", 1e-4, "step"
    return {
        "batch": batch,
        "evaluation": {"input_size": size},
        # The largest size trains on crops of 1024x512 of the enlarged images.
        "augment": Augment(resize=size, scale=(1.0, 2.0), crop=(512, 1024) if size == (768, 1536) else size, flip=0.5),
        "optimizer": Optimizer(kind=kind, lr=lr, weight_decay=decay, decay_all=True),  # type: ignore[arg-type]
        "schedule": Schedule(epochs=epochs, kind=course, step_epochs=100 if epochs == 250 else 60, gamma=0.25),  # type: ignore[arg-type]
        "selection": Selection(weights="best", split="val", every_epochs=1),
        "quantization": "edgeai-8bit" if quantized else "none",
    }


def tf_deeplab(crop: Size, iterations: int) -> Sections:
    """The code base's defaults; those of the published runs are not known."""
    return {
        "batch": 16,
        "augment": Augment(scale=(0.5, 2.0), crop=crop, flip=0.5),
        "optimizer": Optimizer(kind="sgd", lr=0.007, momentum=0.9, weight_decay=4e-5),
        "schedule": Schedule(iterations=iterations, kind="poly", power=0.9),
    }


def torchvision(crop: Size, *, mobile: bool) -> Sections:
    """The reference scripts; no procedure of the two Cityscapes rows is public, theirs is that of the others."""
    return {
        "batch": 32,
        "augment": Augment(scale=(0.5, 2.0), crop=crop, flip=0.5),
        "loss": Loss(auxiliary=0.5),
        "optimizer": Optimizer(
            kind="sgd", lr=0.02, momentum=0.9, weight_decay=1e-6 if mobile else 1e-4, decay_all=True
        ),
        "schedule": Schedule(epochs=30, kind="poly", power=0.9),
    }


def erfnet(size: Size) -> Sections:
    """Adam, 150 epochs for the whole network; its encoder's own classifier is not trained in them."""
    return {
        "batch": 6,
        "drop_last": False,
        "evaluation": {"input_size": size},
        "augment": Augment(resize=size, flip=0.5),
        "loss": Loss(auxiliary=0.0),
        "optimizer": Optimizer(kind="adam", lr=5e-4, weight_decay=1e-4, decay_all=True),
        "schedule": Schedule(epochs=150, kind="poly", power=0.9),
    }


def swiftnet() -> Sections:
    """Adam, cosine to 1e-6."""
    return {
        "batch": 14,
        "augment": Augment(scale=(0.5, 2.0), crop=(768, 768), flip=0.5),
        "optimizer": Optimizer(kind="adam", lr=4e-4, betas=(0.9, 0.99), weight_decay=1e-4, decay_all=True),
        "schedule": Schedule(epochs=250, kind="cosine", min_lr_ratio=0.0025),
    }
