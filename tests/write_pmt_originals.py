"""Write `pmt_originals.npz`: masks and classes of the authors' own PMT, with weights drawn by a rule.

Usage, from the folder of the repository, with transformers 4.56.1 and timm (both Apache-2.0):

    git clone https://github.com/tue-mps/pmt /tmp/pmt && git -C /tmp/pmt checkout 54d73c9
    python tests/write_pmt_originals.py /tmp/pmt
    python tests/write_pmt_originals.py /tmp/pmt --count    # parameters and GMACs of the networks that are published

Nothing of their code is in this repository. The rule is in `eomt_originals.py`, the networks are in `pmt_originals.py`.
Some things about the originals are not obvious:

- Their encoders are pretrained ones by name; here they are built from configurations, and given to the same code.
- Their normalisation is for several GPUs, and equal to this one on a single device.
- In evaluation mode they mask the attention as in training, with the probabilities of a buffer, unless they are built
  without masks, as for their published scores.
- Over DINOv2, they stretch the places of the patches at random in training; evaluation mode of that module alone does
  not. A frozen encoder is in evaluation mode always.
- Their encoder's token for masked patches is deleted, so that it counts nothing.
- GMACs are those of convolutions, linear layers and products of matrices. The original never adds masks and classes up
  to scores at stride 4, so that this sum is added here.
"""

from __future__ import annotations

import contextlib
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import timm
import torch
from eomt_originals import drawn_images, drawn_state
from pmt_originals import (
    BLOCKS,
    DEPTH,
    ENCODERS,
    FILE,
    HEADS,
    HIDDEN,
    MODES,
    OUTPUTS,
    QUERIES,
    SIDES,
    STRIDE,
    TAPS,
    WIDTH,
    network,
)
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import DINOv3ViTConfig, DINOv3ViTModel

BLOCK = r"^encoder\.network\.blocks\.(\d+)\."
NAMES: tuple[tuple[str, Any], ...] = (
    (r"^encoder\.backbone\.", "encoder.network."),
    (r"^(encoder\.network)\.patch_embed\.(cls_token)$", r"\1.\2"),
    (r"^(encoder\.network)\.patch_embed\.register_tokens$", r"\1.reg_token"),
    (r"^(encoder\.network)\.patch_embed\.patch_embeddings\.", r"\1.patch_embed.proj."),
    (BLOCK + r"attention\.o_proj\.", r"encoder.network.blocks.\1.attn.proj."),
    (BLOCK + r"mlp\.up_proj\.", r"encoder.network.blocks.\1.mlp.fc1."),
    (BLOCK + r"mlp\.down_proj\.", r"encoder.network.blocks.\1.mlp.fc2."),
    (BLOCK + r"layer_scale(\d)\.lambda1$", r"encoder.network.blocks.\1.gamma_\2"),
    (r"^bn\.(\d)\.", r"laterals.\1.norm."),
    (r"^decoder\.lateral_projections\.(\d)\.", r"laterals.\1.mlp."),
    (r"^decoder\.scalers\.(\d)$", r"laterals.\1.scale"),
    (r"^decoder\.q\.", "queries."),
    (r"^decoder\.blocks\.(\d)\.attention\.q_proj\.", r"blocks.\1.query."),
    (r"^decoder\.blocks\.(\d)\.attention\.k_proj\.", r"blocks.\1.key."),
    (r"^decoder\.blocks\.(\d)\.attention\.v_proj\.", r"blocks.\1.value."),
    (r"^decoder\.blocks\.(\d)\.attention\.o_proj\.", r"blocks.\1.proj."),
    (r"^decoder\.blocks\.(\d)\.mlp\.up_proj\.", r"blocks.\1.mlp.0."),
    (r"^decoder\.blocks\.(\d)\.mlp\.down_proj\.", r"blocks.\1.mlp.2."),
    (r"^decoder\.blocks\.(\d)\.layer_scale(\d)\.lambda1$", r"blocks.\1.scale\2"),
    (r"^decoder\.blocks\.", "blocks."),
    (r"^decoder\.decoder_norm\.", "norm."),
    (r"^decoder\.upscale\.(\d)\.conv1\.", r"enlarging.\1.0."),
    (r"^decoder\.upscale\.(\d)\.conv2\.", r"enlarging.\1.2."),
    (r"^decoder\.upscale\.(\d)\.norm\.", r"enlarging.\1.3."),
    (r"^decoder\.mask_head\.", "embedding."),
    (r"^decoder\.class_head\.", "classifier."),
)
UNUSED = ("encoder.pixel_mean", "encoder.pixel_std", "decoder.attn_mask_probs")


