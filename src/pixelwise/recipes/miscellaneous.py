"""The two rows that the EdgeAI page lists "for reference only": ERFNet and SwiftNet on Cityscapes."""

from __future__ import annotations

from pixelwise.recipes.rows import Origin, row
from pixelwise.recipes.schema import Augment, Data, Loss, Optimizer, Original, Schedule
from pixelwise.recipes.specs import ERFNetSpec, SwiftNetSpec

TITLE = "TI EdgeAI, segmentation benchmark"
RECIPES = (
    row(
        "erfnet-cityscapes", "ERFNet on cityscapes at 1024x512, after 150 epochs of its encoder alone",
        ERFNetSpec(), Data(dataset="cityscapes"),
        Origin("004", TITLE, "Eromera/erfnet_pytorch", "CC-BY-NC-4.0"), 69.7, "erfnet-1024x512",
        Original(outputs=20, parameters="2066836", gmacs=26.6127, size=(512, 1024),
                 note="The page prints 27.705; the original class with its 20 outputs counts this, with 19 26.604."),
        batch=6, drop_last=False,
        printed={
            "gmacs": 27.705,
            "note": "69.7 is close to the 69.8 of the test server in the code base's README, which has 72.1 on val.",
        }, evaluation={"input_size": (512, 1024)},
        augment=Augment(resize=(512, 1024), flip=0.5),
        loss=Loss(auxiliary=0.0),  # the encoder's own classifier has learned in the first stage
        optimizer=Optimizer(kind="adam", lr=5e-4, weight_decay=1e-4, decay_all=True),
        schedule=Schedule(epochs=150, kind="poly", power=0.9),
    ),
    row(
        "swiftnet-mobilenetv2-cityscapes", "SwiftNet, single scale, MobileNetV2, on cityscapes",
        SwiftNetSpec(encoder="mobilenetv2_100"), Data(dataset="cityscapes"),
        Origin("004", TITLE, "Orsic et al. 2019, arXiv:1903.08469", "unknown"), 75.3, "cityscapes-2048x1024",
        Original(outputs=19, parameters="2.369M", gmacs=38.154, size=(1024, 2048), tolerance=0.015,
                 note="The page prints 41.0. Adaptation: only the code of the ResNet-18 network is public."),
        batch=14, printed={"gmacs": 41.0}, weights=("mobilenetv2_100.ra_in1k", "Apache-2.0", "ImageNet-1k"),
        augment=Augment(scale=(0.5, 2.0), crop=(768, 768), flip=0.5),
        optimizer=Optimizer(kind="adam", lr=4e-4, betas=(0.9, 0.99), weight_decay=1e-4, decay_all=True),
        schedule=Schedule(epochs=250, kind="cosine", min_lr_ratio=0.0025),
    ),
)  # fmt: skip
