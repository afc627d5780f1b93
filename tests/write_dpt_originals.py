"""Write `dpt_originals.npz`: logits of Hugging Face's DPT over small transformers, with weights drawn by a rule.

Usage, from the folder of the repository, with transformers 5.24.0 (Apache-2.0):

    python tests/write_dpt_originals.py

The rule is in `dpt_originals.py`. Two things about the originals are not obvious:

- They build a residual unit for the coarsest map and a last normalisation, neither of which any logit depends on; their
  parameters are not counted.
- Their whole network for segmentation takes no other transformer than its own; over DINOv2, its parts are joined here.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from dpt_originals import (
    DEPTH,
    FILE,
    HEADS,
    OUTPUTS,
    SIDES,
    SPECS,
    STRIDE,
    TAPS,
    WIDTH,
    drawn_images,
    drawn_state,
    network,
)
from torch import Tensor, nn
from transformers import Dinov2Backbone, Dinov2Config, DPTConfig, DPTForSemanticSegmentation
from transformers.models.dpt.modeling_dpt import DPTNeck, DPTSemanticSegmentationHead

UNUSED = ("dpt.layernorm.", "neck.fusion_stage.layers.0.residual_layer1.", "backbone.embeddings.mask_token")
NAMES = (
    (r"^dpt\.embeddings\.|^backbone\.embeddings\.", "encoder.network."),
    (r"^encoder\.network\.patch_embeddings\.projection\.", "encoder.network.patch_embed.proj."),
    (r"^encoder\.network\.position_embeddings$", "encoder.network.pos_embed"),
    (r"^backbone\.layernorm\.", "encoder.network.norm."),
    (r"^(dpt|backbone)\.encoder\.layer\.(\d)\.", r"encoder.network.blocks.\2."),
    (r"\.(layernorm_before|layernorm_after|norm1|norm2)\.", lambda found: f".norm{NORMS[found[1]]}."),
    (r"\.attention\.output\.dense\.|\.attention\.(o_proj|out_proj)\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
    (r"^neck\.reassemble_stage\.readout_projects\.(\d)\.", r"head.reassembling.\1.readout."),
    (r"^neck\.reassemble_stage\.layers\.(\d)\.projection\.", r"head.reassembling.\1.project."),
    (r"^neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"head.reassembling.\1.resize."),
    (r"^neck\.convs\.", "head.laterals."),
    (r"^neck\.fusion_stage\.layers\.(\d)\.residual_layer1\.", r"head.fusions.\1.lateral."),
    (r"^neck\.fusion_stage\.layers\.(\d)\.residual_layer2\.", r"head.fusions.\1.unit."),
    (r"^neck\.fusion_stage\.layers\.(\d)\.projection\.", r"head.fusions.\1.project."),
    (r"\.convolution(\d)\.", lambda found: f".layers.{3 * int(found[1]) - 2}."),
    (r"\.batch_norm(\d)\.", lambda found: f".layers.{3 * int(found[1]) - 1}."),
    (r"^head\.head\.0\.", "head.project.conv."),
    (r"^head\.head\.1\.", "head.project.norm."),
    (r"^head\.head\.4\.", "head.classifier."),
)
NORMS = {"layernorm_before": 1, "norm1": 1, "layernorm_after": 2, "norm2": 2}


class OverDinov2(nn.Module):
    """Hugging Face's neck and head over its DINOv2."""

    def __init__(self, config: DPTConfig, backbone: Dinov2Config) -> None:
        super().__init__()
        self.backbone = Dinov2Backbone(backbone)
        self.neck = DPTNeck(config)
        self.head = DPTSemanticSegmentationHead(config)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits of their size."""
        rows, columns = (length // 16 for length in images.shape[-2:])
        return self.head(self.neck(list(self.backbone(images).feature_maps), rows, columns))


def theirs(name: str) -> Any:
    """Hugging Face's network."""
    spec = SPECS[name]
    outputs: dict[str, Any] = {"num_labels": OUTPUTS}
    taps: dict[str, Any] = {"out_indices": [place + 1 for place in TAPS]}
    config = DPTConfig(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=4 * WIDTH,
        image_size=SIDES[name], patch_size=16, layer_norm_eps=1e-6, backbone_out_indices=list(TAPS),
        neck_ignore_stages=[], readout_type=spec.readout, use_batch_norm_in_fusion_residual=True,
        neck_hidden_sizes=list(spec.reassembled or (WIDTH // 8, WIDTH // 4, WIDTH // 2, WIDTH)),
        fusion_hidden_size=spec.channels, semantic_classifier_dropout=0.0, use_auxiliary_head=False,
        **outputs,
    )  # fmt: skip
    if name == "vit":
        return DPTForSemanticSegmentation(config).double()
    backbone = Dinov2Config(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, image_size=SIDES[name], patch_size=16,
        layer_norm_eps=1e-6, reshape_hidden_states=False, apply_layernorm=True, **taps,
    )  # fmt: skip
    return OverDinov2(config, backbone).double()


def is_unused(key: str) -> bool:
    """Whether no logit depends on one of their tensors."""
    block = re.search(r"\.encoder\.layer\.(\d)\.", key)
    return key.startswith(UNUSED) or (block is not None and int(block[1]) > TAPS[-1])


def our_name(key: str) -> str:
    """The name here of one of their tensors."""
    for pattern, replacement in NAMES:
        key = re.sub(pattern, replacement, key)
    return key


def renamed(model: nn.Module, drawn: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The drawn tensors by their names; queries, keys and values are one tensor here, readouts 1x1 convolutions."""
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for key, value in model.state_dict().items():
        part = re.fullmatch(r"(.+?)\.attention\.(?:attention\.)?(query|key|value|[qkv]_proj)\.(\w+)", key)
        if is_unused(key):
            state[key] = value
        elif part is not None:
            mine = f"{our_name(f'{part[1]}.')}attn.qkv.{part[3]}"
            state[key] = drawn[mine].chunk(3)["qkv".index(part[2][0])]
            used.add(mine)
        else:
            mine = our_name(key)
            state[key] = drawn[mine].reshape(value.shape)
            used.add(mine)
    if used != set(drawn):
        raise SystemExit(f"{name}: without a counterpart: {sorted(set(drawn) ^ used)}")
    return state


def main() -> None:
    written: dict[str, np.ndarray] = {}
    for name in SPECS:
        model = theirs(name)
        drawn = renamed(model, drawn_state(network(name)), name)
        counted = [one.numel() for key, one in model.named_parameters() if not is_unused(key)]
        written[f"{name} parameters"] = np.array(sum(counted))
        enlarging = model.head.head[-1]
        for mode in ("eval", "train", "image") if SPECS[name].align_corners else ("eval", "train"):
            model.head.head[-1] = enlarging if mode == "image" else nn.Identity()
            model.load_state_dict(drawn)
            model.train(mode == "train")
            with torch.no_grad():
                found = model(drawn_images(name))
            logits = found if isinstance(found, Tensor) else found.logits
            written[f"{name} {mode}"] = logits.flatten()[::STRIDE].numpy()
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
