"""Writing of a network in the format of a target, with readable errors if that fails."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from torch.export import ExportedProgram

from pixelwise.errors import CheckpointError, PixelwiseError
from pixelwise.observer import SILENT, Observer
from pixelwise.runtimes.graphs import ExportedNetwork, NotOneGraphError
from pixelwise.runtimes.packages import require
from pixelwise.runtimes.targets import Target
from pixelwise.storage.atomic import full_disk_behind


def require_packages(target: Target) -> None:
    """Check that the packages for writing and running a target are installed.

    Raises:
        RecipeError: R240, a package is not installed.
    """
    for package in target.packages:
        # Some converters report at their import what else is installed.
        with quiet():
            require(package, f"exporting to {target.name}", target.install)


def write_artefact(network: ExportedNetwork, target: Target, folder: Path, observer: Observer = SILENT) -> list[Path]:
    """Write a network as the files of a target.

    Args:
        network: The network with its preprocessing and postprocessing.
        target: Export target.
        folder: Existing folder for the files.
        observer: Receives the phases, of which each takes several seconds.

    Returns:
        The files; first the one that the runtime opens.

    Raises:
        CheckpointError: K461, the format lacks an operator, or the network cannot be captured as one graph.
        ResourceError: S601, the disk is full.
    """
    observer.phase(f"writing {target.name}")
    network.tell = observer.phase
    try:
        with quiet():
            return target.write(network, folder)
    except PixelwiseError:
        raise
    except NotOneGraphError as error:
        raise _unsupported("torch.export", error, None) from error
    except Exception as error:  # every converter has exceptions of its own
        full = full_disk_behind(error, folder, _weights_bytes(network))
        if full is not None:
            raise full from error
        raise _unsupported(target.name, error, network.captured) from error
    finally:
        network.captured, network.tell = None, SILENT.phase


def _weights_bytes(network: ExportedNetwork) -> int:
    return sum(getattr(value, "nbytes", 0) for value in network.model.state_dict().values())


def _unsupported(format_name: str, error: Exception, program: ExportedProgram | None) -> CheckpointError:
    """Error K461 for a network that a format cannot represent; it names the layer if that is known."""
    texts, cause = [], error
    while cause is not None and len(texts) < 10:
        texts.append(re.sub(r"\x1b\[\d+m", "", str(cause)))
        cause = cause.__cause__ or cause.__context__
    text = "\n".join(texts)
    operator = re.search(r"No (?:ONNX|decompositions?) \w+ (?:found )?for <OpOverload\(op='([^']+)'", text)
    node = re.search(r"translating node %?(\w+)", text)
    layer = _layer_of(program, node[1]) if node else None
    reason = f"it has no operator for {operator[1]}" if operator else _first_line(texts)
    return CheckpointError(
        "K461",
        f"{format_name} cannot represent this network: {reason}" + (f" (layer {layer})" if layer else ""),
        "export to torch-export, which supports every operator of PyTorch, or with a fixed `size` without `dynamic`",
    )


def _first_line(texts: list[str]) -> str:
    # The innermost exception states the cause; the outer ones only that there was an error.
    lines = [line.strip() for line in reversed(texts) for line in text_lines(line)]
    return lines[0] if lines else "no reason is given"


def text_lines(text: str) -> list[str]:
    """The non-empty lines of a text."""
    return [line for line in text.splitlines() if line.strip()]


def _layer_of(program: ExportedProgram | None, name: str) -> str | None:
    """Path of the module that a node of the graph comes from."""
    for node in program.graph.nodes if program is not None else ():
        if node.name == name and (stack := node.meta.get("nn_module_stack")):
            path, _ = list(stack.values())[-1]
            return str(path).removeprefix("L['self'].") or None
    return None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence converters: their logs and warnings are for developers; real problems are raised as errors."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
