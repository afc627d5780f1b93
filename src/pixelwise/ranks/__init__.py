"""One process or many that work together; what they add up, they add up over all of them."""

from pixelwise.ranks.alone import ALONE, Ranks

__all__ = ["ALONE", "Ranks"]
