"""The contracts that our own tests run, as functions for everybody who adds a network or a metric."""

from pixelwise.testing.metrics import check_metric
from pixelwise.testing.models import check_model

__all__ = ["check_metric", "check_model"]
