"""Training steps compared with the limits of the device, and the published row with a plain loop.

    python benchmarks/steps.py --data CamVid [--device cuda] [--rounds 5] [--steps 20] [--recipes NAME,NAME]

For each recipe, run with its data as by `pixelwise train`:

- images per second; on a GPU also with the network compiled and with CUDA graphs, and the share of the time in which
  the GPU computes (kernel time of PyTorch's profiler divided by wall-clock time);
- the floor: the time for the arithmetic of the forward and backward pass (three times that of a forward pass, at the
  rate of a large matrix product with the same dtype) or the time for moving its activations (six memory passes each,
  at the rate of a large copy), whichever is longer. Both rates are measured first, on the same device. A network can
  hardly train faster than its floor, so floor / measured shows how much could still be gained.

`enet-camvid`, the published row, runs as published and with `precision.dtype=auto`, beside the same network in a loop
that a user would write: Pillow, torchvision v2, DataLoader, Adam, float32. (On a CPU that loop also benefits from
Pixelwise's handling of freed memory, because it runs in the same process.) On a CPU it also runs with PyTorch's own
PReLU and channels first in memory, in turns with the others: what `pixelwise.layers.kernels` saves.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np
import torch
from measuring import interleave, rates, ratios, summary, write_result
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from training import Pair, opened, pixelwise_steps, plain, plain_files

from pixelwise.layers.kernels.prelu import PReLU
from pixelwise.machine.devices import choose_device
from pixelwise.machine.facts import machine_facts
from pixelwise.models import SegmentationModel, build_model, enet
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.lengths import steps_per_epoch, total_steps
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.own.camvid_scratch import RECIPES
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.autotuning.format_choice import choose_format
from pixelwise.training.setup import use_processor

ROW = "enet-camvid"
NAMES = (ROW, *(entry.name for entry in RECIPES if entry.data.train_split == "train"))
PASSES = 6
"""Memory passes per activation in training: forward it is written and read, twice by a normalisation; backward it is
read, and its gradient is written and read."""
FORWARD_AND_BACKWARD = 3
"""Arithmetic of both passes relative to a forward pass: the gradients of input and weights each cost as much."""
GRAPHS = ("precision.compile=true", "precision.cuda_graphs=true")
PLAIN = "plain PyTorch"
AUTO = "pixelwise, precision.dtype=auto"
OWN_MODULES = "pixelwise, PyTorch's own PReLU, channels first"


class Ceilings(NamedTuple):
    """Peak rates of the device.

    Attributes:
        copied: Bytes read plus bytes written per second in a large copy.
        multiplied: dtype -> multiply-accumulates per second in a large matrix product.
    """

    copied: float
    multiplied: dict[str, float]


class Floor(NamedTuple):
    """Lower bounds on the seconds of a step, for arithmetic and for memory traffic."""

    arithmetic: float
    memory: float

    @property
    def seconds(self) -> float:
        """The longer of the two."""
        return max(self)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, then write the result and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--recipes", default=",".join(NAMES), help="names of recipes, separated by commas")
    parser.add_argument("--rounds", type=int, help="measured rounds; default: 5 on a GPU, else 3")
    parser.add_argument("--steps", type=int, help="steps per round; default: 20 on a GPU, else 2")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads, if the device is the CPU")
    parser.add_argument("--workers", type=int, default=0, help="loader processes")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change every recipe")
    options = parser.parse_args(arguments)
    names = options.recipes.split(",")
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"--recipes {','.join(unknown)}: expected some of {', '.join(NAMES)}")
    device = choose_device(options.device)
    on_gpu = device.type == "cuda"
    options.rounds = options.rounds or (5 if on_gpu else 3)
    options.steps = options.steps or (20 if on_gpu else 2)
    cv2.setNumThreads(0)
    use_processor(device, options.threads)
    ceilings = measure_ceilings(device)
    result = {
        "command": "python benchmarks/steps.py --data CamVid "
        f"--device {device.type} --rounds {options.rounds} --steps {options.steps} --workers {options.workers}",
        "device": torch.cuda.get_device_name(device) if on_gpu else f"{options.threads} CPU threads",
        "gpu": on_gpu,
        "ceilings": plain(ceilings),
        "recipes": [measure(name, ceilings, device, options) for name in names],
    }
    content = {key: msgspec.to_builtins(value) for key, value in result.items()}
    write_result("steps", content)
    (Path(__file__).resolve().parent / "steps.md").write_text(page(content), "utf-8")
    print(page(content))
    return 0


def measure(name: str, ceilings: Ceilings, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a recipe."""
    recipe, dataset = opened(options.data, apply_overrides(find_recipe(name), options.set))
    size = recipe.augment.crop or recipe.augment.resize or (360, 480)
    images = recipe.sampling.batch_size
    floor = count_floor(recipe, size, ceilings)
    variants = {"pixelwise": recipe}
    if name == ROW:
        chosen = choose_format(apply_overrides(recipe, ["precision.dtype=auto"]), size, device).recipe
        variants[AUTO] = chosen
    if device.type == "cuda":
        variants |= {
            "pixelwise, compiled": apply_overrides(recipe, GRAPHS[:1]),
            "pixelwise, CUDA graphs": apply_overrides(recipe, GRAPHS),
        }
    with tempfile.TemporaryDirectory() as work:
        loops = {
            variant: pixelwise_steps(changed, dataset, device, size, options.workers)
            for variant, changed in variants.items()
        }
        if name == ROW:
            files = plain_files(recipe, dataset, Path(work))
            loops[PLAIN] = plain_steps(recipe, files, size, device, options.workers)
        contenders = {variant: _round(loop, options.steps, device) for variant, loop in loops.items()}
        if name == ROW and device.type == "cpu":
            steps = pixelwise_steps(recipe, dataset, device, size, options.workers)
            contenders[OWN_MODULES] = _with_own_modules(_round(steps, options.steps, device))
        samples = interleave(contenders, options.rounds)
        busy = device_share(contenders["pixelwise"]) if device.type == "cuda" else None
    seconds = summary(samples["pixelwise"], options.steps, "wall").median
    per_epoch = steps_per_epoch(len(dataset.samples(recipe.data.train_split)), recipe.sampling)
    print(f"{name}: {1000 * seconds:.1f} ms per step", flush=True)
    return {
        "recipe": name,
        "format": f"{recipe.precision.dtype}{', channels last' if recipe.precision.channels_last else ''}",
        "images": images,
        "height": size[0],
        "width": size[1],
        "floor_ms": {"arithmetic": 1000 * floor.arithmetic, "memory": 1000 * floor.memory},
        "step_ms": 1000 * seconds,
        "share_of_floor": floor.seconds / seconds,
        "device_share": busy,
        "images_per_second": {
            variant: plain(rates(taken, images * options.steps, "wall")) for variant, taken in samples.items()
        },
        "times_plain": {
            variant: plain(ratios(taken, samples[PLAIN], "wall"))
            for variant, taken in samples.items()
            if PLAIN in samples and variant != PLAIN
        },
        "all_steps_seconds": {
            variant: total_steps(recipe.schedule, per_epoch) * summary(taken, options.steps, "wall").median
            for variant, taken in samples.items()
        },
        "samples": plain(samples),
    }


