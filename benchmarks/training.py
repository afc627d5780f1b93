"""Training speed on the CPU: complete loops with their data, measured in turns.

    python benchmarks/training.py --data CamVid [--rounds 5] [--steps 2] [--threads 2]

Contenders, all on CamVid's train split with batch size 4 and the same number of threads:

- `pixelwise float32`: the batches and steps of `pixelwise train unet-resnet18` at a crop of 360x480, with the memory
  layout chosen by `precision.dtype=auto` and the recipe's moving average and gradient clipping.
- `pixelwise bfloat16`: the same with `precision.dtype=bfloat16`, channels last; skipped if the processor has no
  instructions for it.
- `plain PyTorch`: the same network, with its decoder upsampling and concatenating feature maps in the usual way, in a
  loop that a user would write: Pillow, torchvision v2 transforms with the same kinds of augmentation, DataLoader, cross
  entropy, AdamW; float32, contiguous.
- `segmentation-models-pytorch`: its Unet over the same encoder without pretrained weights, with the loss, optimizer
  and albumentations of its CamVid example; its network only takes multiples of 32, so its crop is slightly smaller,
  352x480.

The peers load their data in the training process (`num_workers=0`): the network uses all threads, and loader processes
would only compete for them. Every contender has its own process, which waits while another one works, because Pixelwise
configures how its process keeps freed memory and the others do not.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch
from measuring import ANSWER, Sample, answer, pipe, rates, ratios, write_result
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.datasets.samples import Dataset as OpenedDataset
from pixelwise.machine.facts import computes_bfloat16
from pixelwise.models import build_model, unet
from pixelwise.observer import SILENT
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.lengths import steps_per_epoch
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.training.autotuning.format_choice import choose_format
from pixelwise.training.batches import TrainingPairs, training_batches
from pixelwise.training.decoded_cache import keep_decoded
from pixelwise.training.optimization.optimizers import set_learning_rates
from pixelwise.training.precision import training_outputs
from pixelwise.training.setup import use_processor
from pixelwise.training.state import begin_state
from pixelwise.training.step import train_step

BATCH = 4
CROP = (360, 480)
PEER_CROP = (352, 480)
CPU = torch.device("cpu")
FLOAT32, BFLOAT16 = "pixelwise float32", "pixelwise bfloat16"
PLAIN, SMP = "plain PyTorch", "segmentation-models-pytorch"
NAMES = (FLOAT32, BFLOAT16, PLAIN, SMP)
Pair = tuple[Path, Path]
"""An image file and a PNG file of its class ids."""


def main() -> int:
    """Measure and write the result; with `--contender`, act as a contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps per contender and round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contender", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contend(options.contender, options.data, options.steps, options.threads)
        return 0
    names = [name for name in NAMES if name != BFLOAT16 or computes_bfloat16()]
    samples, notes = measure(names, options)
    per_round = BATCH * options.steps
    result = {
        "command": f"python benchmarks/training.py --data CamVid --rounds {options.rounds} --steps {options.steps} "
        f"--threads {options.threads}",
        "batch": BATCH,
        "images_per_round": per_round,
        "bfloat16": "measured" if BFLOAT16 in names else "skipped: this processor has no instructions for it",
        "format": notes[FLOAT32],
        "images_per_second": {name: rates(taken, per_round, "wall") for name, taken in samples.items()},
        "images_per_cpu_second": {name: rates(taken, per_round, "cpu") for name, taken in samples.items()},
        "times_faster": {
            f"{ours} over {peer}": ratios(samples[ours], samples[peer], "wall")
            for ours in names
            for peer in (PLAIN, SMP)
            if ours in (FLOAT32, BFLOAT16)
        },
        "samples": samples,
    }
    content = {key: plain(value) for key, value in result.items()}
    write_result("training", content)
    (Path(__file__).resolve().parent / "training.md").write_text(table(content), "utf-8")
    print(table(content))
    return 0


