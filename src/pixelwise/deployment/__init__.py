"""Export, and verification of what was exported."""

from pixelwise.deployment.export import Exported, export
from pixelwise.deployment.graphs import ExportedNetwork, GraphOptions

__all__ = ["Exported", "ExportedNetwork", "GraphOptions", "export"]
