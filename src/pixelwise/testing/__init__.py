"""Contract checks for extensions, the same that Pixelwise's own tests run."""

from pixelwise.testing.encoders import check_encoder
from pixelwise.testing.formats import check_format
from pixelwise.testing.losses import check_term
from pixelwise.testing.metrics import check_metric
from pixelwise.testing.models import check_model
from pixelwise.testing.targets import check_target
from pixelwise.testing.trackers import check_tracker

__all__ = [
    "check_encoder",
    "check_format",
    "check_metric",
    "check_model",
    "check_target",
    "check_term",
    "check_tracker",
]
