"""What a network costs: parameters and multiply-accumulates."""

from pixelwise.profiling.complexity import Complexity, complexity

__all__ = ["Complexity", "complexity"]
