"""The contracts that our own tests run, as functions for everybody who adds a network."""

from pixelwise.testing.models import check_model

__all__ = ["check_model"]