def _round(loop: Iterator[object], steps: int, device: torch.device) -> Callable[[], None]:
    """A function that takes `steps` steps of a loop and waits for the device."""

    def work() -> None:
        for _ in range(steps):
            next(loop)
        _wait(device)

    return work


def _with_own_modules(work: Callable[[], None]) -> Callable[[], None]:
    """The same work with PyTorch's own PReLU, and channels first in memory."""

    @contextlib.contextmanager
    def replaced() -> Iterator[None]:
        forward, order = PReLU.forward, enet.fastest_to_learn
        PReLU.forward, enet.fastest_to_learn = nn.PReLU.forward, lambda images: images
        try:
            yield
        finally:
            PReLU.forward, enet.fastest_to_learn = forward, order

    def replacing() -> None:
        with replaced():
            work()

    return replacing


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_ceilings(device: torch.device) -> Ceilings:
    """Measure the rates of a large copy and of large matrix products."""
    large = torch.rand(2**26 if device.type == "cpu" else 2**29, device=device)
    target = torch.empty_like(large)
    copied = 2 * large.numel() * large.element_size() / _least_seconds(lambda: target.copy_(large), device)
    side = 4096 if device.type == "cpu" else 8192
    multiplied = {}
    for name in ("float32", "bfloat16"):
        one, other = (torch.randn(side, side, device=device).to(getattr(torch, name)) for _ in range(2))
        multiplied[name] = side**3 / _least_seconds(lambda one=one, other=other: one @ other, device)
    return Ceilings(copied, multiplied)


def _least_seconds(work: Callable[[], object], device: torch.device, rounds: int = 8) -> float:
    seconds = []
    for _ in range(rounds):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def count_floor(recipe: Recipe, size: tuple[int, int], ceilings: Ceilings) -> Floor:
    """Lower bounds on the time of a training step at a crop of (height, width)."""
    images, bytes_each = recipe.sampling.batch_size, 2 if recipe.precision.dtype == "bfloat16" else 4
    macs = FORWARD_AND_BACKWARD * complexity(recipe, *size).macs * images
    with torch.device("meta"):
        moved = PASSES * count_activations(build_model(recipe), size) * images * bytes_each
    return Floor(macs / ceilings.multiplied[recipe.precision.dtype], moved / ceilings.copied)