def dinov3(side: int, width: int, depth: int, heads: int) -> nn.Module:
    """DINOv3 with random weights, as the authors' code has it after loading."""
    config = DINOv3ViTConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=depth, num_attention_heads=heads,
        num_register_tokens=4, image_size=side,
    )  # fmt: skip
    return import_module("models.vit").ViT.transformers_to_timm(None, DINOv3ViTModel(config), (side, side))


def encoder(backbone: nn.Module, side: int, is_dinov3: bool) -> nn.Module:
    """The authors' encoder around a network that is not downloaded."""
    found: Any = nn.Module()
    found.backbone, found.image_size, found.is_dinov3, found.is_frozen = backbone, (side, side), is_dinov3, True
    # Images are normalised already.
    found.register_buffer("pixel_mean", torch.zeros(1, 3, 1, 1))
    found.register_buffer("pixel_std", torch.ones(1, 3, 1, 1))
    return found


def theirs(name: str) -> Any:
    """The authors' small network."""
    side = SIDES[name]
    if name == "dinov3":
        backbone = dinov3(side, WIDTH, DEPTH, HEADS)
    else:
        backbone = timm.create_model(
            ENCODERS[name], img_size=side, patch_size=16, num_classes=0, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS
        )
    return import_module("models.pmt").PMT(
        encoder(backbone, side, name == "dinov3"), OUTPUTS, num_q=QUERIES, num_blocks=BLOCKS,
        interaction_indices=list(TAPS), hidden_dim=HIDDEN,
    ).double()  # fmt: skip


def renamed(model: nn.Module, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
    """The drawn tensors by the authors' names; the encoder's queries, keys and values are one tensor here."""
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for key, value in model.state_dict().items():
        if key in UNUSED:
            state[key] = value
            continue
        mine = key
        for pattern, replacement in NAMES:
            mine = re.sub(pattern, replacement, mine)
        if found := re.fullmatch(BLOCK + r"attention\.([qkv])_proj\.(\w+)", mine):
            place = f"encoder.network.blocks.{found[1]}.attn."
            mine = f"{place}qkv.weight" if found[3] == "weight" else f"{place}{found[2]}_bias"
            state[key] = drawn[mine].chunk(3)["qkv".index(found[2])] if found[3] == "weight" else drawn[mine]
        else:
            state[key] = drawn[mine].reshape(value.shape)
        used.add(mine)
    if used != set(drawn):
        raise SystemExit(f"without a counterpart: {sorted(set(drawn) ^ used)}")
    return state


def layers_of(model: Any, images: Tensor, training: bool, share: float) -> list[Tensor]:
    """Masks and classes before every block of the decoder and after the last one, or in evaluation only the last."""
    model.train(training).encoder.eval()
    if hasattr(model, "rope"):
        model.rope.eval()
    model.decoder.masked_attn_enabled = training
    model.decoder.attn_mask_probs.fill_(share)
    with torch.no_grad():
        masks, classes = model(images)
    return [logits for layer in zip(masks, classes, strict=True) for logits in layer]


def count(width: int, depth: int) -> None:
    """Print parameters and multiply-accumulates of a network over DINOv3 as its configuration builds it."""
    # Autocast, which computes angles in float32 here, knows no meta device.
    with torch.device("meta"), mock.patch("torch.autocast", return_value=contextlib.nullcontext()):
        backbone = dinov3(512, width, depth, width // 64)
        taps = [depth // 4 * part - 1 for part in (1, 2, 3, 4)]
        model = (
            import_module("models.pmt")
            .PMT(
                encoder(backbone, 512, True), 150, hidden_dim=width, interaction_indices=taps, masked_attn_enabled=False
            )
            .eval()
        )
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            masks, classes = model(torch.empty(1, 3, 512, 512))
            torch.einsum("bqk,bqhw->bkhw", classes[-1].softmax(-1)[..., :-1], masks[-1].sigmoid())
    parameters = sum(one.numel() for one in model.parameters())
    print(f"{width} channels: {parameters} parameters, {counter.get_total_flops() / 2e9:.3f} GMACs")


def main() -> None:
    """Write the file, or count."""
    sys.path.insert(0, str(Path(sys.argv[1]) / "image"))
    nn.SyncBatchNorm = nn.BatchNorm1d  # type: ignore[misc, assignment]
    if "--count" in sys.argv:
        for width, depth in ((384, 12), (768, 12), (1024, 24)):
            count(width, depth)
        return
    written: dict[str, np.ndarray] = {}
    for name in SIDES:
        model = theirs(name)
        drawn = renamed(model, drawn_state(network(name)))
        written[f"{name} parameters"] = np.array(sum(one.numel() for one in model.parameters()))
        for mode, (training, share) in MODES.items():
            model.load_state_dict(drawn)
            for place, logits in enumerate(layers_of(model, drawn_images(name), training, share)):
                written[f"{name} {mode} {place}"] = logits.flatten()[::STRIDE].numpy()
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
