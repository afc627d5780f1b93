"""Training procedures of the published rows: the recipe sections shared by the rows of a code base.

The sources are named in the modules of the rows. Each function returns keyword arguments of
`pixelwise.recipes.published.rows.row`.

Known differences, each by less than a pixel: zoomed sizes are rounded, while United Perception, torchvision and
SwiftNet truncate them; labels are sampled at the centre of a pixel, while OpenCV's nearest neighbour samples its
corner; TensorFlow's own resizing aligns the corners. Hard pixels are chosen within the batch of one forward pass, on
several GPUs within each GPU's, so `sampling.accumulate` or the same number of GPUs reproduces the original choice.
"""

from __future__ import annotations

from typing import Any, Literal

from pixelwise.recipes.loss_terms.boundary_aware import BoundaryAware
from pixelwise.recipes.loss_terms.boundary_head import BoundaryHead
from pixelwise.recipes.schema.recipe import Augment, Ema, Group, Loss, Ohem, Optimizer, Schedule, Selection, Stage
from pixelwise.recipes.sizes import Size

Sections = dict[str, Any]
SQUARES: dict[str, tuple[Size | None, Size]] = {
    "ade20k": ((512, 2048), (512, 512)),
    "cityscapes": (None, (1024, 1024)),
}
"""Data set -> to which size images are fitted, if they are, and the crops of networks that are trained on squares."""


def mmseg_augment(
    fit: Size | None, crop: Size, *, pad: Literal["center", "end"] = "end", fill: Literal["black", "mean"] = "mean"
) -> Augment:
    """Mmsegmentation's augmentation: zoom by 0.5 to 2, crops of which no class has more than 75 %, flips, colours."""
    return Augment(
        fit=fit,
        scale=(0.5, 2.0),
        scale_law="uniform",
        crop=crop,
        max_class_share=0.75,
        flip=0.5,
        pad=pad,
        fill=fill,
        resampling="bilinear",
        photometric="mmseg",
    )


def enet(size: Size, batch: int) -> Sections:
    """PyTorch-ENet: Adam with coupled weight decay of everything, a tenth of the rate after every 100 of 300 epochs.

    There is no augmentation. The original networks have one more output, "unlabelled", with a loss weight of 0; here
    void pixels are ignored and never predicted.
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
    """sssegmentation: SGD with weight decay of everything, poly 0.9 down to 1 % of the rate, last weights.

    Images are fitted to 2048x512, or to 2048x1024 for crops of 1024x512, before they are zoomed.
    """
    return {
        "batch": batch,
        "augment": mmseg_augment((crop[1], 2048), crop, pad="center"),
        "optimizer": Optimizer(kind="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4, decay_all=True),
        "schedule": Schedule(epochs=epochs, kind="poly", power=0.9, min_lr_ratio=0.01),
    }


def united_perception(**colors: Any) -> Sections:
    """United Perception's SegFormer and HRNet both: crops of 1024x1024, batch size 8, the best evaluated weights.

    An epoch of Cityscapes' 2975 images has 372 steps; the original repeats an image to fill the last batch of 8.
    """
    return {
        "batch": 8,
        "drop_last": False,
        "augment": Augment(
            scale=(0.5, 2.0),
            scale_law="two-sided",
            crop=(1024, 1024),
            flip=0.5,
            pad="end",
            resampling="bilinear",
            **colors,
        ),
        "selection": Selection(weights="best", split="val", every_epochs=5),
    }


def segformer() -> Sections:
    """SegFormer: AdamW, 160,000 iterations, linear decay, ten times the rate in the head.

    Normalisation layers within stages have no weight decay. The cross entropy is averaged over all pixels, ignored
    ones included. As in the original code, the warm-up divides by its length minus one, and the decay counts from the
    first step.
    """
    within_stages = r"^encoder\.stages\.\d+\.(embedding|blocks)\..*norm"
    groups = (Group(pattern=r"^head\.", lr=10.0), Group(pattern=within_stages, weight_decay=0.0))
    return united_perception(photometric="united-perception") | {
        "loss": Loss(normalize="all"),
        "optimizer": Optimizer(kind="adamw", lr=6e-5, lr_batch=8, weight_decay=0.01, decay_all=True, groups=groups),
        "schedule": Schedule(
            iterations=160_000, power=1.0, warmup_iterations=1499, warmup_ratio=1e-6, decay_from="start"
        ),
    }


def hrnet(*, averaged: bool) -> Sections:
    """HRNet: SGD, 180 epochs; `averaged` adds a running average of the weights.

    The table states batch size 8; according to the files it may have been 16. The rate per image is the same either
    way.
    """
    return united_perception(brightness_shift=10) | {
        # The original keeps 100,000 pixels of each GPU's 2 crops.
        "loss": Loss(auxiliary=0.4, ohem=Ohem(threshold=0.9, min_kept=100_000 / (2 * 1024 * 1024))),
        "optimizer": Optimizer(kind="sgd", lr=0.005, lr_batch=8, momentum=0.9, weight_decay=5e-4, decay_all=True),
        "schedule": Schedule(epochs=180, power=0.9, warmup_iterations=499, warmup_ratio=0.25, decay_from="start"),
        "ema": Ema(decay=0.9998, ramp=2000.0) if averaged else None,
    }


FLOAT_STAGE = (
    "quantization=none", "optimizer.lr=0.0004", "schedule.epochs=250", "sampling.batch_size=12",
)  # fmt: skip
"""Overrides of the quantization-aware rows for TI's float training that precedes them."""