def count_activations(model: SegmentationModel, size: tuple[int, int]) -> int:
    """Number of output values of all layers of a network for one image of (height, width) in training."""
    total = 0

    def count(layer: nn.Module, given: object, result: object) -> None:
        nonlocal total
        tensors = result if isinstance(result, tuple | list) else (result,)
        total += sum(tensor.numel() for tensor in tensors if isinstance(tensor, Tensor))

    for layer in model.modules():
        if not list(layer.children()):
            layer.register_forward_hook(count)
    # Two images, because batch normalisation cannot normalise one image whose feature map is a single value.
    device = next(model.parameters()).device
    model.train().head_logits(torch.empty(2, model.preprocessing.in_channels, *size, device=device))
    return total // 2


def device_share(work: Callable[[], None]) -> float:
    """Share of a round in which the GPU computes."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    busy = sum(event.self_device_time_total for event in profiler.key_averages())
    return busy / 1e6 / seconds


class PlainRow(Dataset[tuple[Tensor, Tensor]]):
    """The data loading of the published row's own code: open, resize, scale to 0..1."""

    def __init__(self, pairs: Sequence[Pair], size: tuple[int, int]) -> None:
        from torchvision.transforms import v2

        self.pairs = pairs
        resize = v2.Resize(size, antialias=True)
        self.transform = v2.Compose([v2.ToImage(), resize, v2.ToDtype(torch.float32, scale=True)])
        self.resize_labels = v2.Resize(size, v2.InterpolationMode.NEAREST)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image_path, mask_path = self.pairs[index]
        with Image.open(image_path) as image, Image.open(mask_path) as mask:
            labels = self.resize_labels(torch.from_numpy(np.array(mask))[None])[0]
            return self.transform(image.convert("RGB")), labels.long()


def plain_steps(
    recipe: Recipe, pairs: Sequence[Pair], size: tuple[int, int], device: torch.device, workers: int
) -> Iterator[float]:
    """Steps of the same network in a plain float32 loop with a standard loader."""
    torch.manual_seed(0)
    model = build_model(recipe).to(device).train()
    loader = DataLoader(
        PlainRow(pairs, size), batch_size=recipe.sampling.batch_size, shuffle=True, drop_last=True, num_workers=workers
    )
    criterion = nn.CrossEntropyLoss(ignore_index=255)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.optimizer.lr, weight_decay=recipe.optimizer.weight_decay)
    while True:
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            yield loss.item()


def page(measured: dict[str, Any]) -> str:
    """The result as Markdown."""
    ceilings = measured["ceilings"]
    products = ", ".join(
        f"{name} {rate / 1e12:.3g} TMAC/s" for name, rate in sorted(ceilings["multiplied"].items(), reverse=True)
    )
    lines = [
        "# Training steps and their floor",
        "",
        f"`{measured['command']}` on {measured['device']} ({machine_facts().cpu}): median over the rounds. "
        f"A large copy moves {ceilings['copied'] / 1e9:.3g} GB/s; large matrix products reach {products}.",
        "",
        "| recipe | batch | format | images/s | ms per step | floor: arithmetic, memory (ms) | share of the floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in measured["recipes"]:
        floor, rate = one["floor_ms"], one["images_per_second"]["pixelwise"]
        lines.append(
            f"| {one['recipe']} | {one['images']} x {one['height']}x{one['width']} | {one['format']} | "
            f"{rate['median']:.3g} ({rate['low']:.3g} to {rate['high']:.3g}) | {one['step_ms']:.0f} | "
            f"{floor['arithmetic']:.0f}, {floor['memory']:.0f} | {100 * one['share_of_floor']:.0f} % |"
        )
    lines += ["", *_of_gpu(measured), *_of_row(measured)]
    return "\n".join(lines).rstrip() + "\n"


def _of_gpu(measured: dict[str, Any]) -> list[str]:
    if not measured["gpu"]:
        return []
    lines = ["| recipe | GPU computes | images/s compiled | images/s with CUDA graphs |", "|---|---|---|---|"]
    for one in measured["recipes"]:
        compiled, graphs = (
            one["images_per_second"][f"pixelwise, {variant}"]["median"] for variant in ("compiled", "CUDA graphs")
        )
        lines.append(f"| {one['recipe']} | {100 * one['device_share']:.0f} % | {compiled:.3g} | {graphs:.3g} |")
    return [*lines, ""]


def _of_row(measured: dict[str, Any]) -> list[str]:
    lines = []
    for one in measured["recipes"]:
        for variant, times in one["times_plain"].items():
            minutes = one["all_steps_seconds"][variant] / 60
            if not lines:
                lines += [
                    "| published row | times as fast as a plain loop | minutes for all its steps |",
                    "|---|---|---|",
                ]
            words = f"{times['median']:.2f} ({times['low']:.2f} to {times['high']:.2f})"
            lines.append(f"| {one['recipe']}, {variant} | {words} | {minutes:.3g} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
