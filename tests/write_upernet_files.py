"""Write `upernet_files.npz`: names and logits of mmsegmentation's UPerNet over small encoders, with drawn weights.

Usage, from the folder of the repository, with onedl-mmsegmentation 1.4.2, onedl-mmpretrain 1.3.6 (which has ConvNeXt),
onedl-mmcv 2.3.6 and onedl-mmengine 0.10.12 (all Apache-2.0):

    python tests/write_upernet_files.py

The rule of the weights is `upernet_files.drawn`, by their names there.
"""

from __future__ import annotations

import numpy as np
import torch
from mmpretrain.models.backbones import ConvNeXt
from mmseg.models.backbones import SwinTransformer
from mmseg.models.decode_heads import FCNHead, UPerHead
from torch import nn
from upernet_files import FILE, SIZE, STRIDE, drawn
from upernet_originals import AUXILIARY, CHANNELS, CONVNEXT, OUTPUTS, SWIN, drawn_images

from pixelwise.backbones.swin import WINDOW


class Segmentor(nn.Module):
    """Encoder and both heads by the names of mmsegmentation's `EncoderDecoder`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        if name == "swin":
            heads = [SWIN.heads * 2**stage for stage in range(4)]
            self.backbone = SwinTransformer(
                embed_dims=SWIN.channels, depths=SWIN.depths, num_heads=heads, window_size=WINDOW, drop_path_rate=0.0
            )
            channels = [SWIN.channels * 2**stage for stage in range(4)]
        else:
            channels = list(CONVNEXT["dims"])
            self.backbone = ConvNeXt(
                arch={"depths": list(CONVNEXT["depths"]), "channels": channels},
                out_indices=[0, 1, 2, 3], gap_before_final_norm=False,
            )  # fmt: skip
        shared = {
            "num_classes": OUTPUTS, "norm_cfg": {"type": "BN"}, "align_corners": False,
            "loss_decode": {"type": "CrossEntropyLoss"},
        }  # fmt: skip
        self.decode_head = UPerHead(
            in_channels=channels, in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6), channels=CHANNELS, **shared
        )
        self.auxiliary_head = FCNHead(
            in_channels=channels[2], in_index=2, channels=AUXILIARY, num_convs=1, concat_input=False, **shared
        )


def main() -> None:
    written: dict[str, np.ndarray] = {}
    for name in ("swin", "convnext"):
        model = Segmentor(name).double().eval()
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        model.load_state_dict(drawn(shapes), strict=False)
        with torch.no_grad():
            features = model.backbone(drawn_images(SIZE))
            logits = [model.decode_head(features), model.auxiliary_head(features)]
        written[f"{name} keys"] = np.array(list(shapes))
        written[f"{name} shapes"] = np.array([",".join(map(str, shape)) for shape in shapes.values()])
        written |= {f"{name} {place}": each.flatten()[::STRIDE].numpy() for place, each in enumerate(logits)}
    np.savez_compressed(FILE, **written)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