def measure(names: Sequence[str], options: argparse.Namespace) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Measure all contenders in every round after a warm-up round; also returns the note each printed at its start."""
    shared = ["--data", str(options.data), "--steps", str(options.steps), "--threads", str(options.threads)]
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    notes: dict[str, str] = {}
    with contextlib.ExitStack() as processes:
        running = {}
        for name in names:
            command = [sys.executable, __file__, *shared, "--contender", name]
            running[name] = processes.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            notes[name] = answer(running[name])
        for number in range(-1, options.rounds):
            for name, process in running.items():
                pipe(process.stdin).write("go\n")
                pipe(process.stdin).flush()
                sample = msgspec.json.decode(answer(process), type=Sample)
                if number >= 0:
                    samples[name].append(sample)
                print(f"{number} {name}: {sample.wall_seconds:.2f} s", flush=True)
    return samples, notes


def contend(name: str, data: Path, steps: int, threads: int) -> None:
    """Take `steps` steps for every line on standard input and print their time."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(0)
    recipe, dataset = opened(data, measured_recipe())
    note = ""
    with tempfile.TemporaryDirectory() as work:
        if name == PLAIN:
            taking = plain_steps(recipe, plain_files(recipe, dataset, Path(work)))
        elif name == SMP:
            taking = smp_steps(len(dataset.classes), plain_files(recipe, dataset, Path(work)))
        else:
            use_processor(CPU, threads)
            if name == FLOAT32:
                chosen = choose_format(apply_overrides(recipe, ["precision.dtype=auto"]), CROP, CPU)
                recipe, note = chosen.recipe, chosen.message
            else:
                recipe = apply_overrides(recipe, ["precision.dtype=bfloat16", "precision.channels_last=true"])
            taking = pixelwise_steps(recipe, dataset)
        print(f"{ANSWER}{note}", flush=True)
        for _ in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(steps):
                next(taking)
            sample = Sample(time.process_time() - cpu, time.perf_counter() - wall)
            print(ANSWER + msgspec.json.encode(sample).decode(), flush=True)


def measured_recipe() -> Recipe:
    """The recipe that is measured."""
    return apply_overrides(
        find_recipe("unet-resnet18"),
        ["data.dataset=camvid", f"augment.crop=[{CROP[0]},{CROP[1]}]", f"sampling.batch_size={BATCH}"],
    )


def opened(data: Path, recipe: Recipe) -> tuple[Recipe, OpenedDataset]:
    """(recipe with CamVid's classes, CamVid)."""
    dataset = open_dataset(recipe.data, data)
    recipe = msgspec.structs.replace(recipe, data=settled(recipe.data, dataset))
    return recipe, open_dataset(recipe.data, data)


def plain_files(recipe: Recipe, dataset: OpenedDataset, folder: Path) -> list[Pair]:
    """Write masks as PNG files of class ids, so that no peer has to convert colours."""
    pairs = []
    for sample in dataset.samples(recipe.data.train_split):
        path = folder / f"{sample.id.replace('/', '_')}.png"
        cv2.imwrite(str(path), read_labels(sample, dataset))
        pairs.append((sample.image_path, path))
    return pairs


def pixelwise_steps(
    recipe: Recipe, dataset: OpenedDataset, device: torch.device = CPU, size: Size = CROP, workers: int = 0
) -> Iterator[Tensor]:
    """The steps of `train_loop` without evaluations, checkpoints and display."""
    samples = dataset.samples(recipe.data.train_split)
    pairs = TrainingPairs(dataset, samples, recipe)
    keep_decoded(pairs, recipe, size, SILENT)
    torch.manual_seed(recipe.sampling.seed)
    state = begin_state(build_model(recipe), recipe, device)
    network = training_outputs(state.model, recipe.precision)
    weights = torch.ones(state.model.num_classes, device=device)
    per_epoch = steps_per_epoch(len(pairs), recipe.sampling)
    batches = training_batches(
        pairs,
        recipe,
        start=0,
        steps=1_000_000,
        workers=workers,
        warn=lambda code, message: print(code, message),
        pin=device.type == "cuda",
    )
    while True:
        batch = next(batches)
        set_learning_rates(state.optimizer, recipe, state.progress.step, per_epoch)
        outcome = train_step(recipe, state, network, [batch], weights)
        state.progress.step += 1
        yield outcome.loss


