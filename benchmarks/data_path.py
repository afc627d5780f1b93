"""Augmented training samples per second of one core: files to a normalised float batch, against two libraries.

    python benchmarks/data_path.py [--images N] [--rounds N]

In every round every contender does what its users do: decode image and mask (or take them from a cache), scale by 0.5
to 2, crop to 360x480, flip, change colours, normalise, stack batches of 8. Needs `pip install 'pixelwise[benchmark]'`.
CamVid is read from PIXELWISE_CAMVID or ../shared/camvid; without it, synthetic town images of the same size are used.
Writes benchmarks/measurements/data_path.json and benchmarks/data_path.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch
from measuring import HERE, Sample, interleave, rates, ratios, write_result
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.town.scenes import write_town
from pixelwise.observer import SILENT
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.model import IMAGENET
from pixelwise.recipes.schema.recipe import Augment, Recipe
from pixelwise.training.batches import TrainingPairs, training_batches
from pixelwise.training.decoded_cache import keep_decoded
from pixelwise.training.step import prepare

SIZE = (360, 480)
BATCH = 8
AMOUNT, HUE = 0.4, 0.1
JITTERS = ("hue", "no hue", "none")
PUBLISHED = "published"
"""Colour jitter with hue by `augment.photometric=mmseg`: step by step on uint8, like the peers."""
SOURCES = {"off": "files", "memory": "memory", "disk": "memory map"}
"""Value of `data.cache` -> where samples come from."""


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=48, help="images per round; a multiple of 8")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.images < BATCH or options.images % BATCH:
        parser.error(f"--images {options.images}: expected a multiple of {BATCH}")
    try:
        import albumentations  # noqa: F401
        import torchvision  # noqa: F401
    except ImportError as error:
        print(f"{error.name} is missing: pip install 'pixelwise[benchmark]'", file=sys.stderr)
        return 1
    # One core is measured, but by default every library would use more.
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory(prefix="pixelwise-data-path-") as folder:
        # A cache of earlier runs must not be used, and none must be left behind.
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        root, source = png_images(Path(folder) / "data", options.images)
        files = [(path, root / "masks" / "train" / path.name) for path in sorted((root / "images" / "train").iterdir())]
        contenders = our_contenders(root, source, options.images)
        for cached in (False, True):
            contenders |= torchvision_contenders(files, cached=cached) | albumentations_contenders(files, cached=cached)
        samples = interleave(contenders, options.rounds)
    write(samples, source, options.images, options.rounds)
    return 0


def png_images(root: Path, count: int) -> tuple[Path, str]:
    """(folder with `count` training pairs as PNG, the format of CamVid; name of their source)."""
    named = os.environ.get("PIXELWISE_CAMVID")
    camvid = Path(named) if named else HERE.parents[1] / "shared" / "camvid"
    if not (camvid / "images" / "train").is_dir():
        data = apply_overrides(
            recipe("town-demo"), [f"data.town_images=[{count},1,1]", f"data.town_size=[{SIZE[0]},{SIZE[1]}]"]
        ).data
        return write_town(root, data), "town"
    images = sorted((camvid / "images" / "train").iterdir())[:count]
    masks = {path.stem: path for path in (camvid / "masks" / "train").iterdir()}
    for split in ("train", "val"):  # val has one pair, which is never used
        for part in ("images", "masks"):
            (root / part / split).mkdir(parents=True)
        for path in images if split == "train" else images[:1]:
            with Image.open(path) as image:
                image.save(root / "images" / split / f"{path.stem}.png")
            shutil.copyfile(masks[path.stem], root / "masks" / split / f"{path.stem}.png")
    return root, "camvid"


def our_recipe(dataset: str, jitter: str, cache: str) -> Recipe:
    """The documented augmentation; colour jitter is one matrix per image, except for `PUBLISHED`."""
    amount = AMOUNT if jitter in ("hue", "no hue") else 0.0
    augment = Augment(
        scale=(0.5, 2.0), scale_law="uniform", crop=SIZE, flip=0.5, brightness=amount, contrast=amount,
        saturation=amount, hue=HUE if jitter == "hue" else 0.0, photometric="mmseg" if jitter == PUBLISHED else "none",
    )  # fmt: skip
    words = [f"data.dataset={dataset}", f"data.cache={cache}", f"sampling.batch_size={BATCH}"]
    chosen = apply_overrides(recipe("unet-resnet18"), words)
    return msgspec.structs.replace(chosen, augment=augment)


def our_contenders(root: Path, source: str, count: int) -> dict[str, Callable[[], None]]:
    """Contenders that do what `pixelwise train` does between the files and the network."""
    dataset_name = "camvid" if source == "camvid" else "folder"
    contenders = {}
    for cache, place in SOURCES.items():
        for jitter in (*JITTERS, PUBLISHED):
            chosen = our_recipe(dataset_name, jitter, cache)
            dataset = open_dataset(chosen.data, root)
            pairs = TrainingPairs(dataset, dataset.samples("train"), chosen)
            keep_decoded(pairs, chosen, SIZE, SILENT)
            contenders[f"pixelwise, {jitter}, {place}"] = epochs(pairs, chosen, count // BATCH)
    return contenders


def epochs(pairs: TrainingPairs, chosen: Recipe, batches: int) -> Callable[[], None]:
    """A function that processes the next epoch on each call."""
    position = 0

    def warn(code: str, message: str) -> None:
        raise AssertionError(message)

    def work() -> None:
        nonlocal position
        steps = training_batches(pairs, chosen, start=position, steps=position + batches, workers=0, warn=warn)
        for batch in steps:
            prepare(batch, chosen.model.preprocessing, torch.device("cpu"), channels_last=False)
        position += batches

    return work


def torchvision_contenders(files: Sequence[tuple[Path, Path]], *, cached: bool) -> dict[str, Callable[[], None]]:
    """Contenders as in torchvision's v2 documentation: tensors, `tv_tensors`, one Compose."""
    from torchvision import tv_tensors
    from torchvision.io import decode_image
    from torchvision.transforms import v2

    def read(image: Path, mask: Path) -> tuple[Any, Any]:
        return tv_tensors.Image(decode_image(str(image))), tv_tensors.Mask(decode_image(str(mask))[0])

    jitters = {
        "hue": [v2.ColorJitter(AMOUNT, AMOUNT, AMOUNT, HUE)],
        "no hue": [v2.ColorJitter(AMOUNT, AMOUNT, AMOUNT)],
        "none": [],
    }
    contenders = {}
    for jitter, steps in jitters.items():
        transform = v2.Compose(
            [
                v2.RandomResize(min_size=SIZE[0] // 2, max_size=SIZE[0] * 2),
                v2.RandomCrop(SIZE, pad_if_needed=True, fill={tv_tensors.Image: 0, tv_tensors.Mask: 255}),
                v2.RandomHorizontalFlip(0.5),
                *steps,
                v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
                v2.Normalize(IMAGENET.mean, IMAGENET.std),
            ]
        )
        name = f"torchvision v2, {jitter}, {'memory' if cached else 'files'}"
        contenders[name] = batches_of(loaded(files, read, cached), lambda image, mask, t=transform: t(image, mask))
    return contenders


def albumentations_contenders(files: Sequence[tuple[Path, Path]], *, cached: bool) -> dict[str, Callable[[], None]]:
    """Contenders as in the documentation of albumentations: cv2.imread and one Compose."""
    import albumentations
    from albumentations.pytorch import ToTensorV2

    def read(image: Path, mask: Path) -> tuple[Any, Any]:
        pixels: Any = cv2.imread(str(image), cv2.IMREAD_COLOR)
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)

    factors = dict.fromkeys(("brightness", "contrast", "saturation"), (1 - AMOUNT, 1 + AMOUNT))
    jitters = {
        "hue": [albumentations.ColorJitter(**factors, hue=(-HUE, HUE), p=1)],
        "no hue": [albumentations.ColorJitter(**factors, hue=(0, 0), p=1)],
        "none": [],
    }
    contenders = {}
    for jitter, steps in jitters.items():
        transform = albumentations.Compose(
            [
                albumentations.RandomScale((-0.5, 1.0), p=1),
                albumentations.PadIfNeeded(*SIZE, border_mode=cv2.BORDER_CONSTANT, fill=0, fill_mask=255),
                albumentations.RandomCrop(*SIZE),
                albumentations.HorizontalFlip(p=0.5),
                *steps,
                albumentations.Normalize(IMAGENET.mean, IMAGENET.std),
                ToTensorV2(),
            ]
        )

        def change(image: np.ndarray, mask: np.ndarray, transform: Any = transform) -> tuple[Any, Any]:
            changed = transform(image=image, mask=mask)
            return changed["image"], changed["mask"]

        name = f"albumentations, {jitter}, {'memory' if cached else 'files'}"
        contenders[name] = batches_of(loaded(files, read, cached), change)
    return contenders


