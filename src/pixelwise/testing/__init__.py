"""The contracts that our own tests run, for everybody who adds a network, a data format, a loss term or a tracker."""

from pixelwise.testing.formats import check_format
from pixelwise.testing.losses import check_term
from pixelwise.testing.models import check_model
from pixelwise.testing.trackers import check_tracker

__all__ = ["check_format", "check_model", "check_term", "check_tracker"]
