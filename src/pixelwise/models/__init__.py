"""Complete networks: one file per family, imported when a network of that family is first built."""

from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import build_model
from pixelwise.models.preprocessing import normalize

__all__ = ["SegmentationModel", "build_model", "normalize"]