def loaded(
    files: Sequence[tuple[Path, Path]], read: Callable[[Path, Path], tuple[Any, Any]], cached: bool
) -> Callable[[], Iterator[tuple[Any, Any]]]:
    """A function that iterates over all pairs, decoding them on each pass or only once."""
    if cached:
        pairs = [read(*paths) for paths in files]
        return lambda: iter(pairs)
    return lambda: (read(*paths) for paths in files)


def batches_of(
    pairs: Callable[[], Iterator[tuple[Any, Any]]], change: Callable[[Any, Any], tuple[Any, Any]]
) -> Callable[[], None]:
    """A function that processes all pairs on each call."""

    def work() -> None:
        changed = []
        for image, mask in pairs():
            changed.append(change(image, mask))
            if len(changed) == BATCH:
                images, masks = zip(*changed, strict=True)
                _ = torch.stack(images), torch.stack(masks)
                changed = []

    return work


def write(samples: dict[str, list[Sample]], source: str, images: int, rounds: int) -> None:
    """Write the data and the tables."""
    comparisons = {}
    for jitter, place, peer, theirs in itertools.product(
        (*JITTERS, PUBLISHED), SOURCES.values(), ("torchvision v2", "albumentations"), ("files", "memory")
    ):
        ours = samples[f"pixelwise, {jitter}, {place}"]
        compared = samples[f"{peer}, {'hue' if jitter == PUBLISHED else jitter}, {theirs}"]
        comparisons[f"pixelwise, {jitter}, {place} / {peer}, {theirs}"] = ratios(ours, compared)._asdict()
    content = {
        "data": source,
        "images_per_round": images,
        "rounds": rounds,
        "peers": {name: version(name) for name in ("torchvision", "albumentations")},
        "samples_per_cpu_second": {name: rates(found, images)._asdict() for name, found in samples.items()},
        "samples_per_wall_second": {name: rates(found, images, "wall")._asdict() for name, found in samples.items()},
        "times_faster_by_cpu_time": comparisons,
    }
    write_result("data_path", content)
    (HERE / "data_path.md").write_text("\n".join(page(content)) + "\n", "utf-8")


