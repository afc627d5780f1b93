"""A GeoTIFF of 50,000 x 50,000 pixels and four bands, predicted in parts: memory, time, and what it changes.

    python benchmarks/large_images.py [--size 50000] [--share 0.002] [--steps 72] [--work FOLDER]

Draws land (fields, woods, water, buildings; red, green, blue and infrared), trains a small network on tiles of it, and
writes one sparse, tiled BigTIFF: a share of its patches holds land, the others are not stored and count as missing.
`pixelwise predict` then runs on it in a process of its own, whose peak memory is read from the system. Afterwards
in this process: a corner of the mask is compared with the same pixels predicted from a small file, and images that are
predicted in parts with the same images seen by the network in one piece. Writes
benchmarks/measurements/large_images.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import tifffile
from PIL import Image

import pixelwise
from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Reading
from pixelwise.machine.facts import Machine, machine_facts, version_facts
from pixelwise.prediction.large.blocks import aligned_spans

HERE = Path(__file__).resolve().parent
CLASSES = ("field", "wood", "water", "building")
BANDS = np.array([[150, 140, 90, 170], [50, 80, 50, 190], [40, 60, 90, 20], [170, 150, 150, 110]], np.float32)
"""Red, green, blue and infrared of each class."""
NOISE = 14.0
TILE, PATCH = 512, 3072
"""Sides of a tile of the file, and of the patches that hold land or nothing."""
WINDOW, STEP = 1024, 704
POSITION = [
    (33550, "d", 3, (0.5, 0.5, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True),
    (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633), True),
    (42113, "s", 0, "0", True),
]
_COMMAND = """
import sys
from pathlib import Path
from pixelwise.cli import entry
from pixelwise.machine.memory import peak_memory
note, *words = sys.argv[1:]
sys.argv = ["pixelwise", *words]
try:
    sys.exit(entry())
finally:
    Path(note).write_text(str(peak_memory()))
"""


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """One run of `pixelwise predict`.

    Attributes:
        peak_memory_bytes: Peak memory of the process, Python, PyTorch and the network included.
        wall_seconds: Wall-clock time.
        cpu_seconds: User and system CPU time of all threads.
        windows: Number of windows of the image.
        windows_with_data: Number of windows that the network was shown.
        mask_bytes: Size of the mask, its overviews included.
        load_before: Load average of the machine (1 minute) at the start.
    """

    peak_memory_bytes: int
    wall_seconds: float
    cpu_seconds: float
    windows: int
    windows_with_data: int
    mask_bytes: int
    load_before: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result file.

    Attributes:
        command: Command that repeats the measurement.
        size: Height and width of the image.
        bands: Number of bands.
        image_bytes: Size of its file.
        land_share: Share of the pixels that are stored.
        network: The network that predicts.
        machine: Hardware and system.
        versions: Package versions.
        predicted: The prediction of the image.
        compared_pixels: Number of pixels that were predicted again from a small file.
        differing_pixels: Number of these with another class.
        pieces: Side of images that were predicted in one piece and in parts.
        seam_share: Share of their pixels with another class in parts.
        accuracy: Share of pixels that have the drawn class, in parts, and in one piece.
    """

    command: str
    size: int
    bands: int
    image_bytes: int
    land_share: float
    network: str
    machine: Machine
    versions: dict[str, str]
    predicted: Predicted
    compared_pixels: int
    differing_pixels: int
    pieces: int
    seam_share: float
    accuracy: tuple[float, float]


