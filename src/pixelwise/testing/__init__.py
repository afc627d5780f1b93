"""The contracts that our own tests run, as functions for everybody who adds a network or an encoder."""

from pixelwise.testing.encoders import check_encoder
from pixelwise.testing.models import check_model

__all__ = ["check_encoder", "check_model"]
