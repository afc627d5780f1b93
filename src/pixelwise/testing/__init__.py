"""The contracts that our own tests run, as functions for everybody who adds a network or an export target."""

from pixelwise.testing.models import check_model
from pixelwise.testing.targets import check_target

__all__ = ["check_model", "check_target"]
