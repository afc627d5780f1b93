"""The published SegFormer, HRNet and OCR rows of ModelTC/EOD, United Perception (Apache-2.0)."""

from __future__ import annotations

from typing import Any

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.hrnet import HRNetSpec, OCRNetSpec
from pixelwise.recipes.families.segformer import SegFormerSpec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import Data, Original, Recipe

ORIGIN = Origin("002", "United Perception, semantic benchmark", "ModelTC/EOD@f7dd707", "Apache-2.0")
NVIDIA = "NVIDIA Source Code License for SegFormer (non-commercial)"
# By variant: timm's weights, their licence, the authors' initial weights.
WEIGHTS = {
    "w18": ("hrnet_w18_ssld.paddle_in1k", "MIT", "HRNet_W18_C_ssld_pretrained, the same"),
    "w18-small-v1": ("hrnet_w18_small.ms_in1k", "MIT", "hrnet_w18_small_model_v1"),
    "w18-small-v2": ("hrnet_w18_small_v2.ms_in1k", "MIT", "hrnet_w18_small_model_v2"),
    "w48": ("hrnet_w48_ssld.paddle_in1k", "MIT", "HRNet_W48_C_ssld_pretrained, the same"),
}


def cityscapes_row(name: str, summary: str, model: Spec, miou: float, parameters: str, gmacs: float, **rest: Any):
    """One row of the page; `rest` are the arguments of `row` that differ between SegFormer and HRNet."""
    counted = Original(outputs=19, parameters=parameters, gmacs=gmacs, size=(1024, 2048))
    data = Data(dataset="cityscapes")
    score = Score(miou, "cityscapes-2048x1024", counted)
    return row(name, f"{summary}, on cityscapes", model, data, ORIGIN, score, **rest)


def segformer(size: str, miou: float, parameters: str, gmacs: float) -> Recipe:
    """A SegFormer row; the head of every size has 256 channels."""
    return cityscapes_row(
        f"segformer-{size}-cityscapes", f"SegFormer-{size.upper()}, the page's convolutional head",
        SegFormerSpec(encoder=f"mit_{size}", head="convolution", channels=256), miou, parameters, gmacs,
        weights=(f"nvidia/mit-{size}", NVIDIA, f"mit_{size}_cvt.pth, the same weights converted"),
        **procedures.segformer(),
    )  # fmt: skip


def hrnet(name: str, model: HRNetSpec | OCRNetSpec, miou: float, parameters: str, gmacs: float) -> Recipe:
    """An HRNet or OCR row, with a running average if the name contains `-ema-`."""
    head = "OCR over HRNet" if isinstance(model, OCRNetSpec) else "HRNet"
    averaged = "-ema-" in name
    return cityscapes_row(
        name, f"{head} {model.variant}{', running average' if averaged else ''}", model, miou, parameters, gmacs,
        weights=WEIGHTS[model.variant], **procedures.hrnet(averaged=averaged),
    )  # fmt: skip


RECIPES = register(
    segformer("b0", 75.28, "3720051", 120.96),
    segformer("b1", 77.55, "13.683M", 239.13),
    segformer("b2", 80.38, "24728019", 419.01),
    segformer("b3", 81.36, "44.604M", 664.76),
    segformer("b4", 81.49, "61.374M", 942.28),
    segformer("b5", 81.52, "81.975M", 1161.89),
    hrnet("hrnet18-cityscapes", HRNetSpec(variant="w18"), 79.9, "9641119", 147.4),
    hrnet("hrnet18-ema-cityscapes", HRNetSpec(variant="w18"), 80.5, "9641119", 147.4),
    hrnet("hrnet18-small-v1-ema-cityscapes", HRNetSpec(variant="w18-small-v1"), 67.8, "1540819", 33.39),
    hrnet("hrnet18-small-v2-ema-cityscapes", HRNetSpec(variant="w18-small-v2"), 75.6, "3939579", 76.86),
    hrnet("hrnet48-ema-cityscapes", HRNetSpec(variant="w48"), 82.61, "65.859M", 747.51),
    hrnet("hrnet48-ocr-ema-cityscapes", OCRNetSpec(variant="w48"), 83.06, "70372678", 1297.88),
)
