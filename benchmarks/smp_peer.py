"""The peer of `suite.py` that trains a network of segmentation_models_pytorch in the loop of its CamVid example.

    python benchmarks/smp_peer.py unet resnet18 DATA PHOTOS FOLDER MINUTES THREADS SEED CLASSES

The loop is that of `examples/camvid_segmentation_multiclass.ipynb`: Dice loss, Adam at 2e-4, its augmentation with
albumentations; stopped by the clock, with a cosine learning rate over the minutes; images are divided by 255 before
they are normalised, which the notebook forgets, and images that are smaller than its crop of 320x320 get a smaller one.
Once a minute everything is saved to FOLDER, from which a stopped training goes on. Afterwards the masks of PHOTOS are
written to FOLDER/masks. Imports nothing of Pixelwise.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

CROP = 320
BATCH = 16
RATE = 2e-4
SAVE_SECONDS = 60.0
STRIDE = 32


def pairs_of(data: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images and masks of the training split, in memory."""
    found = []
    for path in sorted((data / "images" / "train").glob("*.png")):
        mask = np.array(Image.open(data / "masks" / "train" / path.name))
        found.append((np.array(Image.open(path).convert("RGB")), mask))
    return found


def augmentation(side: int) -> Any:
    """The notebook's augmentation, at a crop of `side`."""
    import albumentations as A

    return A.Compose(
        [
            A.HorizontalFlip(p=0.5),
            A.ShiftScaleRotate(scale_limit=0.5, rotate_limit=0, shift_limit=0.1, p=1, border_mode=0, fill_mask=255),
            A.PadIfNeeded(min_height=side, min_width=side, border_mode=0, fill_mask=255),
            A.RandomCrop(height=side, width=side),
            A.GaussNoise(p=0.2),
            A.Perspective(p=0.5, fill_mask=255),
            A.OneOf([A.CLAHE(p=1), A.RandomBrightnessContrast(p=1), A.RandomGamma(p=1)], p=0.9),
            A.OneOf([A.Sharpen(p=1), A.Blur(blur_limit=3, p=1), A.MotionBlur(blur_limit=3, p=1)], p=0.9),
            A.OneOf([A.RandomBrightnessContrast(p=1), A.HueSaturationValue(p=1)], p=0.9),
        ]
    )


def as_input(image: np.ndarray) -> np.ndarray:
    """Normalised with ImageNet's mean and standard deviation, float32 (3, H, W)."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((image / 255 - mean) / std).astype(np.float32).transpose(2, 0, 1)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a file of PyTorch as a whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def train(model: Any, data: Path, folder: Path, minutes: float, seed: int) -> None:
    """Train until the minutes are over, those before an interruption included."""
    import segmentation_models_pytorch as smp

    pairs, kept = pairs_of(data), folder / "training.pt"
    smallest = min(min(image.shape[:2]) for image, _ in pairs)
    crop = augmentation(min(CROP, STRIDE * max(1, smallest // STRIDE)))
    criterion = smp.losses.DiceLoss("multiclass", from_logits=True, ignore_index=255)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    before, steps = 0.0, 0
    if kept.is_file():
        state = torch.load(kept, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        before, steps = state["seconds"], state["steps"]
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    random = np.random.default_rng([seed, steps])
    crop.set_random_seed(seed + steps)
    start = saved = time.monotonic()
    model.train()
    while (spent := before + time.monotonic() - start) < 60 * minutes:
        chosen = random.choice(len(pairs), min(BATCH, len(pairs)), replace=False)
        some = [crop(image=pairs[place][0], mask=pairs[place][1]) for place in chosen]
        images = torch.from_numpy(np.stack([as_input(one["image"]) for one in some]))
        labels = torch.from_numpy(np.stack([one["mask"] for one in some])).long()
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * spent / (60 * minutes))) / 2
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        steps += 1
        over = before + time.monotonic() - start >= 60 * minutes
        if stopped or over or time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "steps": steps}
            save(kept, {**state, "seconds": before + saved - start})
        if stopped:
            sys.exit(128 + stopped[0])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    print(f"{steps} steps", flush=True)


@torch.inference_mode()
def write_masks(model: Any, photos: Path, folder: Path) -> None:
    """Write a mask of class ids for every photo, which is padded to a multiple of 32 for the network."""
    folder.mkdir(exist_ok=True)
    model.eval()
    for path in sorted(photos.glob("*.png")):
        image = as_input(np.array(Image.open(path).convert("RGB")))
        height, width = image.shape[1:]
        padded = np.pad(image, ((0, 0), (0, -height % STRIDE), (0, -width % STRIDE)))
        ids = model(torch.from_numpy(padded)[None])[0, :, :height, :width].argmax(0)
        Image.fromarray(ids.numpy().astype(np.uint8)).save(folder / path.name)


def main() -> int:
    """Train, then write the masks."""
    import segmentation_models_pytorch as smp

    architecture, encoder, data, photos, folder = sys.argv[1:6]
    minutes, threads, seed, classes = float(sys.argv[6]), *map(int, sys.argv[7:10])
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = smp.create_model(architecture, encoder, encoder_weights=None, in_channels=3, classes=classes)
    train(model, Path(data), Path(folder), minutes, seed)
    write_masks(model, Path(photos), Path(folder) / "masks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
