"""Write `stored_references.npz`: scores that torchmetrics and MONAI, which the tests do not need, give to drawn images.

Usage, from the folder of the repository (both Apache-2.0; MONAI brings nothing but PyTorch and NumPy):

    python -m venv /tmp/references
    /tmp/references/bin/pip install -e . torch torchmetrics==1.9.0 monai==1.6.1 hypothesis
    PYTHONPATH=tests /tmp/references/bin/python tests/references/write_stored_references.py

The images follow from their numbers (`drawn_masks.py`), so nothing but the scores is stored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from references.drawn_masks import IGNORE, drawn, drawn_logits, drawn_shapes

FILE = Path(__file__).with_name("stored_references.npz")
NUMBERS = 40
CLASSES = 5


def main() -> None:
    """Compute the scores and write them."""
    from monai.metrics import compute_hausdorff_distance
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_calibration_error,
        multiclass_jaccard_index,
    )

    calibration, hausdorff, iou, accuracy = [], [], [], []
    for number in range(NUMBERS):
        logits, labels = drawn_logits(number)
        told = torch.from_numpy(logits).softmax(0).T
        calibration.append(
            float(multiclass_calibration_error(told, torch.from_numpy(labels), len(logits), 15, ignore_index=IGNORE))
        )
        truth, found = (torch.from_numpy(mask)[None, None].float() for mask in drawn_shapes(number))
        distance = compute_hausdorff_distance(found, truth, include_background=True, percentile=95)
        hausdorff.append(float(distance))
        image = drawn(number, classes=CLASSES)
        pair = torch.from_numpy(image.prediction).long(), torch.from_numpy(image.labels).long()
        iou.append(multiclass_jaccard_index(*pair, CLASSES, "none", ignore_index=IGNORE).numpy())
        accuracy.append(float(multiclass_accuracy(*pair, CLASSES, "micro", ignore_index=IGNORE)))
    np.savez_compressed(
        FILE,
        calibration_error=np.array(calibration),
        hausdorff95=np.array(hausdorff),
        iou=np.array(iou),
        pixel_accuracy=np.array(accuracy),
    )


if __name__ == "__main__":
    main()
