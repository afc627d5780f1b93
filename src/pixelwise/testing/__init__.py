"""The contracts that our own tests run, as functions for whoever adds a network, a loss term, a metric or a tracker."""

from pixelwise.testing.losses import check_term
from pixelwise.testing.metrics import check_metric
from pixelwise.testing.models import check_model
from pixelwise.testing.trackers import check_tracker

__all__ = ["check_metric", "check_model", "check_term", "check_tracker"]
