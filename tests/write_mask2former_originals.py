"""Write `mask2former_originals.npz`: masks, classes and losses of Hugging Face's Mask2Former, weights drawn by a rule.

Usage, from the folder of the repository, with transformers 5.24.0 (Apache-2.0):

    python tests/write_mask2former_originals.py
    python tests/write_mask2former_originals.py --count    # parameters and GMACs of the published networks

The rule is in `mask2former_originals.py`, that of the loss in `eomt_originals.py`. Some things about the originals are
not obvious:

- Hugging Face's Swin does not move the windows of stages whose map, for the image size of the configuration, is at
  most a window; the authors' always moves them. A configuration of 800 pixels and more does as well.
- It has one more normalisation after the last stage, which no logit depends on; its parameters are not counted.
- Its plain attention computes the softmax in float32 whatever the network is; PyTorch's own does not.
- Points are drawn by `torch.rand`, which is replaced here.
- GMACs are those of convolutions, linear layers and products of matrices; sampling counts nothing. PyTorch's fast path
  of attention would hide its products. The original never adds masks and classes up to scores at stride 4, so that this
  sum is added here.
"""

from __future__ import annotations

import re
import sys
from typing import Any
from unittest import mock

import numpy as np
import torch
from eomt_originals import LOSS_POINTS, drawn_outputs, drawn_points
from eomt_originals import OUTPUTS as LOSS_OUTPUTS
from mask2former_originals import (
    CHANNELS,
    FILE,
    LAYERS,
    OUTPUTS,
    PIXEL_LAYERS,
    QUERIES,
    RESNET,
    SIZES,
    STRIDES,
    WINDOWS,
    drawn_images,
    drawn_state,
    network,
    swin,
)
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig, SwinConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

from pixelwise.backbones.swin import VARIANTS, Variant

