"""The contracts that our own tests run, as functions for everybody who adds a network or a data format."""

from pixelwise.testing.formats import check_format
from pixelwise.testing.models import check_model

__all__ = ["check_format", "check_model"]
