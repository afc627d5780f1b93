"""Write `two_branch_originals.npz`: logits of the authors' own PIDNet and DDRNet, with weights drawn by a rule.

Usage, from the folder of the repository:

    git clone https://github.com/XuJiacong/PIDNet /tmp/PIDNet && git -C /tmp/PIDNet checkout 4c158cf
    git clone https://github.com/ydhongHIT/DDRNet /tmp/DDRNet && git -C /tmp/DDRNet checkout de0db31
    python tests/write_two_branch_originals.py /tmp/PIDNet /tmp/DDRNet

Nothing of their code is in this repository. The rule is in `two_branch_originals.py`; the weights reach the authors'
networks under the authors' names, by the rules of `pixelwise.checkpoints.importers.sources.dual_resolution`, read
backwards.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import nn
from two_branch_originals import FILE, OUTPUTS, STRIDE, VARIANTS, drawn_images, drawn_state

from pixelwise.checkpoints.importers.sources.dual_resolution import RULES
from pixelwise.models import build_model


def authors_network(name: str, outputs: int) -> nn.Module:
    """The authors' network with all heads; their folders are on `sys.path`."""
    if name.startswith("pidnet"):
        make = import_module("models.pidnet").PIDNet
        sizes = {"s": (2, 3, 32, 96, 128), "m": (2, 3, 64, 96, 128), "l": (3, 4, 64, 112, 256)}[name[-1]]
        return make(*sizes[:2], num_classes=outputs, planes=sizes[2], ppm_planes=sizes[3], head_planes=sizes[4])
    # Their normalisation is for several GPUs, and equal to this one on a single device.
    nn.SyncBatchNorm = nn.BatchNorm2d  # type: ignore[misc, assignment]
    module = import_module("DDRNet_23_slim" if "slim" in name else "DDRNet_23")
    planes, head = (32, 64) if "slim" in name else (64, 128)
    return module.DualResNet(
        module.BasicBlock, [2, 2, 2, 2], num_classes=outputs, planes=planes, spp_planes=128, head_planes=head,
        augment=True,
    )  # fmt: skip


def ours(key: str, family: str) -> str:
    """The name here of one of the authors' tensors."""
    for pattern, replacement in RULES[family]:
        key = re.sub(pattern, replacement, key)
    return key


def main() -> None:
    pidnet, ddrnet = map(Path, sys.argv[1:3])
    sys.path[:0] = [str(pidnet), str(ddrnet / "segmentation")]
    written: dict[str, np.ndarray] = {}
    for name, spec in VARIANTS.items():
        network = authors_network(name, OUTPUTS).double()
        drawn = drawn_state(build_model(spec, OUTPUTS))
        renamed = {key: ours(key, spec.family) for key in network.state_dict()}
        if sorted(renamed.values()) != sorted(drawn):
            raise SystemExit(f"{name}: {sorted(set(renamed.values()) ^ set(drawn))}")
        network.load_state_dict({key: drawn[mine] for key, mine in renamed.items()})
        with torch.no_grad():
            modes = {"eval": network.eval()(drawn_images()), "train": network.train()(drawn_images())}
        written[f"{name} parameters"] = np.array(sum(one.numel() for one in network.parameters()))
        # Here the main head comes first, and the others have logits in training only.
        order = (1, 0, 2) if name.startswith("pidnet") else (0, 1)
        for mode, heads in modes.items():
            for place, index in enumerate(order if mode == "train" else order[:1]):
                written[f"{name} {mode} {place}"] = heads[index].flatten()[::STRIDE].numpy()
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
