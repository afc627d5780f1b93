"""An exported artefact as a callable with a network's interface."""

from pixelwise.runtimes.artefact import ArtefactModel, is_artefact, load_artefact
from pixelwise.runtimes.sidecar import Sidecar, read_sidecar, write_sidecar

__all__ = ["ArtefactModel", "Sidecar", "is_artefact", "load_artefact", "read_sidecar", "write_sidecar"]
