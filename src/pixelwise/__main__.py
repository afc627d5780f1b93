"""`python -m pixelwise`, as `torchrun -m pixelwise` starts it."""

from pixelwise.cli import entry

entry()
