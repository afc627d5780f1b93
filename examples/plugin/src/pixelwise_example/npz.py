"""An export target: the weights and the spec of the network in a NumPy archive, run by PyTorch.

`np.load("model.npz")` reads the weights anywhere; running the network needs Pixelwise, which builds it from the spec.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelwise.runtimes.targets import Engine, Target, register_target

if TYPE_CHECKING:
    import numpy as np

    from pixelwise.runtimes.graphs import ExportedNetwork

ABOUT = "about"
"""Name of the array with the JSON description; it cannot clash with a weight, whose name starts with `model.`."""


def write(network: ExportedNetwork, folder: Path) -> list[Path]:
    """Save every parameter and buffer of the network, and what is needed to build it: spec, classes and options."""
    import msgspec
    import numpy as np

    model = network.model
    about = {"spec": model.spec, "classes": model.classes, "multilabel": model.multilabel, "options": network.options}
    arrays: dict[str, Any] = {f"model.{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
    arrays[ABOUT] = np.array(msgspec.json.encode(about).decode())
    file = folder / "model.npz"
    np.savez(file, **arrays)
    return [file]


def open_engine(file: Path, threads: int | None) -> Engine:
    """Build the network from the spec and load the saved weights."""
    import msgspec
    import numpy as np
    import torch

    from pixelwise.models import build_model
    from pixelwise.recipes.schema.model import SPECS
    from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions

    with np.load(file, allow_pickle=False) as saved:
        about = msgspec.json.decode(str(saved[ABOUT]))
        weights = {name.removeprefix("model."): torch.from_numpy(saved[name]) for name in saved.files if name != ABOUT}
    spec = msgspec.convert(about["spec"], SPECS.find(about["spec"]["family"]))
    model = build_model(spec, len(about["classes"]))
    model.load_state_dict(weights)
    model.multilabel = about["multilabel"]
    network = ExportedNetwork(model, msgspec.convert(about["options"], GraphOptions)).eval()

    def run(images: np.ndarray) -> np.ndarray:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            with torch.inference_mode():
                return network(torch.from_numpy(images)).numpy()
        finally:
            torch.set_num_threads(before)

    return run


TARGET = register_target(
    Target(
        name="weights-npz",
        label="NumPy archive",
        summary="PyTorch with Pixelwise; NumPy reads the weights",
        suffixes=(".npz",),
        write=write,
        open=open_engine,
        install="pixelwise-example",
        # Networks from quantization-aware training are not supported: the spec does not describe them completely.
        schemes=(),
        marker="v",
    )
)
