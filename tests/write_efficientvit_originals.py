"""Write `efficientvit_originals.npz`: logits of the authors' own EfficientViT-Seg, with weights drawn by a rule.

Usage, from the folder of the repository:

    git clone https://github.com/mit-han-lab/efficientvit /tmp/efficientvit
    git -C /tmp/efficientvit checkout de7d773
    python tests/write_efficientvit_originals.py /tmp/efficientvit

Nothing of their code is in this repository. The rule is in `two_branch_originals.py`; the weights reach the authors'
networks under the authors' names, by the rules of `pixelwise.checkpoints.importers.sources.efficientvit`, read
backwards. Prints the parameters and multiply-accumulates of the originals too.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from efficientvit_originals import FILE, STRIDES, spec_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from two_branch_originals import drawn_images, drawn_state

from pixelwise.checkpoints.importers.sources.efficientvit import rules
from pixelwise.models import build_model
from pixelwise.recipes.published.efficientvit import SPECS

SIZES = {"cityscapes": (1024, 2048), "ade20k": (512, 512)}


def _stand_in(name: str, **contents: Any) -> None:
    module = ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


def authors_networks(folder: str) -> Any:
    """The authors' modules of segmentation networks and of normalisations, without what only their others need."""
    sys.path.insert(0, folder)
    _stand_in("efficientvit.models.nn.triton_rms_norm", TritonRMSNorm2dFunc=None, __all__=["TritonRMSNorm2dFunc"])
    _stand_in("efficientvit.apps.trainer.run_config", Scheduler=None)
    for package in ("apps", "apps/trainer", "models/efficientvit"):
        _stand_in(f"efficientvit/{package}".replace("/", "."), __path__=[f"{folder}/efficientvit/{package}"])
    return import_module("efficientvit.models.efficientvit.seg"), import_module("efficientvit.models.nn.norm")


def gmacs(network: nn.Module, height: int, width: int) -> float:
    """Multiply-accumulates of one image, by PyTorch's counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta").eval()(torch.empty(1, 3, height, width, device="meta"))
    return counter.get_total_flops() / 2e9


def main() -> None:
    networks, norm = authors_networks(sys.argv[1])
    written: dict[str, np.ndarray] = {}
    for dataset, specs in SPECS.items():
        for size, spec in specs.items():
            name = f"{size}-{dataset}"
            network = getattr(networks, f"efficientvit_seg_{size}")(dataset=dataset)
            # As the authors' list of networks has it.
            norm.set_norm_eps(network, 1e-7 if size.startswith("l") else 1e-5)
            network.double()
            drawn = drawn_state(build_model(*spec_of(name)))
            renamed = {key: key for key in network.state_dict()}
            for pattern, replacement in rules(spec.series, widened=spec.final_expansion > 0):
                renamed = {key: re.sub(pattern, replacement, mine) for key, mine in renamed.items()}
            if sorted(renamed.values()) != sorted(drawn):
                raise SystemExit(f"{name}: {sorted(set(renamed.values()) ^ set(drawn))}")
            network.load_state_dict({key: drawn[mine] for key, mine in renamed.items()})
            with torch.no_grad():
                for mode in ("eval", "train"):
                    logits = network.train(mode == "train")(drawn_images())
                    written[f"{name} {mode}"] = logits.flatten()[:: STRIDES[dataset]].numpy()
            parameters = sum(one.numel() for one in network.parameters())
            written[f"{name} parameters"] = np.array(parameters)
            print(f"{name}: {parameters} parameters, {gmacs(network.float(), *SIZES[dataset]):.4f} GMACs", flush=True)
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