def edgeai(dataset: str, decoder: str, encoder: str, size: Size, *, quantized: bool) -> Sections:
    """TI EdgeAI, from its script and logs; no log is public for COCOSeg21, which uses the settings of ADE20K32."""
    regnet = encoder.startswith("regnet")
    kind, lr, decay, course, epochs, batch = "sgd", 0.1, 1e-4, "cosine", 120, 32
    if quantized:
        kind, lr, course, epochs, batch = "adam", 1e-5, "step", 50, 6
    elif dataset == "cityscapes":
        kind, lr, course, epochs, batch = ("sgd", 0.1, "cosine", 250, 16) if regnet else ("adam", 4e-4, "step", 250, 12)
    elif regnet:
        decay, epochs = 4e-5, 60
    elif decoder == "deeplabv3lite":
        kind, lr, course = "adam", 1e-4, "step"
    return {
        "batch": batch,
        "drop_last": False,
        "evaluation": {"input_size": size},
        # The networks of the largest size are trained on 1024x512 crops of the enlarged images.
        "augment": Augment(
            fit=size,
            fit_by="stretch",
            scale=(1.0, 2.0),
            scale_law="uniform",
            scale_probability=0.5,
            scale_axes="independent",
            rotate=5.0,
            rotate_probability=0.5,
            rotate_label=0,
            crop=(512, 1024) if size == (768, 1536) else size,
            flip=0.5,
            fill="mean",
            resampling="area",
        ),
        "optimizer": Optimizer(kind=kind, lr=lr, weight_decay=decay, decay_all=True),  # type: ignore[arg-type]
        "loss": _edgeai_loss(dataset),
        "schedule": Schedule(
            epochs=epochs,
            kind=course,  # type: ignore[arg-type]
            milestones=() if course == "cosine" else (60, 90) if epochs == 120 else (100, 200),
            gamma=0.25,
            per="epoch",
            warmup="proportional",
            warmup_epochs=5,
            warmup_ratio=1e-3,
            decay_from="start",
        ),
        "selection": Selection(weights="best", split="val", every_epochs=1),
        "quantization": "edgeai-8bit" if quantized else "none",
        "stages": (Stage(name="float", overrides=FLOAT_STAGE),) if quantized else (),
    }


