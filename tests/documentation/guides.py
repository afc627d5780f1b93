"""What the guides show and how it is followed: blocks of commands, what cannot run here, and the folders they name."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from documentation.pages import ROOT
from PIL import Image

from pixelwise.cli import main

GUIDES = (
    "README.md", "docs/cluster.md", "docs/data.md", "docs/deployment.md", "docs/extending.md", "docs/faults.md",
    "docs/files.md", "docs/hub.md", "docs/metrics.md", "docs/performance.md", "docs/published.md", "docs/python.md",
    "docs/setup.md", "docs/training.md", "docs/ui.md", "benchmarks/README.md",
)  # fmt: skip
"""Pages whose blocks without a language, or of a console, hold nothing but commands; tutorials have their own test."""

GPUS = "eight processes, each with a GPU; two processes: docs/tutorials/several-processes.md"
LARGE = (
    "a published network at its published size; tests/training/optimization/test_adapters.py trains one in miniature"
)
FETCHED = "fetches weights, and tests never download"
RAY = "a Ray cluster that is running; tests/prediction/shards and tests/evaluation/shards start one"
MEASURED = "a measurement on CamVid, hours long"
HUB = "the Hugging Face Hub; tests/model_hub.py stands in for it in the tests of the verbs"
VIDEO = "a video, and a program to cut one; tests/prediction/videos draws them and predicts them"
PLUGIN = "the package of examples/plugin, installed; tests/end_to_end/test_plugin_training.py trains with it"
HOURS = "an hour of training on Cityscapes; tests/training/test_stages.py goes the same way in miniature"
CONVERTER = "a converter with many packages; tests/deployment/export/test_export_elsewhere.py where it is installed"
NOT_HERE = {
    "make demo": "makes an environment and trains for minutes; its commands are those of .ci/try_wheel",
    "make test": "is what runs this",
    "npx @taplo/cli lint mine.toml": "Node.js, from npm; tests/contracts check recipes against the schema",
    "pixelwise show unet-<Tab>": "a key that is pressed",
    "python -m http.server --directory page": "a server of Python's own",
    "pixelwise export runs/first --target web --output page": "fetches a runtime from npm; tests/deployment/web",
    "pixelwise check /shared/photos --engine ray --address auto": RAY,
    "pixelwise predict runs/unet-1 s3://bucket/photos -o s3://bucket/masks --engine ray --address auto "
    "--gpus-per-worker 1": RAY,
    "pixelwise evaluate runs/unet-1 --data s3://bucket/test --engine ray --address auto --gpus-per-worker 1": RAY,
    "pixelwise data prepare voc-aug --root VOC --download": "downloads a data set",
    "pixelwise check 'https://host/photos/{train,val}-{000000..000009}.tar'": "a web server; tests/datasets/shards",
    "pixelwise train unet --data hf://datasets/OWNER/NAME --output runs/first": "the Hugging Face hub",
    "pixelwise train segformer-b0-cityscapes Cityscapes -o runs/x --devices 8": GPUS,
    "pixelwise resume runs/x --devices 4": GPUS,
    "pixelwise evaluate runs/x --split test --devices 8": GPUS,
    "pixelwise train segformer-b0-cityscapes Cityscapes -o runs/x --devices 8 --nodes 2 --rendezvous host1:29400 "
    "--restarts 3": GPUS,
    "torchrun --nproc-per-node 8 -m pixelwise train segformer-b0-cityscapes Cityscapes -o runs/x": GPUS,
    "torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint host1:29400 --rdzv-id today "
    "--max-restarts 3 -m pixelwise train segformer-b0-cityscapes Cityscapes -o runs/x": GPUS,
    "pixelwise import-weights pspnet.pth --recipe pspnet-r50-d8-cityscapes --source sssegmentation "
    "--output weights/pspnet": "published weights; tests/checkpoints/importers has files with the same keys",
    "pixelwise predict weights/pspnet photos --output out": "published weights, imported by the command before",
    "pixelwise train fpnlite-mobilenetv2-cityscapes-768x384-qat --data cityscapes --from runs/fpnlite "
    "--output runs/fpnlite-qat": HOURS,
    "pixelwise train segformer-b0-cityscapes photos initialize.run=runs/segformer-1 initialize.adapter.rank=8": LARGE,
    "pixelwise train generic-linear photos model.encoder=efficientnet_b0 --weights default freeze=true "
    "cache_features=8": FETCHED,
    "pixelwise train generic-fpn model.encoder=convnext_tiny --weights default --data photos "
    "--output runs/fpn": FETCHED,
    "pixelwise train generic-mask2former model.encoder=resnet50 --weights default --data photos "
    "--output runs/mask2former": FETCHED,
    "pixelwise train generic-eomt --weights default --data photos --output runs/eomt": FETCHED,
    "pixelwise train generic-dpt model.encoder=vit_small_patch16_dinov3_qkvb --weights default freeze=true "
    "cache_features=8 --data photos --output runs/dpt": FETCHED,
    "pixelwise train generic-pmt model.encoder=vit_small_patch16_dinov3_qkvb --data photos cache_features=8 "
    "--output runs/pmt": FETCHED,
    "pixelwise train enet-camvid --data CamVid precision.compile=true precision.cuda_graphs=true": "needs a GPU",
    "pixelwise train unet-resnet18 --data photos loss.terms.poly.weight=0.5 loss.cross_entropy=0.5": PLUGIN,
    "pixelwise train unet-resnet18 --data photos --track csv --track tensorboard": PLUGIN,
    "pixelwise track runs/first --to csv": PLUGIN,
    "pixelwise export runs/first --target litert --output exported-litert --size 512x384 --uint8-input": CONVERTER,
    "pixelwise predict exported-litert photos --output out": CONVERTER,
    "pixelwise export runs/first --target coreml --output exported-coreml --size 512x384": CONVERTER,
    "pixelwise train camvid-cpu-1h --data CamVid --output runs/camvid-cpu-1h": MEASURED,
    "cp runs/camvid-cpu-1h/evaluations/test-camvid-480x360/result.json benchmarks/results/camvid-cpu-1h.json": MEASURED,
    "pixelwise train enet-camvid --data CamVid --output runs/enet --seeds 2": MEASURED,
}
"""Commands that cannot run here, as they are printed but for comments -> why, and what runs in their place."""
KINDS_NOT_HERE = {
    "trtexec ": "TensorRT, which needs an NVIDIA GPU; docs/deployment.md says that it was not run",
    "pip install ": "installs packages; tests/end_to_end/test_wheel.py and benchmarks/quick_start.py do",
    "ffmpeg -i clip.mp4 ": VIDEO,
    "pixelwise predict runs/unet-1 clip": VIDEO,
    "pixelwise push ": HUB,
    "python benchmarks/": "measures for minutes; tests/end_to_end imports the scripts",
}
"""The same for all commands with a beginning."""


class Block(NamedTuple):
    """A block of commands of a guide.

    Attributes:
        page: Path of the page below the repository.
        lines: Its commands, those that go on behind a backslash joined, without comments.
        answer: What the last command prints, if the page shows it.
    """

    page: str
    lines: tuple[str, ...]
    answer: str = ""

    @property
    def key(self) -> str:
        """Names the block in the tests."""
        return f"{self.page}: {self.lines[0]}"

    @property
    def run(self) -> list[str]:
        """The commands that can run here."""
        return [line for line in self.lines if why_not(line) is None]


def without_comment(line: str) -> str:
    """A command as it is typed."""
    return " ".join(re.sub(r"\s#.*$", "", line).split())


def why_not(line: str) -> str | None:
    """Why a command cannot run here; None if it can."""
    kinds = (reason for beginning, reason in KINDS_NOT_HERE.items() if line.startswith(beginning))
    return NOT_HERE.get(line) or (HUB if "hub://" in line else next(kinds, None))


def blocks() -> list[Block]:
    """The blocks of commands of all guides."""
    found = []
    for page in GUIDES:
        text = (ROOT / page).read_text("utf-8")
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            if language in ("", "sh", "bash", "console"):
                lines = [line for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.strip()]
                typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
                answer = "\n".join(line for line in lines if not line.startswith("$ ")) if typed else ""
                found.append(Block(page, tuple(map(without_comment, typed or lines)), answer))
    return found


def photo(index: int, height: int = 48, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture of a bright box and a ball on the ground, and its labels (0, 1, 2)."""
    random = np.random.default_rng(index)
    labels = np.zeros((height, width), np.uint8)
    top, left = random.integers(0, height // 2), random.integers(0, width // 2)
    labels[top : top + height // 3, left : left + width // 3] = 1
    rows, columns = np.mgrid[:height, :width]
    labels[(rows - height * 3 // 4) ** 2 + (columns - random.integers(16, width - 8)) ** 2 < 90] = 2
    colors = np.array([[90, 120, 60], [180, 60, 50], [50, 70, 200]])[labels]
    return np.clip(colors + random.normal(0, 25, (height, width, 3)), 0, 255).astype(np.uint8), labels


def write_photos(folder: Path, labelled: int = 8) -> None:
    """Photos with masks: 8 to learn from, of which `labelled` have a mask, 3 to validate with and 3 to test with."""
    for number, (split, count) in enumerate((("train", 8), ("val", 3), ("test", 3))):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "masks" / split).mkdir(parents=True)
        for index in range(count):
            image, labels = photo(100 * number + index)
            Image.fromarray(image).save(folder / "images" / split / f"{index}.png")
            if split != "train" or index < labelled:
                Image.fromarray(labels).save(folder / "masks" / split / f"{index}.png")
    (folder / "dataset.toml").write_text('classes = ["ground", "box", "ball"]\n', "utf-8")


def write_images(folder: Path) -> None:
    """Photos without masks."""
    folder.mkdir(parents=True)
    for index in range(4):
        Image.fromarray(photo(500 + index)[0]).save(folder / f"{index}.png")


def write_bands(folder: Path) -> None:
    """Images of eight bands of 16 bits with their masks."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(16):
        image, labels = photo(index)
        bands = np.tile(image, (1, 1, 3))[..., :8].astype(np.uint16) * 12
        tifffile.imwrite(folder / "images" / f"{index}.tif", bands, photometric="minisblack", planarconfig="contig")
        Image.fromarray(labels).save(folder / "masks" / f"{index}.png")


def write_tiles(folder: Path) -> None:
    """Images like those of `write_bands`, without masks."""
    write_bands(folder.with_name("others"))
    shutil.move(folder.with_name("others") / "images", folder)


def write_photo(path: Path) -> None:
    """One photo."""
    Image.fromarray(photo(900)[0]).save(path)


def write_map(path: Path) -> None:
    """A large photo."""
    tifffile.imwrite(path, photo(901, 640, 640)[0], photometric="rgb", tile=(64, 64))


def write_text(text: str, path: Path) -> None:
    """Write a file of text."""
    path.write_text(text, "utf-8")


def made_by(command: str) -> Callable[[Path], None]:
    """Makes a folder from photos by commands (joined by &&), in which {} is its path; once, and copies from then on."""

    def make(path: Path) -> None:
        if command not in _made:
            # Not in the folder of a block, which may be gone when the next one needs the data of a run.
            place = Path(tempfile.mkdtemp(prefix="pixelwise-guides-", dir=os.environ["XDG_CACHE_HOME"]))
            with contextlib.chdir(place):
                write_photos(Path("photos"))
                for one in command.format("made").split(" && "):
                    if (code := main(one.split())) != 0:
                        raise AssertionError(f"{one} ended with {code}")
            _made[command] = place / "made"
        shutil.copytree(_made[command], path, dirs_exist_ok=True)

    return make


_made: dict[str, Path] = {}
TRAINED = "train unet --data photos --output {} schedule.epochs=1 precision.dtype=float32"
CROSSED = TRAINED.replace("train unet", "crossval unet --folds 2")
EXPORTED = made_by(f"{TRAINED.format('run')} && export run --output {{}}")
VIT = "vit_tiny_patch16_224"


def write_vit(path: Path) -> None:
    """Weights of a small transformer."""
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model(VIT, num_classes=0).state_dict(), path)


def correct(folder: Path) -> None:
    """What somebody does to the masks that a network has drawn into the photos of `write_images`."""
    for path in sorted((folder / "masks").rglob("*.png")):
        Image.fromarray(photo(500 + int(path.stem))[1]).save(path)


def write_seeds(path: Path, settings: str = "") -> None:
    """Two runs of one recipe with different seeds, named by a pattern."""
    for seed in range(2):
        made_by(f"{TRAINED} {settings} --seed {seed}")(Path(str(path).replace("*", str(seed))))


AFTERWARDS = {"pixelwise prelabel runs/first unlabelled -o prelabels": partial(correct, Path("prelabels"))}
"""Commands after which the page expects a hand -> what it does."""
PROVIDED: dict[str, Callable[[Path], None]] = {
    "photos": write_photos,
    "/shared/photos": write_photos,
    "more-photos": write_images,
    "camera-roll": write_images,
    "unlabelled": write_images,
    "new photos": write_images,
    "sentinel": write_bands,
    "more-tiles": write_tiles,
    "photo.jpg": write_photo,
    "map.tif": write_map,
    "notes.txt": partial(write_text, "hi\n"),
    "mine.toml": partial(write_text, 'base = "unet"\n'),
    "my.toml": partial(write_text, 'base = "unet"\n[precision]\ndtype = "float32"\n'),
    "vit.safetensors": write_vit,
    "CamVid": made_by("data town {} town_images=[8,3,3]"),
    "runs": lambda folder: made_by(TRAINED)(folder / "first"),
    "runs/first": made_by(TRAINED),
    "runs/unet-1": made_by(TRAINED),
    "runs/before": made_by(TRAINED),
    "runs/teacher": made_by(TRAINED),
    "runs/large": made_by(TRAINED),
    "runs/a": made_by(TRAINED),
    "runs/b": made_by(f"{TRAINED} loss.dice=0.5"),
    "runs/a-*": write_seeds,
    "runs/b-*": partial(write_seeds, settings="loss.dice=0.5"),
    "runs/seeds": made_by(f"{TRAINED} --seeds 2"),
    "runs/cv-a": made_by(CROSSED),
    "runs/cv-b": made_by(f"{CROSSED} loss.dice=0.5"),
    "exported/model.onnx": lambda path: EXPORTED(path.parent),
}
"""What commands name and no command before them has made -> what makes it."""
OTHERWISE = {("docs/training.md", "more-photos"): partial(write_photos, labelled=2)}
"""The same where a page means something else by a name."""