class PlainData(Dataset[tuple[Tensor, Tensor]]):
    """Data loading as in tutorials: open with Pillow, transform with torchvision v2."""

    def __init__(self, pairs: Sequence[Pair], recipe: Recipe) -> None:
        from torchvision.transforms import v2

        augment, normalised = recipe.augment, recipe.model.preprocessing
        self.pairs = pairs
        self.transform = v2.Compose(
            [
                v2.ToImage(),
                v2.ScaleJitter(target_size=CROP, scale_range=augment.scale, antialias=True),
                v2.RandomCrop(CROP, pad_if_needed=True, fill={torch.Tensor: 0, "others": 255}),
                v2.RandomHorizontalFlip(augment.flip),
                v2.ColorJitter(augment.brightness, augment.contrast, augment.saturation),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(list(normalised.mean), list(normalised.std)),
            ]
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        from torchvision import tv_tensors

        image_path, mask_path = self.pairs[index]
        with Image.open(image_path) as opened_image, Image.open(mask_path) as opened_mask:
            image = tv_tensors.Image(np.array(opened_image.convert("RGB")).transpose(2, 0, 1))
            mask = tv_tensors.Mask(np.array(opened_mask))
        image, mask = self.transform(image, mask)
        return image.as_subclass(Tensor), mask.as_subclass(Tensor).long()


def plain_steps(recipe: Recipe, pairs: Sequence[Pair]) -> Iterator[float]:
    """Steps of the same network, with a plain decoder, in a plain float32 loop."""
    unet.can_convolve_repeated = lambda size, result: False
    torch.manual_seed(0)
    model = build_model(recipe).train()
    loader = DataLoader(PlainData(pairs, recipe), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=0)
    criterion = nn.CrossEntropyLoss(ignore_index=255)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.optimizer.lr, weight_decay=0.05)
    for images, labels in itertools.chain.from_iterable(itertools.repeat(loader)):
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        yield loss.item()


class ExampleData(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Data loading of the CamVid example of segmentation-models-pytorch: OpenCV and albumentations."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        # albumentations asks PyPI for a newer version when it is imported.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        import albumentations as A

        height, width = PEER_CROP
        self.pairs = pairs
        self.transform = A.Compose(
            [
                A.HorizontalFlip(p=0.5),
                A.ShiftScaleRotate(scale_limit=0.5, rotate_limit=0, shift_limit=0.1, p=1, border_mode=0),
                A.PadIfNeeded(min_height=height, min_width=width, border_mode=0),
                A.RandomCrop(height=height, width=width),
                A.GaussNoise(p=0.2),
                A.Perspective(p=0.5),
                A.OneOf([A.CLAHE(p=1), A.RandomBrightnessContrast(p=1), A.RandomGamma(p=1)], p=0.9),
                A.OneOf([A.Sharpen(p=1), A.Blur(blur_limit=3, p=1), A.MotionBlur(blur_limit=3, p=1)], p=0.9),
                A.OneOf([A.RandomBrightnessContrast(p=1), A.HueSaturationValue(p=1)], p=0.9),
            ]
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image_path, mask_path = self.pairs[index]
        image = cv2.cvtColor(cv2.imread(str(image_path)), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
        sample = self.transform(image=image, mask=mask)
        return sample["image"].transpose(2, 0, 1), sample["mask"]


def smp_steps(classes: int, pairs: Sequence[Pair]) -> Iterator[float]:
    """Steps of the loop of that example, without Lightning."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    model = smp.Unet("resnet18", encoder_weights=None, classes=classes).train()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    loader = DataLoader(ExampleData(pairs), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=0)
    criterion = smp.losses.DiceLoss(smp.losses.MULTICLASS_MODE, from_logits=True, ignore_index=255)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10_000, eta_min=1e-5)
    for images, labels in itertools.chain.from_iterable(itertools.repeat(loader)):
        optimizer.zero_grad()
        loss = criterion(model((images / 255.0 - mean) / std), labels.long())
        loss.backward()
        optimizer.step()
        scheduler.step()
        yield loss.item()


def plain(value: Any) -> Any:
    """Convert named tuples to mappings, recursively."""
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "# Training on the CPU",
        "",
        f"`{result['command']}`: median over the rounds (minimum to maximum). {result['format']}. bfloat16: "
        f"{result['bfloat16']}.",
        "",
        "| loop | images/s | images per second of CPU time |",
        "|---|---|---|",
    ]
    for name, rate in result["images_per_second"].items():
        lines.append(f"| {name} | {spread(rate)} | {spread(result['images_per_cpu_second'][name])} |")
    lines += ["", "| speed-up, round by round | |", "|---|---|"]
    lines += [f"| {name} | {spread(ratio)} |" for name, ratio in result["times_faster"].items()]
    return "\n".join(lines) + "\n"


def spread(value: dict[str, float]) -> str:
    """`2.31 (2.25 to 2.40)`."""
    return f"{value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


if __name__ == "__main__":
    sys.exit(main())