def main() -> int:
    """Draw, train, predict, compare, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument(
        "--share", type=float, default=0.002, help="share of patches that hold land, besides a row of tiles"
    )
    parser.add_argument("--steps", type=int, default=72, help="training steps")
    parser.add_argument("--recipe", default="unet-resnet18")
    parser.add_argument("--work", type=Path, help="folder in which everything is kept; default: a temporary one")
    parser.add_argument("--output", type=Path, default=HERE / "measurements" / "large_images.json")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="pixelwise-large-"))
    network = f"{options.recipe} over mobilenetv2_050, {len(BANDS[0])} bands, {len(CLASSES)} classes"
    try:
        run, image = work / "run", work / f"land-{options.size}-{options.share:g}.tif"
        if not run.is_dir():
            train(options.recipe, work, run, options.steps)
        if not image.is_file():
            write_image(image, options.size, options.share)
        predicted = predict(run, image, work / "out")
        print(msgspec.json.encode(predicted).decode(), flush=True)
        compared, differing = compare(run, image, work / "out", options.size)
        print(f"{differing} of {compared} pixels differ from those of a small file", flush=True)
        side, seams, accuracy = pieces(run, work)
        print(f"{seams:.5%} of the pixels differ from one piece of {side}x{side}; right: {accuracy}", flush=True)
        report = Report(
            command=f"python benchmarks/large_images.py --size {options.size} --share {options.share:g}",
            size=options.size,
            bands=len(BANDS[0]),
            image_bytes=image.stat().st_size,
            land_share=float(land(options.size, options.share).mean()),
            network=f"{network}, {options.steps} steps",
            machine=machine_facts(),
            versions=version_facts(),
            predicted=predicted,
            compared_pixels=compared,
            differing_pixels=differing,
            pieces=side,
            seam_share=seams,
            accuracy=accuracy,
        )
        options.output.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    return 0


def draw_land(seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Land as uint8 (side, side, 4) and its class ids uint8 (side, side); never 0 in a band."""
    random = np.random.default_rng([7, seed])
    points = random.integers(0, side, (max(4, side * side // 30_000), 2))
    blank = np.ones((side, side), np.uint8)
    blank[points[:, 0], points[:, 1]] = 0
    _, cells = cv2.distanceTransformWithLabels(blank, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    kinds = random.choice(3, int(cells.max()) + 1, p=(0.55, 0.3, 0.15)).astype(np.uint8)
    labels = kinds[np.asarray(cells).astype(np.int64)]
    for top, left in random.integers(0, side, (side * side // 12_000, 2)).tolist():
        height, width = random.integers(8, 40, 2).tolist()
        labels[top : top + height, left : left + width] = 3
    shade = cv2.resize(random.normal(0, 12, (side // 64 + 2,) * 2).astype(np.float32), (side, side))
    image = np.empty((side, side, 4), np.uint8)
    for band in range(4):
        noise = random.normal(0, NOISE, (side, side)).astype(np.float32)
        image[..., band] = np.clip(BANDS[labels, band] + shade + noise, 1, 255)
    return image, labels


def land(size: int, share: float) -> np.ndarray:
    """Which tiles hold land, bool (rows, columns): some patches, and a row of tiles across the whole image."""
    count, per_patch = -(-size // PATCH), PATCH // TILE
    chosen = np.random.default_rng(11).random((count, count)) < share
    chosen[0, 0] = True
    tiles = np.kron(chosen, np.ones((per_patch, per_patch), bool))[: -(-size // TILE), : -(-size // TILE)]
    # All windows of its rows have logits that wait for the next row, as in an image without gaps.
    tiles[len(tiles) // 2 // per_patch * per_patch] = True
    return tiles


def write_image(path: Path, size: int, share: float) -> None:
    """Write the sparse BigTIFF, one row of patches at a time."""
    present, per_patch = land(size, share), PATCH // TILE
    across = len(present)

    def tiles() -> Iterator[bytes]:
        patches: dict[int, np.ndarray] = {}
        for row in range(across):
            if row % per_patch == 0:
                patches = {}
            for column in range(across):
                if not present[row, column]:
                    yield b""
                    continue
                number = column // per_patch
                if number not in patches:
                    patches[number] = draw_land(row // per_patch * across + number, PATCH)[0]
                top, left = row % per_patch * TILE, column % per_patch * TILE
                yield zlib.compress(patches[number][top : top + TILE, left : left + TILE].tobytes(), 1)

    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(
            tiles(), shape=(size, size, 4), dtype="uint8", tile=(TILE, TILE), photometric="rgb",
            extrasamples=["unspecified"], compression="zlib", metadata=None, extratags=POSITION,
        )  # fmt: skip


def train(recipe: str, work: Path, run: Path, steps: int) -> None:
    """Train a small network on tiles of land."""
    data = work / "tiles"
    for split, count in (("train", 64), ("val", 8)):
        for kind in ("images", "masks"):
            (data / kind / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            image, labels = draw_land(1_000_000 + index + (1000 if split == "val" else 0), 256)
            tifffile.imwrite(
                data / "images" / split / f"{index}.tif", image, photometric="rgb", extrasamples=["unspecified"],
                metadata=None,
            )  # fmt: skip
            Image.fromarray(labels).save(data / "masks" / split / f"{index}.png")
    (data / "dataset.toml").write_text(f"classes = {list(CLASSES)}\n".replace("'", '"'), "utf-8")
    epochs = max(1, steps // 8)
    pixelwise.train(
        recipe, data, run, evaluate=False,
        overrides=[
            "model.encoder=mobilenetv2_050", "data.channels=[0,1,2,3]", "augment.crop=[256,256]",
            f"schedule.epochs={epochs}",
        ],
    )  # fmt: skip


def predict(run: Path, image: Path, output: Path) -> Predicted:
    """Run `pixelwise predict` in a process of its own."""
    shutil.rmtree(output, ignore_errors=True)
    note = output.with_name("peak.txt")
    load_before, begin = os.getloadavg()[0], time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, str(note), "predict", str(run), str(image), "-o", output]
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    if status:
        raise RuntimeError(f"pixelwise predict ended with {os.waitstatus_to_exitcode(status)}")
    with tifffile.TiffFile(image) as file:
        size = file.pages.first.imagelength
    spans = aligned_spans(size, WINDOW, STEP)
    present = land(size, float(image.stem.rpartition("-")[2]))
    ranges = [slice(start // TILE, (start + length - 1) // TILE + 1) for start, length in spans]
    shown = sum(bool(present[rows, columns].any()) for rows in ranges for columns in ranges)
    return Predicted(
        peak_memory_bytes=int(note.read_text()),
        wall_seconds=round(wall, 1),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 1),
        windows=len(spans) ** 2,
        windows_with_data=shown,
        mask_bytes=(output / "masks" / f"{image.stem}.tif").stat().st_size,
        load_before=round(load_before, 2),
    )


def compare(run: Path, image: Path, output: Path, size: int) -> tuple[int, int]:
    """Predict a corner of the image from a small file and count the pixels that differ.

    Windows of the corner are windows of the image, so that all that lies in the same windows has to be equal.
    """
    side = min(size, 2 * STEP + WINDOW)
    pixels, _ = draw_land(0, PATCH)
    corner = image.with_name("corner.tif")
    _write_small(corner, pixels[:side, :side])
    pixelwise.predict(run, corner, output / "corner", parts_above=0, overlay=False, observer=pixelwise.Observer())
    small = tifffile.imread(output / "corner" / "masks" / "corner.tif", key=0)
    with ImageRegions(output / "masks" / f"{image.stem}.tif", Reading()) as mask:
        large = mask.stored(Rectangle(0, 0, side, side))[..., 0]
    # What the next windows of the image see, too, is left out.
    inside = slice(0, side - (WINDOW - STEP))
    return small[inside, inside].size, int((small[inside, inside] != large[inside, inside]).sum())


def pieces(run: Path, work: Path, side: int = 2048) -> tuple[int, float, tuple[float, float]]:
    """Predict images in one piece and in parts: the share of pixels that differ, and the shares that are right."""
    whole, parts, drawn = [], [], []
    for seed in (1, 2):
        pixels, labels = draw_land(2_000_000 + seed, side)
        path = work / f"piece-{seed}.tif"
        _write_small(path, pixels)
        drawn.append(labels)
        for found, above in ((whole, None), (parts, 0)):
            out = work / f"pieces-{above}"
            pixelwise.predict(run, path, out, parts_above=above, overlay=False, observer=pixelwise.Observer())
            (mask,) = (out / "masks").glob(f"{path.stem}.*")
            found.append(tifffile.imread(mask, key=0) if mask.suffix == ".tif" else np.asarray(Image.open(mask)))
    one, other, truth = np.stack(whole), np.stack(parts), np.stack(drawn)
    return side, float((one != other).mean()), (float((other == truth).mean()), float((one == truth).mean()))


def _write_small(path: Path, pixels: np.ndarray) -> None:
    tifffile.imwrite(
        path, pixels, photometric="rgb", extrasamples=["unspecified"], tile=(TILE, TILE), compression="zlib",
        metadata=None,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
