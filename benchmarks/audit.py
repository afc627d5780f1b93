"""Time of `pixelwise check` on generated image-mask pairs, cold and then from its cache.

    python benchmarks/audit.py [--pairs 10000] [--size 360 480] [--work FOLDER]

The pairs are random crops of street scenes (`pixelwise.datasets.town.scenes`), mirrored, brightened and with added
noise, so that the files compress like photographs and no two are alike. Half of the images are JPEG, half PNG, as both
are common; 80 % are train, 20 % val. Each run is a separate process, timed from the start of Python to its end. Writes
benchmarks/measurements/audit.json with wall and CPU seconds and the load of the machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import msgspec
import numpy as np

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.machine.facts import Machine, machine_facts, version_facts

HERE = Path(__file__).resolve().parent
SCENES = 24
"""Number of distinct scenes that the pairs are cropped from, each 1.5 times the size of a pair."""
JPEG_QUALITY = 92
_COMMAND = "import sys; from pixelwise.cli import entry; sys.argv[0] = 'pixelwise'; sys.exit(entry())"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the command.

    Attributes:
        wall_seconds: Wall-clock time.
        cpu_seconds: User and system CPU time of all threads.
        pairs_per_second: Pairs per second of wall-clock time.
        pairs_per_cpu_second: Pairs per second of CPU time.
        peak_memory_bytes: Peak memory of this run and the ones before it.
        load_before: Load average of the machine (1 minute) at the start.
        load_after: Load average of the machine (1 minute) at the end.
    """

    wall_seconds: float
    cpu_seconds: float
    pairs_per_second: float
    pairs_per_cpu_second: float
    peak_memory_bytes: int
    load_before: float
    load_after: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result file.

    Attributes:
        command: Command that repeats the measurement.
        pairs: Number of images with masks.
        size: (height, width) of every image.
        image_bytes: Mean size of an image file.
        mask_bytes: Mean size of a mask file.
        machine: Hardware and system.
        versions: Package versions.
        cold: First run: every file is read, hashed and decoded.
        warm: Second run: nothing has changed.
        cold_two_core_seconds: CPU seconds of the cold run divided by two: the ideal time on two free cores.
    """

    command: str
    pairs: int
    size: tuple[int, int]
    image_bytes: float
    mask_bytes: float
    machine: Machine
    versions: dict[str, str]
    cold: Measured
    warm: Measured
    cold_two_core_seconds: float


def main() -> int:
    """Generate the pairs, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--size", type=int, nargs=2, default=(360, 480), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--work", type=Path, help="folder in which the pairs are kept; default: a temporary one")
    parser.add_argument("--output", type=Path, default=HERE / "measurements" / "audit.json")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="pixelwise-audit-"))
    size = (options.size[0], options.size[1])
    data = work / f"{options.pairs}-{size[0]}x{size[1]}"
    try:
        if not data.is_dir():
            write_pairs(data, options.pairs, size)
        # The audit does not cache files that are younger than two seconds.
        time.sleep(3)
        cache = Path(tempfile.mkdtemp(prefix="cache-", dir=work))
        cold = measure(data, cache, options.pairs)
        print(f"cold {cold.wall_seconds:.1f} s, {cold.cpu_seconds:.1f} CPU s", flush=True)
        warm = measure(data, cache, options.pairs)
        print(f"warm {warm.wall_seconds:.1f} s, {warm.cpu_seconds:.1f} CPU s", flush=True)
        shutil.rmtree(cache)
        report = Report(
            command=f"python benchmarks/audit.py --pairs {options.pairs} --size {size[0]} {size[1]}",
            pairs=options.pairs,
            size=size,
            image_bytes=_mean_size(data / "images"),
            mask_bytes=_mean_size(data / "masks"),
            machine=machine_facts(),
            versions=version_facts(),
            cold=cold,
            warm=warm,
            cold_two_core_seconds=round(cold.cpu_seconds / 2, 1),
        )
        options.output.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    return 0


def write_pairs(root: Path, pairs: int, size: tuple[int, int]) -> None:
    """Write `images/{train,val}` and `masks/{train,val}` under `root`, which appears only when complete."""
    large = (size[0] * 3 // 2, size[1] * 3 // 2)
    scenes = [draw_scene(0, index, large) for index in range(SCENES)]
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 4, (*large, 3)).astype(np.int8)
    unfinished = root.with_name(root.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for split in ("train", "val"):
        (unfinished / "images" / split).mkdir(parents=True)
        (unfinished / "masks" / split).mkdir(parents=True)

    def write(index: int) -> None:
        image, mask = _variant(index, scenes, noise, size)
        split = "val" if index % 5 == 4 else "train"
        ending, settings = (".jpg", (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)) if index % 2 else (".png", ())
        name = f"{index:06d}"
        cv2.imwrite(str(unfinished / "images" / split / f"{name}{ending}"), image[..., ::-1], settings)
        cv2.imwrite(str(unfinished / "masks" / split / f"{name}.png"), mask)

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(write, range(pairs)):
            pass
    unfinished.rename(root)


def _variant(
    index: int, scenes: list[tuple[np.ndarray, np.ndarray]], noise: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A crop of a scene as uint8 (H, W, 3) RGB and uint8 (H, W) raw ids; depends only on `index`."""
    rng = np.random.default_rng([1, index])
    scene, labels = scenes[int(rng.integers(len(scenes)))]
    top, left, y, x = (int(rng.integers(size[axis] // 2)) for axis in (0, 1, 0, 1))
    image, mask = (values[top : top + size[0], left : left + size[1]] for values in (scene, labels))
    grain = noise[y : y + size[0], x : x + size[1]]
    bright = cv2.convertScaleAbs(image, alpha=rng.uniform(0.7, 1.2), beta=rng.uniform(-20, 20))
    image = cv2.add(bright, np.ascontiguousarray(grain), dtype=cv2.CV_8U)
    if rng.integers(2):
        image, mask = image[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def measure(data: Path, cache: Path, pairs: int) -> Measured:
    """Run `pixelwise check` in a separate process."""
    load, before, begin = os.getloadavg()[0], resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, "check", str(data), "--json"], env=environment, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"pixelwise check ended with {done.returncode}: {done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(
        wall_seconds=round(wall, 2),
        cpu_seconds=round(cpu, 2),
        pairs_per_second=round(pairs / wall, 1),
        pairs_per_cpu_second=round(pairs / cpu, 1),
        peak_memory_bytes=after.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        load_before=round(load, 2),
        load_after=round(os.getloadavg()[0], 2),
    )


def _mean_size(folder: Path) -> float:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return round(sum(sizes) / max(1, len(sizes)), 1)


if __name__ == "__main__":
    sys.exit(main())