def _edgeai_loss(dataset: str) -> Loss:
    """The loss, averaged over all pixels including ignored ones; class weights, if any, apply in 20 % of the steps."""
    if dataset == "cocoseg21":
        return Loss(normalize="all")
    return Loss(normalize="all", class_weights=f"edgeai-{dataset}", class_weights_share=0.2)  # type: ignore[arg-type]


def tf_deeplab(crop: Size, iterations: int) -> Sections:
    """TensorFlow's DeepLab: the code base's defaults and its advice for VOC; the published runs' are unknown.

    Biases of convolutions have twice the learning rate, and depthwise convolutions no weight decay.
    """
    biases = r"(classifier|gate|\.se\.(reduce|expand))\.bias$"
    depthwise = r"(conv_dw|depthwise\.conv)\.weight$"
    groups = (Group(pattern=biases, lr=2.0), Group(pattern=depthwise, weight_decay=0.0))
    return {
        "batch": 16,
        "augment": Augment(
            scale=(0.5, 2.0),
            scale_law="steps",
            scale_step=0.25,
            crop=crop,
            flip=0.5,
            pad="end-then-flip",
            fill="mean",
            resampling="bilinear",
        ),
        "optimizer": Optimizer(kind="sgd", lr=0.007, momentum=0.9, weight_decay=4e-5, groups=groups),
        "schedule": Schedule(iterations=iterations, kind="poly", power=0.9),
    }


def torchvision(crop: Size, *, mobile: bool, auxiliary: bool) -> Sections:
    """The reference scripts of torchvision; the two Cityscapes rows, whose procedure is not public, use the same."""
    groups = (Group(pattern=r"^auxiliary\.", lr=10.0),) if auxiliary else ()
    return {
        "batch": 32,
        "augment": Augment(
            fit=(520, 520),
            fit_by="short-side",
            scale=(0.5, 2.0),
            scale_law="uniform",
            crop=crop,
            flip=0.5,
            pad="end",
            resampling="antialiased",
        ),
        "loss": Loss(auxiliary=0.5),
        "optimizer": Optimizer(
            kind="sgd", lr=0.02, momentum=0.9, weight_decay=1e-6 if mobile else 1e-4, decay_all=True, groups=groups
        ),
        "schedule": Schedule(epochs=30, kind="poly", power=0.9),
    }


def erfnet(size: Size) -> Sections:
    """ERFNet: Adam, first the encoder with a classifier of its own, then the whole network, 150 epochs each.

    The encoder is trained on labels shrunk to its own stride.
    """
    return {
        "batch": 6,
        "drop_last": False,
        "evaluation": {"input_size": size},
        "augment": Augment(resize=size, flip=0.5, translate=2),
        "loss": Loss(class_weights="erfnet-decoder", auxiliary=0.0),
        "optimizer": Optimizer(kind="adam", lr=5e-4, weight_decay=1e-4, decay_all=True),
        "schedule": Schedule(epochs=150, power=0.9, per="epoch"),
        "selection": Selection(weights="best", split="val", every_epochs=1),
        "stages": (
            Stage(
                name="encoder",
                overrides=(
                    "model.part=encoder",
                    "loss.class_weights=erfnet-encoder",
                    "loss.compare_at=logits",
                    "selection.weights=last",
                ),
            ),
        ),
    }


def swiftnet() -> Sections:
    """SwiftNet: Adam, cosine to 1e-6; the encoder has a quarter of the learning rate and weight decay."""
    return {
        "batch": 14,
        "augment": Augment(
            scale=(0.5, 2.0),
            scale_law="reciprocal",
            crop=(768, 768),
            flip=0.5,
            pad="end",
            fill="mean",
            resampling="bicubic",
        ),
        "optimizer": Optimizer(
            kind="adam",
            lr=4e-4,
            betas=(0.9, 0.99),
            weight_decay=1e-4,
            decay_all=True,
            groups=(Group(pattern=r"^encoder\.", lr=0.25, weight_decay=2.5e-5),),
        ),
        "schedule": Schedule(epochs=250, kind="cosine", per="epoch", min_lr=1e-6),
        "selection": Selection(weights="best", split="val", every_epochs=4),
    }


