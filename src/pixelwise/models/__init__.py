"""Complete networks: one file per family, each registered by the type of its spec."""

from pixelwise.models import (
    deeplabv3,
    deeplabv3lite,
    deeplabv3plus,
    enet,
    erfnet,
    fcn,
    fpn,
    fpnlite,
    hrnet,
    linear,
    lraspp,
    ocrnet,
    pspnet,
    segformer,
    swiftnet,
    tf_deeplab,
    unet,
    unetlite,
)
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import build_model
from pixelwise.models.preprocessing import normalize

__all__ = [
    "SegmentationModel",
    "build_model",
    "deeplabv3",
    "deeplabv3lite",
    "deeplabv3plus",
    "enet",
    "erfnet",
    "fcn",
    "fpn",
    "fpnlite",
    "hrnet",
    "linear",
    "lraspp",
    "normalize",
    "ocrnet",
    "pspnet",
    "segformer",
    "swiftnet",
    "tf_deeplab",
    "unet",
    "unetlite",
]
