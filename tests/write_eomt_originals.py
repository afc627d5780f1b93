"""Write `eomt_originals.npz`: masks, classes and losses of Hugging Face's EoMT, with weights drawn by a rule.

Usage, from the folder of the repository, with transformers 5.24.0 (Apache-2.0):

    python tests/write_eomt_originals.py

The rule is in `eomt_originals.py`. Three things about the originals are not obvious:

- In evaluation mode they mask the attention as in training, with the probabilities of a buffer; a probability that is
  next to 0 masks nothing, but there are outputs before every block.
- Their mask is float32 whatever the network is, which only their plain attention adds to float64.
- Their points are drawn by `torch.rand`, which is replaced here.
"""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

import numpy as np
import torch
from eomt_originals import (
    BLOCKS,
    DEPTH,
    FILE,
    HEADS,
    LOSS_POINTS,
    MODES,
    OUTPUTS,
    QUERIES,
    SIDES,
    STRIDE,
    WIDTH,
    drawn_images,
    drawn_outputs,
    drawn_points,
    drawn_state,
    network,
)
from torch import Tensor, nn
from transformers import EomtConfig, EomtDinov3Config, EomtDinov3ForUniversalSegmentation, EomtForUniversalSegmentation
from transformers.models.eomt.modeling_eomt import EomtLoss

NAMES = (
    (r"^query\.", "queries."),
    (r"^class_predictor\.", "classifier."),
    (r"^mask_head\.fc(\d)\.", lambda found: f"embedding.{2 * int(found[1]) - 2}."),
    (r"^upscale_block\.block\.(\d)\.conv1\.", r"enlarging.\1.0."),
    (r"^upscale_block\.block\.(\d)\.conv2\.", r"enlarging.\1.2."),
    (r"^upscale_block\.block\.(\d)\.layernorm2d\.", r"enlarging.\1.3."),
    (r"^layernorm\.", "encoder.network.norm."),
    (r"^embeddings\.cls_token$", "encoder.network.cls_token"),
    (r"^embeddings\.register_tokens$", "encoder.network.reg_token"),
    (r"^embeddings\.position_embeddings\.weight$", "encoder.network.pos_embed"),
    (r"^embeddings\.patch_embeddings\.(projection\.)?", "encoder.network.patch_embed.proj."),
    (r"^layers\.(\d)\.attention\.(o_proj|out_proj)\.", r"encoder.network.blocks.\1.attn.proj."),
    (r"^layers\.(\d)\.mlp\.(up_proj|fc1)\.", r"encoder.network.blocks.\1.mlp.fc1."),
    (r"^layers\.(\d)\.mlp\.(down_proj|fc2)\.", r"encoder.network.blocks.\1.mlp.fc2."),
    (r"^layers\.(\d)\.norm(\d)\.", r"encoder.network.blocks.\1.norm\2."),
)
NEXT_TO_NOTHING = 1e-12
UNUSED = ("attn_mask_probs", "embeddings.mask_token", "criterion.empty_weight")


def theirs(name: str) -> Any:
    """Hugging Face's network."""
    shared: dict[str, Any] = {
        "hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "image_size": SIDES[name],
        "patch_size": 16, "num_queries": QUERIES, "num_labels": OUTPUTS, "num_blocks": BLOCKS,
        "num_register_tokens": 4,
    }  # fmt: skip
    if name == "dinov2":
        model: Any = EomtForUniversalSegmentation(EomtConfig(**shared))
    else:
        config = EomtDinov3Config(**shared, intermediate_size=4 * WIDTH, layer_norm_eps=1e-5)
        model = EomtDinov3ForUniversalSegmentation(config)
    model.set_attn_implementation("eager")
    return model.double()


def renamed(model: nn.Module, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
    """The drawn tensors by their names; queries, keys and values are one tensor here."""
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for key, value in model.state_dict().items():
        if key in UNUSED or key.endswith("inv_freq"):
            state[key] = value
            continue
        if found := re.fullmatch(r"layers\.(\d)\.attention\.([qkv])_proj\.(\w+)", key):
            place = f"encoder.network.blocks.{found[1]}.attn."
            mine, part = f"{place}qkv.{found[3]}", "qkv".index(found[2])
            if mine not in drawn:  # a key's bias is not a parameter of DINOv3
                mine, part = f"{place}{found[2]}_bias", None
            state[key] = drawn[mine] if part is None else drawn[mine].chunk(3)[part]
        elif found := re.fullmatch(r"layers\.(\d)\.layer_scale(\d)\.lambda1", key):
            place = f"encoder.network.blocks.{found[1]}."
            mine = next(one for one in (f"{place}gamma_{found[2]}", f"{place}ls{found[2]}.gamma") if one in drawn)
            state[key] = drawn[mine]
        else:
            mine = key
            for pattern, replacement in NAMES:
                mine = re.sub(pattern, replacement, mine)
            state[key] = drawn[mine].reshape(value.shape)
        used.add(mine)
    if used != set(drawn):
        raise SystemExit(f"without a counterpart: {sorted(set(drawn) ^ used)}")
    return state


def layers_of(model: Any, images: Tensor, training: bool, share: float) -> list[Tensor]:
    """Masks and classes before every block with queries and after the last one, or in evaluation only the last."""
    found: list[Tensor] = []
    predict = model.predict

    def noted(logits: Tensor) -> tuple[Tensor, Tensor]:
        result = predict(logits)
        found.extend(result)
        return result

    model.attn_mask_probs.fill_(max(share, NEXT_TO_NOTHING))
    # In training mode they do the same, and drop nothing.
    with torch.no_grad(), mock.patch.object(model, "predict", noted):
        model.eval()(images)
    return found if training else found[-2:]


def loss() -> np.ndarray:
    """The three terms with their weights, for one layer."""
    options: Any = {"num_labels": OUTPUTS, "train_num_points": LOSS_POINTS, "no_object_weight": 0.1}
    config = EomtConfig(**options)
    weights = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}
    masks, classes, labels = drawn_outputs()
    present = [sorted(set(image[image != 255].tolist())) for image in labels]
    targets = [torch.stack([image == one for one in ids]).double() for image, ids in zip(labels, present, strict=True)]
    criterion = EomtLoss(config, weights).double()
    with mock.patch("torch.rand", drawn_points):
        terms = criterion(masks, classes, targets, [torch.tensor(ids) for ids in present])
    return np.array([float(terms[name]) * weight for name, weight in weights.items()])


def main() -> None:
    """Write the file."""
    written: dict[str, np.ndarray] = {"loss": loss()}
    for name in SIDES:
        model = theirs(name)
        model.load_state_dict(renamed(model, drawn_state(network(name))))
        unused = sum(one.numel() for key, one in model.named_parameters() if key in UNUSED)
        written[f"{name} parameters"] = np.array(sum(one.numel() for one in model.parameters()) - unused)
        for mode, (training, share) in MODES.items():
            for place, logits in enumerate(layers_of(model, drawn_images(name), training, share)):
                written[f"{name} {mode} {place}"] = logits.flatten()[::STRIDE].numpy()
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
