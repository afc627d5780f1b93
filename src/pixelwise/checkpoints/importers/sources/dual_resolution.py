"""Key layouts of the weights of PIDNet (XuJiacong/PIDNet) and DDRNet (ydhongHIT/DDRNet); facts only, no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

_COMMON = (
    # The weights of a run are those of a network within its loss.
    (r"^model\.", ""),
    (r"^conv1\.0\.", "stem.0.conv."),
    (r"^conv1\.1\.", "stem.0.norm."),
    (r"^conv1\.3\.", "stem.1.conv."),
    (r"^conv1\.4\.", "stem.1.norm."),
    (r"^layer3_\.", "details.0."),
    (r"^layer4_\.", "details.1."),
    (r"^layer5_\.0\.", "last_details."),
    (r"^layer1\.", "stage4."),
    (r"^layer2\.", "stage8."),
    (r"^layer3\.", "stage16."),
    (r"^layer4\.", "stage32."),
    (r"^compression([34])\.", r"compress.\1."),
    (r"^spp\.scale0\.0\.", "pooling.unpooled.norm."),
    (r"^spp\.scale0\.2\.", "pooling.unpooled.conv."),
    (r"^spp\.scale(\d)\.1\.", r"pooling.scales.\1.norm."),
    (r"^spp\.scale(\d)\.3\.", r"pooling.scales.\1.conv."),
    (r"^spp\.process(\d)\.0\.", r"pooling.mix.\1.norm."),
    (r"^spp\.process(\d)\.2\.", r"pooling.mix.\1.conv."),
    (r"^spp\.scale_process\.0\.", "pooling.mix.norm."),
    (r"^spp\.scale_process\.2\.", "pooling.mix.conv."),
    (r"^spp\.compression\.0\.", "pooling.compress.norm."),
    (r"^spp\.compression\.2\.", "pooling.compress.conv."),
    (r"^spp\.shortcut\.0\.", "pooling.shortcut.norm."),
    (r"^spp\.shortcut\.2\.", "pooling.shortcut.conv."),
    # The scales, and the two exchanges between the branches, are numbered from 1 and 3.
    (r"^(pooling\.(?:scales|mix))\.1\.", r"\1.0."),
    (r"^(pooling\.(?:scales|mix))\.2\.", r"\1.1."),
    (r"^(pooling\.(?:scales|mix))\.3\.", r"\1.2."),
    (r"^(pooling\.(?:scales|mix))\.4\.", r"\1.3."),
    (r"^(?:final_layer)\.", "head."),
    (r"^(?:seghead_p|seghead_extra)\.", "auxiliary."),
    (r"^seghead_d\.", "boundary."),
    (r"^(head|auxiliary|boundary)\.bn1\.", r"\1.mix.norm."),
    (r"^(head|auxiliary|boundary)\.conv1\.", r"\1.mix.conv."),
    (r"^(head|auxiliary|boundary)\.bn2\.", r"\1.classifier.norm."),
    (r"^(head|auxiliary|boundary)\.conv2\.", r"\1.classifier.conv."),
)
_BLOCKS = (
    (r"\.conv1\.", ".first.0."),
    (r"\.bn1\.", ".first.1."),
    (r"\.conv2\.", ".second.0."),
    (r"\.bn2\.", ".second.1."),
    (r"\.conv3\.", ".third.0."),
    (r"\.bn3\.", ".third.1."),
    (r"\.downsample\.", ".shortcut."),
    (r"^(compress|attention|differences|down)\.3\.", r"\1.0."),
    (r"^(compress|attention|differences|down)\.4\.", r"\1.1."),
)
RULES = {
    "pidnet": (
        *_COMMON,
        (r"^layer5\.", "stage64."),
        (r"^layer3_d\.", "boundaries.0."),
        # The block of the small networks is alone in a sequence, that of the large one is not.
        (r"^layer4_d\.(?:0\.)?", "boundaries.1."),
        (r"^layer5_d\.0\.", "last_boundaries."),
        (r"^pag([34])\.f_x\.", r"attention.\1.of_details."),
        (r"^pag([34])\.f_y\.", r"attention.\1.of_context."),
        (r"^diff([34])\.", r"differences.\1."),
        (r"^dfm\.conv_p\.", "fusion.of_details."),
        (r"^dfm\.conv_i\.", "fusion.of_context."),
        (r"^dfm\.conv\.0\.", "fusion.mix.norm."),
        (r"^dfm\.conv\.2\.", "fusion.mix.conv."),
        *_BLOCKS,
    ),
    "ddrnet": (
        *_COMMON,
        (r"^layer5\.0\.", "stage64."),
        (r"^down3\.", "down.3."),
        (r"^down4\.([01])\.", r"down.4.0.\1."),
        (r"^down4\.3\.", "down.4.2.0."),
        (r"^down4\.4\.", "down.4.2.1."),
        *_BLOCKS,
    ),
}
"""Family -> (pattern, replacement) pairs; each key passes through all of them, in this order."""
AUXILIARY = {"pidnet": "seghead_p", "ddrnet": "seghead_extra"}
"""Family -> the original's name of the auxiliary head."""


@register_importer("pidnet", "pidnet")
@register_importer("ddrnet", "ddrnet")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`; `source` is `pidnet` or `ddrnet`, and the model of that family.

    Raises:
        CheckpointError: K402, the weights are of the other network, of another one, or of a classifier of images.
    """
    keys = {key.removeprefix("model.") for key in state}
    boundaries = any(key.startswith("dfm.") for key in keys)
    if not any(key.startswith("final_layer.") for key in keys) or boundaries != (source == "pidnet"):
        shown = ", ".join(list(state)[:3]) or "none"
        title = "PIDNet" if source == "pidnet" else "DDRNet"
        raise refuse_architecture(
            f"these are not the weights of a {title} for segmentation; first keys: {shown}",
            "name the system that wrote the file with `source`; the authors' weights from ImageNet lack the heads",
        )
    prefix = "model." if any(key.startswith("model.final_layer.") for key in state) else ""
    heads = (f"{prefix}final_layer", f"{prefix}{AUXILIARY[source]}")
    return Conversion(
        rules=RULES[source],
        classifiers=tuple((f"{head}.conv2.{name}", 0) for head in heads for name in ("weight", "bias")),
        left_out=((r"(?:sem_)?loss\..*", "the class weights of the loss"),),
        # Files meant for prediction alone may lack them.
        optional=("auxiliary.", "boundary."),
    )