STAGES = [f"stage{number}" for number in range(1, 5)]
UNUSED = ("criterion.empty_weight", "model.pixel_level_module.encoder.swin.layernorm.")
ENCODER = r"^model\.pixel_level_module\.encoder\."
PIXELS = r"^model\.pixel_level_module\.decoder\."
QUERY = r"^model\.transformer_module\."
NAMES: tuple[tuple[str, Any], ...] = (
    (PIXELS + r"level_embed$", "pixel_decoder.levels"),
    (PIXELS + r"input_projections\.", "pixel_decoder.projections."),
    (PIXELS + r"adapter_1\.", "pixel_decoder.lateral."),
    (PIXELS + r"layer_1\.", "pixel_decoder.smoothing."),
    (PIXELS + r"mask_projection\.", "pixel_decoder.masks."),
    (PIXELS + r"encoder\.layers\.(\d+)\.", r"pixel_decoder.layers.\1."),
    (r"(^pixel_decoder.*)\.self_attn\.sampling_offsets\.", r"\1.attention.offsets."),
    (r"(^pixel_decoder.*)\.self_attn\.attention_weights\.", r"\1.attention.weights."),
    (r"(^pixel_decoder.*)\.self_attn\.value_proj\.", r"\1.attention.value."),
    (r"(^pixel_decoder.*)\.self_attn\.output_proj\.", r"\1.attention.proj."),
    (r"(^pixel_decoder.*)\.self_attn_layer_norm\.", r"\1.norm."),
    (QUERY + r"queries_features\.", "queries."),
    (QUERY + r"queries_embedder\.", "query_embedding."),
    (QUERY + r"level_embed\.", "levels."),
    (QUERY + r"decoder\.layernorm\.", "norm."),
    (QUERY + r"decoder\.mask_predictor\.mask_embedder\.(\d)\.0\.", lambda found: f"embedding.{2 * int(found[1])}."),
    (QUERY + r"decoder\.layers\.(\d+)\.", r"layers.\1."),
    (r"^(layers.*)\.cross_attn\.in_proj_", r"\1.cross.qkv."),
    (r"^(layers.*)\.cross_attn\.out_proj\.", r"\1.cross.proj."),
    (r"^(layers.*)\.cross_attn_layer_norm\.", r"\1.cross_norm."),
    (r"^(layers.*)\.self_attn\.out_proj\.", r"\1.mutual.proj."),
    (r"^(layers.*)\.self_attn_layer_norm\.", r"\1.mutual_norm."),
    (r"^((?:pixel_decoder\.)?layers.*)\.fc(\d)\.", r"\1.mlp.fc\2."),
    (r"^((?:pixel_decoder\.)?layers.*)\.final_layer_norm\.", r"\1.mlp.norm."),
    (r"^class_predictor\.", "classifier."),
    # ResNet
    (ENCODER + r"embedder\.embedder\.convolution\.", "encoder.network.conv1."),
    (ENCODER + r"embedder\.embedder\.normalization\.", "encoder.network.bn1."),
    (ENCODER + r"encoder\.stages\.(\d)\.layers\.", lambda found: f"encoder.network.layer{int(found[1]) + 1}."),
    (r"\.shortcut\.convolution\.", ".downsample.0."),
    (r"\.shortcut\.normalization\.", ".downsample.1."),
    (r"\.layer\.(\d)\.convolution\.", lambda found: f".conv{int(found[1]) + 1}."),
    (r"\.layer\.(\d)\.normalization\.", lambda found: f".bn{int(found[1]) + 1}."),
    # Swin, which halves the map at the end of a stage, timm's at the beginning of the next one
    (ENCODER + r"hidden_states_norms\.stage(\d)\.", lambda found: f"feature_norms.{int(found[1]) - 1}."),
    (ENCODER + r"swin\.embeddings\.patch_embeddings\.projection\.", "encoder.patch_embed.proj."),
    (ENCODER + r"swin\.embeddings\.norm\.", "encoder.patch_embed.norm."),
    (
        ENCODER + r"swin\.encoder\.layers\.(\d)\.downsample\.",
        lambda found: f"encoder.layers_{int(found[1]) + 1}.downsample.",
    ),
    (ENCODER + r"swin\.encoder\.layers\.(\d)\.blocks\.", r"encoder.layers_\1.blocks."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.relative_position_bias\.", ".attn."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
)


def swin_config(size: Variant) -> SwinConfig:
    return SwinConfig(
        image_size=800, embed_dim=size.channels, depths=list(size.depths), window_size=size.window,
        num_heads=[size.heads * 2**stage for stage in range(4)], drop_path_rate=0.0, out_features=STAGES,
    )  # fmt: skip


def theirs(backbone: Any, small: bool, outputs: int) -> Any:
    """Hugging Face's network."""
    options: dict[str, Any] = {}
    if small:
        options = {
            "feature_size": CHANNELS, "mask_feature_size": CHANNELS, "hidden_dim": CHANNELS,
            "encoder_feedforward_dim": 4 * CHANNELS, "dim_feedforward": 8 * CHANNELS, "encoder_layers": PIXEL_LAYERS,
            "decoder_layers": LAYERS + 1, "num_queries": QUERIES,
        }  # fmt: skip
    config = Mask2FormerConfig(backbone_config=backbone, num_labels=outputs, dropout=0.0, **options)
    model: Any = Mask2FormerForUniversalSegmentation(config)
    return model.eval()


def small_theirs(name: str) -> Any:
    """The counterpart of `network(name)`."""
    if name in WINDOWS:
        backbone: Any = swin_config(swin(WINDOWS[name]))
    elif name == "resnet":
        channels = [4 * one for one in RESNET["channels"]]
        backbone = ResNetConfig(hidden_sizes=channels, depths=list(RESNET["layers"]), out_features=STAGES)
    else:
        backbone = ResNetConfig(out_features=STAGES)
    return theirs(backbone, name != "resnet50", OUTPUTS).double()


def our_name(key: str) -> str:
    """The name here of one of their tensors."""
    for pattern, replacement in NAMES:
        key = re.sub(pattern, replacement, key)
    return key


def renamed(model: nn.Module, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
    """The drawn tensors by their names; queries, keys and values are one tensor here."""
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for key, value in model.state_dict().items():
        if key.startswith(UNUSED) or key.endswith("relative_position_index"):
            state[key] = value
            continue
        if found := re.fullmatch(r"(.+)\.(attention|self_attn)\.([qkv])_proj\.(\w+)", key):
            attention = "attn" if found[2] == "attention" else "mutual"
            mine = f"{our_name(f'{found[1]}.')}{attention}.qkv.{found[4]}"
            state[key] = drawn[mine].chunk(3)["qkv".index(found[3])]
        else:
            mine = our_name(key)
            state[key] = drawn[mine].reshape(value.shape)
        used.add(mine)
    if used != set(drawn):
        raise SystemExit(f"without a counterpart: {sorted(set(drawn) ^ used)}")
    return state


def parameters(model: nn.Module) -> int:
    return sum(one.numel() for key, one in model.named_parameters() if not key.startswith(UNUSED))


def loss() -> np.ndarray:
    """The three terms with their weights, for one layer."""
    options: Any = {"num_labels": LOSS_OUTPUTS, "train_num_points": LOSS_POINTS, "no_object_weight": 0.1}
    weights = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}
    masks, classes, labels = drawn_outputs()
    present = [sorted(set(image[image != 255].tolist())) for image in labels]
    targets = [torch.stack([image == one for one in ids]).double() for image, ids in zip(labels, present, strict=True)]
    criterion = Mask2FormerLoss(Mask2FormerConfig(**options), weights).double()
    with mock.patch("torch.rand", drawn_points):
        terms = criterion(masks, classes, targets, [torch.tensor(ids) for ids in present])
    return np.array([float(terms[name]) * weight for name, weight in weights.items()])


def write() -> None:
    """Write the file."""
    written: dict[str, np.ndarray] = {"loss": loss()}
    for name in SIZES:
        model = small_theirs(name)
        model.load_state_dict(renamed(model, drawn_state(network(name))))
        written[f"{name} parameters"] = np.array(parameters(model))
        with torch.no_grad():
            found = model(drawn_images(name), output_auxiliary_logits=True)
        outputs = [*found.auxiliary_logits, found]
        for place, one in enumerate(outputs):
            for kind, logits in enumerate((one["masks_queries_logits"], one["class_queries_logits"])):
                written[f"{name} {2 * place + kind}"] = logits.flatten()[:: STRIDES[kind]].numpy()
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


def count() -> None:
    """Print parameters and GMACs of the published networks."""
    torch.backends.mha.set_fastpath_enabled(False)
    cases: list[tuple[str, Any]] = [
        ("resnet50", lambda: ResNetConfig(out_features=STAGES)),
        ("resnet101", lambda: ResNetConfig(depths=[3, 4, 23, 3], out_features=STAGES)),
        *((name, lambda size=size: swin_config(size)) for name, size in VARIANTS.items() if name != "swin_base"),
    ]
    for name, backbone in cases:
        for height, width, outputs in ((640, 640, 150) if "12" in name else (512, 512, 150), (1024, 2048, 19)):
            with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
                model = theirs(backbone(), False, outputs).to("meta")
                model(torch.empty(1, 3, height, width), pixel_mask=torch.ones(1, height, width))
            scores = 100 * outputs * (height // 4) * (width // 4)
            macs = counter.get_total_flops() // 2 + scores
            print(name, f"{width}x{height}", outputs, parameters(model), round(macs / 1e9, 3), flush=True)


if __name__ == "__main__":
    count() if "--count" in sys.argv else write()
