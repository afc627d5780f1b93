"""Write `segnext_originals.npz`: logits of the authors' own SegNeXt, with weights and images drawn by a rule.

Usage, from the folder of the repository, with mmcv 1.6.0 (Apache-2.0, without its compiled operations):

    git clone https://github.com/Visual-Attention-Network/SegNeXt /tmp/SegNeXt
    git -C /tmp/SegNeXt checkout c87bcae
    python tests/write_segnext_originals.py /tmp/SegNeXt

Nothing of their code is in this repository. The networks are built from the authors' configurations; the weights reach
them by the rules of `pixelwise.checkpoints.importers.sources.segnext`. Three things about the originals:

- They put the random bases of the factorisation on a GPU, always. Here they stay on the CPU: in evaluation they are
  those that evaluation begins from here, in training they are drawn after the same seed.
- Bases are drawn in the default type, which is therefore set to float64.
- Batch normalisation of all GPUs together becomes that of one process, which is all there is.

Prints the parameters and multiply-accumulates of the originals too.
"""

from __future__ import annotations

import re
import sys
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
import torch.nn.functional as F
from segnext_originals import (
    FILE,
    OUTPUTS,
    SEED,
    SIZES,
    STRIDE,
    VARIANTS,
    bases,
    drawn_images,
    network,
    weights,
    without_chance,
)
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pixelwise.checkpoints.importers.sources.segnext import RULES

CONFIGURATIONS = {"t": "tiny", "s": "small", "b": "base", "l": "large"}
DATASETS = {"512x512.ade": (150, (512, 512)), "1024x1024.city": (19, (1024, 2048))}


def theirs(folder: str, name: str, dataset: str, outputs: int) -> Any:
    """The authors' network of a configuration, with another number of outputs."""
    # Compiled operations, which other networks of that code need.
    sys.modules["mmcv.ops"] = MagicMock()
    from mmcv import Config
    from mmcv.cnn.utils import revert_sync_batchnorm
    from mmseg.models import build_segmentor

    size = CONFIGURATIONS[name]
    config = Config.fromfile(f"{folder}/local_configs/segnext/{size}/segnext.{size}.{dataset}.160k.py")
    config.model.decode_head.num_classes = outputs
    config.model.backbone.init_cfg = None
    return revert_sync_batchnorm(build_segmentor(config.model))


def fixed_bases(drawn: Tensor, module: nn.Module) -> Any:
    """In place of their function that draws bases: (B, D, R), the given ones in evaluation."""

    def build(batch: int, parts: int, channels: int, rank: int, cuda: bool = False) -> Tensor:
        if not module.training:
            return drawn.to(torch.get_default_dtype()).expand(batch, channels, rank)
        return F.normalize(torch.rand((batch * parts, channels, rank)), dim=1)

    return build


def our_name(key: str) -> str:
    """The name here of one of their tensors."""
    for pattern, replacement in RULES:
        key = re.sub(pattern, replacement, key)
    return key


def logits(model: Any, images: Tensor) -> Tensor:
    """Logits at stride 8; those of the auxiliary heads, of which there are none, would follow."""
    return model.decode_head(model.extract_feat(images))


def count(folder: str, name: str) -> None:
    """Print what the networks of both data sets count, by PyTorch's counter."""
    for dataset, (outputs, (height, width)) in DATASETS.items():
        model = theirs(folder, name, dataset, outputs).eval()
        rank = model.decode_head.hamburger.ham.R
        ham = model.decode_head.hamburger.ham
        ham._build_bases = lambda batch, parts, channels, rank, cuda=False: torch.empty(
            batch, channels, rank, device="meta"
        )
        parameters = sum(parameter.numel() for parameter in model.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            logits(model.to("meta"), torch.empty(1, 3, height, width, device="meta"))
        print(name, dataset, f"R {rank}, {parameters} parameters, {counter.get_total_flops() / 2e9:.4f} GMACs")


def main() -> None:
    folder = sys.argv[1]
    sys.path.insert(0, folder)
    written: dict[str, np.ndarray] = {}
    for name in VARIANTS:
        count(folder, name)
        torch.set_default_dtype(torch.float64)
        model = theirs(folder, name, "512x512.ade", OUTPUTS).double()
        without_chance(model)
        ours = network(name)
        model.decode_head.hamburger.ham._build_bases = fixed_bases(bases(ours), model.decode_head.hamburger.ham)
        drawn = weights(ours)
        state = {key: drawn[our_name(key)] for key in model.state_dict()}
        unused = set(drawn) - {our_name(key) for key in state} - {"head.hamburger.factorisation.bases"}
        if unused:
            raise SystemExit(f"{name}: without a counterpart: {sorted(unused)}")
        written[f"{name} parameters"] = np.array(sum(one.numel() for one in model.parameters()))
        for size in SIZES:
            for mode in ("eval", "train"):
                model.load_state_dict(state)
                torch.manual_seed(SEED)
                with torch.no_grad():
                    found = logits(model.train(mode == "train"), drawn_images(size))
                written[f"{name} {size[0]}x{size[1]} {mode}"] = found.flatten()[::STRIDE].numpy()
        torch.set_default_dtype(torch.float32)
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
