"""Complete networks: one file per family, each registered by the type of its spec."""

from pixelwise.models import enet, unet  # importing a family registers it
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import build_model
from pixelwise.models.preprocessing import normalize

__all__ = ["SegmentationModel", "build_model", "enet", "normalize", "unet"]
