"""The former place of `pixelwise.suggestions`."""

from pixelwise.suggestions import did_you_mean as did_you_mean
