"""Former location of `pixelwise.suggestions`, kept for compatibility."""

from pixelwise.suggestions import did_you_mean as did_you_mean
