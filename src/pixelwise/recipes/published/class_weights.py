"""The exact class weights of published code bases, for `loss.class_weights`.

Every tuple has one weight per class, in the order of the data set's ids.
"""

from __future__ import annotations

# TexasInstruments/edgeai-torchvision@f85ec314, edgeai_xvision/xvision/datasets/cityscapes_plus.py: median frequency
# balancing over Cityscapes' 19 training ids. The loss applies them only in a random 20 % of the iterations.
EDGEAI_CITYSCAPES = (
    0.05570516, 0.32337477, 0.08998544, 1.03602707, 1.03413147, 1.68195437, 5.58540548, 3.56563995, 0.12704978, 1.0,
    0.46783719, 1.34551528, 5.29974114, 0.28342531, 0.9396095, 0.81551811, 0.42679146, 3.6399074, 2.78376194,
)  # fmt: skip

# CSAILVision/sceneparsing@e2022296, objectInfo150.txt, column "Ratio": share of pixels of objects 1 to 31.
ADE20K_RATIOS = (
    0.1576, 0.1072, 0.0878, 0.0621, 0.0480, 0.0450, 0.0398, 0.0231, 0.0198, 0.0183, 0.0181, 0.0166, 0.0160, 0.0151,
    0.0118, 0.0110, 0.0109, 0.0104, 0.0104, 0.0103, 0.0098, 0.0074, 0.0067, 0.0065, 0.0061, 0.0060, 0.0053, 0.0052,
    0.0046, 0.0044, 0.0044,
)  # fmt: skip


def _mean_over_frequency(ratios: tuple[float, ...]) -> tuple[float, ...]:
    """Mean frequency / frequency, for class 0 (all pixels of no other class) and for the classes after it."""
    frequencies = (1 - sum(ratios), *ratios)
    return tuple(1 / len(frequencies) / frequency for frequency in frequencies)


# The rule of edgeai_xvision/xvision/datasets/ade20k.py at the same revision: the remaining 119 objects and the pixels
# without an object are class 0.
EDGEAI_ADE20K32 = _mean_over_frequency(ADE20K_RATIOS)

# Eromera/erfnet_pytorch@d4a46faf, train/main.py. Its 20th weight, of void, is 0: such pixels are ignored here.
ERFNET_ENCODER = (
    2.3653597831726, 4.4237880706787, 2.9691488742828, 5.3442072868347, 5.2983593940735, 5.2275490760803,
    5.4394111633301, 5.3659925460815, 3.4170460700989, 5.2414722442627, 4.7376127243042, 5.2286224365234,
    5.455126285553, 4.3019247055054, 5.4264230728149, 5.4331531524658, 5.433765411377, 5.4631009101868,
    5.3947434425354,
)  # fmt: skip
ERFNET_DECODER = (
    2.8149201869965, 6.9850029945374, 3.7890393733978, 9.9428062438965, 9.7702074050903, 9.5110931396484,
    10.311357498169, 10.026463508606, 4.6323022842407, 9.5608062744141, 7.8698215484619, 9.5168733596802,
    10.373730659485, 6.6616044044495, 10.260489463806, 10.287888526917, 10.289801597595, 10.405355453491,
    10.138095855713,
)  # fmt: skip

# XuJiacong/PIDNet@4c158cf, datasets/cityscapes.py; the same as in HRNet-Semantic-Segmentation and OCNet.
OCNET_CITYSCAPES = (
    0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023, 0.9539, 0.9843, 1.1116, 0.9037,
    1.0865, 1.0955, 1.0865, 1.1529, 1.0507,
)  # fmt: skip

PUBLISHED_WEIGHTS: dict[str, tuple[float, ...]] = {
    "edgeai-cityscapes": EDGEAI_CITYSCAPES,
    "edgeai-ade20k32": EDGEAI_ADE20K32,
    "erfnet-encoder": ERFNET_ENCODER,
    "erfnet-decoder": ERFNET_DECODER,
    "ocnet-cityscapes": OCNET_CITYSCAPES,
}
"""The fixed class weights by their names in `loss.class_weights`."""
