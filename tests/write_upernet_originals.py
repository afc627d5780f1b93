"""Write `upernet_originals.npz`: logits of Hugging Face's UPerNet over small encoders, with weights drawn by a rule.

Usage, from the folder of the repository, with transformers 5.24.0 (Apache-2.0):

    python tests/write_upernet_originals.py

The rule is in `upernet_originals.py`. Three things about the originals are not obvious:

- Hugging Face's Swin does not move the windows of stages whose map, for the image size of the configuration, is at
  most a window; mmsegmentation's always moves them. A configuration of 448 pixels and more does as well.
- It has one more normalisation after the last stage, which no logit depends on; its parameters are not counted.
- ConvNeXt cuts off rows and columns that do not fill a patch; it gets images padded to multiples of 32 as here, and
  logits are cropped to the image.
"""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor, nn
from transformers import ConvNextConfig, SwinConfig, UperNetConfig, UperNetForSemanticSegmentation
from upernet_originals import (
    AUXILIARY,
    CHANNELS,
    CONVNEXT,
    FILE,
    OUTPUTS,
    SIZES,
    STRIDE,
    SWIN,
    drawn_images,
    drawn_state,
    network,
)

from pixelwise.backbones.swin import WINDOW
from pixelwise.layers.padding import pad_to_multiple

UNUSED = "backbone.swin.layernorm."
HEADS = (
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"head.pooling.branches.\1."),
    (r"^decode_head\.bottleneck\.", "head.pooling.project."),
    (r"^decode_head\.lateral_convs\.", "head.laterals."),
    (r"^decode_head\.fpn_convs\.", "head.smoothing."),
    (r"^decode_head\.fpn_bottleneck\.", "head.fusion."),
    (r"^decode_head\.", "head."),
    (r"^auxiliary_head\.", "auxiliary."),
    (r"\.batch_norm\.", ".norm."),
)
SWIN_NAMES = (
    (r"^backbone\.swin\.embeddings\.patch_embeddings\.projection\.", "encoder.patch_embed.proj."),
    (r"^backbone\.swin\.embeddings\.norm\.", "encoder.patch_embed.norm."),
    (r"^backbone\.swin\.encoder\.layers\.(\d)\.blocks\.", r"encoder.layers_\1.blocks."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.relative_position_bias\.", ".attn."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
)
CONVNEXT_NAMES = (
    (r"^backbone\.embeddings\.patch_embeddings\.", "encoder.network.stem_0."),
    (r"^backbone\.embeddings\.layernorm\.", "encoder.network.stem_1."),
    (r"^backbone\.encoder\.stages\.(\d)\.layers\.", r"encoder.network.stages_\1.blocks."),
    (r"^backbone\.encoder\.stages\.(\d)\.downsampling_layer\.", r"encoder.network.stages_\1.downsample."),
    (r"\.layer_scale_parameter$", ".gamma"),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.layernorm\.", ".norm."),
    (r"\.pwconv(\d)\.", r".mlp.fc\1."),
)


def theirs(name: str) -> nn.Module:
    """Hugging Face's network; its auxiliary logits are those of its auxiliary head alone."""
    stages = [f"stage{number}" for number in range(1, 5)]
    if name == "swin":
        backbone = SwinConfig(
            image_size=448, embed_dim=SWIN.channels, depths=list(SWIN.depths), window_size=WINDOW,
            num_heads=[SWIN.heads * 2**stage for stage in range(4)], drop_path_rate=0.0, out_features=stages,
        )  # fmt: skip
    else:
        # Tuples are refused.
        sizes = {"hidden_sizes": list(CONVNEXT["dims"]), "depths": list(CONVNEXT["depths"])}
        backbone = ConvNextConfig(**sizes, out_features=stages)
    return UperNetForSemanticSegmentation(
        UperNetConfig(backbone_config=backbone, hidden_size=CHANNELS, auxiliary_channels=AUXILIARY, num_labels=OUTPUTS)
    ).double()


def our_name(key: str, name: str) -> str:
    """The name here of one of their tensors."""
    key = re.sub(r"^backbone\.hidden_states_norms\.stage(\d)\.", lambda m: f"feature_norms.{int(m[1]) - 1}.", key)
    # They halve the map at the end of a stage, timm does at the beginning of the next one.
    key = re.sub(
        r"^backbone\.swin\.encoder\.layers\.(\d)\.downsample\.",
        lambda m: f"encoder.layers_{int(m[1]) + 1}.downsample.", key,
    )  # fmt: skip
    for pattern, replacement in (*(SWIN_NAMES if name == "swin" else CONVNEXT_NAMES), *HEADS):
        key = re.sub(pattern, replacement, key)
    return key


def renamed(model: nn.Module, drawn: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The drawn tensors by their names; queries, keys and values are one tensor here."""
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for key, value in model.state_dict().items():
        if key.startswith(UNUSED) or key.endswith("relative_position_index"):
            state[key] = value
        elif match := re.fullmatch(r"(.+)\.attention\.([qkv])_proj\.(\w+)", key):
            mine = f"{our_name(f'{match[1]}.', name)}attn.qkv.{match[3]}"
            state[key] = drawn[mine].chunk(3)["qkv".index(match[2])]
            used.add(mine)
        else:
            mine = our_name(key, name)
            state[key] = drawn[mine]
            used.add(mine)
    if used != set(drawn):
        raise SystemExit(f"{name}: without a counterpart: {sorted(set(drawn) ^ used)}")
    return state


def heads(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Logits of both heads at their own strides, cropped to the extent of the images."""
    features = model.backbone(
        pad_to_multiple(images, 1 if "Swin" in type(model.backbone).__name__ else 32)
    ).feature_maps
    both = zip((model.decode_head(features), model.auxiliary_head(features)), (4, 16), strict=True)
    height, width = images.shape[-2:]
    return [logits[..., : -(-height // stride), : -(-width // stride)] for logits, stride in both]


def main() -> None:
    written: dict[str, np.ndarray] = {}
    for name, sizes in SIZES.items():
        model = theirs(name)
        drawn = renamed(model, drawn_state(network(name)), name)
        counted = [one.numel() for key, one in model.named_parameters() if not key.startswith(UNUSED)]
        written[f"{name} parameters"] = np.array(sum(counted))
        for size in sizes:
            for mode in ("eval", "train"):
                model.load_state_dict(drawn)
                with torch.no_grad():
                    logits = heads(model.train(mode == "train"), drawn_images(size))
                for place, each in enumerate(logits[: 1 if mode == "eval" else 2]):
                    key = f"{name} {size[0]}x{size[1]} {mode} {place}"
                    written[key] = each.flatten()[::STRIDE].numpy()
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