def page(content: dict[str, Any]) -> list[str]:
    """The lines of data_path.md."""
    speeds, times = content["samples_per_cpu_second"], content["times_faster_by_cpu_time"]
    what = "CamVid's training images" if content["data"] == "camvid" else "images of the synthetic town"
    peers = " and ".join(f"{name} {number}" for name, number in content["peers"].items())

    def speed(name: str) -> str:
        return "{median:.0f} ({low:.0f} to {high:.0f})".format(**speeds[name]) if name in speeds else ""

    def ratio(jitter: str, ours: str, peer: str, theirs: str) -> str:
        return f"{times[f'pixelwise, {jitter}, {ours} / {peer}, {theirs}']['median']:.1f}"

    return [
        "# From files to batches",
        "",
        f"`python benchmarks/data_path.py`: samples per second of CPU time, one thread; median, minimum and maximum of "
        f"{content['rounds']} rounds of {content['images_per_round']} samples, all contenders in turns in one process. "
        f"Data: {what}, PNG, {SIZE[0]}x{SIZE[1]}. Peers: {peers}. A sample is decoded (or taken from memory), "
        f"scaled by 0.5 to 2, cropped to {SIZE[0]}x{SIZE[1]}, flipped, colour-jittered, normalised and stacked into "
        f"a float batch of {BATCH}. Machine and versions: [measurements/data_path.json](measurements/data_path.json).",
        "",
        "| contender | jitter with hue | jitter without hue | no jitter | published jitter |",
        "|---|---|---|---|---|",
        *(
            f"| {name}, from {place} | "
            + " | ".join(speed(f"{name}, {jitter}, {place}") for jitter in (*JITTERS, PUBLISHED))
            + " |"
            for name in ("pixelwise", "torchvision v2", "albumentations")
            for place in SOURCES.values()
            if speed(f"{name}, none, {place}")
        ),
        "",
        "Speed-up of pixelwise over its peers, median of the rounds:",
        "",
        "| pixelwise | peer | jitter with hue | jitter without hue | no jitter | published jitter |",
        "|---|---|---|---|---|---|",
        *(
            f"| from {ours} | {peer}, from {theirs} | "
            + " | ".join(ratio(jitter, ours, peer, theirs) for jitter in (*JITTERS, PUBLISHED))
            + " |"
            for peer in ("torchvision v2", "albumentations")
            for ours, theirs in (
                ("files", "files"), ("memory", "files"), ("memory map", "files"), ("memory", "memory"),
            )
        ),
        "",
        "The colour jitter is not the same everywhere. Pixelwise combines brightness, contrast, saturation and hue in "
        "one random matrix per image, clamped once and applied to the batch together with normalisation; hue is "
        "rotated in YIQ, contrast scaled around mid-grey. The peers clamp after every step; hue is rotated in HSV, "
        "contrast scaled around the image's mean. The published jitter is `augment.photometric=mmseg`, which many rows "
        "use: each of four steps on uint8 with probability 1/2, hue in OpenCV's HSV. It is compared with the peers' "
        "jitter with hue, which always applies all steps. The peers have no cache of their own: `from memory` is what "
        "they would reach with one.",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