BATCH = 12
"""Images per step of PIDNet and DDRNet, six on each of two GPUs."""


def efficientvit(dataset: str) -> Sections:
    """EfficientViT-Seg: AdamW and a cosine, as published; everything else stands in for what is unpublished.

    The paper says no more, and the authors' code trains no segmentation. Rates, weight decay, lengths, batch sizes and
    augmentation are those of SegFormer and SegNeXt on the same data set, whose networks are of the same size.
    """
    on_cityscapes = dataset == "cityscapes"
    return {
        "batch": 8 if on_cityscapes else 16,
        "augment": mmseg_augment(*SQUARES[dataset], fill="black"),
        "optimizer": Optimizer(
            kind="adamw",
            lr=6e-5,
            lr_batch=8 if on_cityscapes else 16,
            weight_decay=0.01,
            groups=(Group(pattern=r"^(projections|blocks|widen|classifier)\.", lr=10.0),),
        ),
        "schedule": Schedule(iterations=160_000, kind="cosine", warmup_iterations=1500, warmup_ratio=1e-6),
    }


def pidnet(dataset: str) -> Sections:
    """PIDNet: SGD, poly 0.9, four losses: two cross entropies with hard pixels, a plain one, and the boundaries.

    The boundary head learns whether another class lies within two pixels; where it is sure of that, the main head's
    cross entropy counts a second time. The original keeps 131,072 hard pixels of each GPU's six crops. On CamVid it
    stops after 121 of 200 epochs, at 0.4335 of the base rate.
    """
    on_camvid = dataset == "camvid"
    crop = (720, 960) if on_camvid else (1024, 1024)
    return _two_branches(crop, (720, 960) if on_camvid else (1024, 2048)) | {
        "loss": Loss(
            class_weights="none" if on_camvid else "ocnet-cityscapes",
            ohem=_hard(crop),
            auxiliary=0.4,
            terms={
                "boundary_head": BoundaryHead(weight=20.0),
                "boundary_aware": BoundaryAware(ohem=_hard(crop)),
            },
        ),
        "optimizer": Optimizer(
            kind="sgd", lr=0.005 if on_camvid else 0.01, momentum=0.9, weight_decay=5e-4, decay_all=True
        ),
        "schedule": Schedule(epochs=121 if on_camvid else 484, power=0.9, min_lr_ratio=0.4335 if on_camvid else 0.0),
    }


def ddrnet() -> Sections:
    """DDRNet on Cityscapes: SGD, poly 0.9, cross entropy of hard pixels."""
    crop = (1024, 1024)
    return _two_branches(crop, (1024, 2048)) | {
        "loss": Loss(class_weights="ocnet-cityscapes", ohem=_hard(crop), auxiliary=0.4),
        "optimizer": Optimizer(kind="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4, decay_all=True),
        "schedule": Schedule(epochs=484, power=0.9),
    }


def _two_branches(crop: Size, fit: Size) -> Sections:
    """What PIDNet and DDRNet share; 17 zoom factors from 0.5 to 2.1."""
    return {
        "batch": BATCH,
        "augment": Augment(
            fit=fit,
            scale=(0.5, 2.1),
            scale_law="steps",
            scale_step=0.1,
            crop=crop,
            flip=0.5,
            pad="end-then-flip",
            resampling="bilinear",
        ),
        "selection": Selection(weights="best", split="val", every_epochs=5),
    }


def _hard(crop: Size) -> Ohem:
    """The hard pixels, as the share of a GPU's six crops."""
    return Ohem(threshold=0.9, min_kept=131_072 / (BATCH // 2 * crop[0] * crop[1]), auxiliary=False)
