"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

from pixelwise import telemetry

# Tests measure nothing in time; one thread each is the fastest on a shared machine, and OpenMP
# collapses when more threads run than there are free cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_COLOR", "1")
# Tests never download: recipes whose weights are not here begin with random ones.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# On a shared machine, the time of an example says nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Some tests import OpenVINO themselves.
telemetry.switch_off_openvino()

REPOSITORY = Path(__file__).resolve().parent.parent


LONG = ("fuzz", "deployment", "training", "faults", "models", "checkpoints", "cli", "end_to_end")
"""Folders whose files take longest."""


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs, unless the tests that are marked `gpu` are asked for: exact resume is promised on the CPU alone."""
    if not re.search(r"(?<!not )\bgpu\b", config.option.markexpr):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: a free process takes the next file, and the short ones fill the end."""
    order = {REPOSITORY / "tests" / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.parent, len(LONG)))


class Run(NamedTuple):
    """What a command line call gave back."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep caches of the tests away from the user's."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True)
def _one_thread():
    """Training sets the number of threads of its process; tests after it should not inherit that.

    Nor should a test's weights depend on which tests ran before it in the same process.
    """
    if "torch" in sys.modules:
        # `torch.manual_seed` formats the whole stack for GPUs that are not there, thousands of times.
        sys.modules["torch"].default_generator.manual_seed(0)
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    """The real CamVid folder; it is not part of the project (CC BY-NC)."""
    named = os.environ.get("PIXELWISE_CAMVID")
    root = Path(named) if named else REPOSITORY.parent / "shared" / "camvid"
    if not (root / "images" / "test").is_dir():
        pytest.skip(f"CamVid is not at {root}; set PIXELWISE_CAMVID to its folder (images/ and masks/ inside)")
    return root


CLASSES = ("ground", "box", "ball")


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Own data in miniature: 8 train, 3 val and 3 test pairs of 48x64, three classes, some void."""
    import numpy as np
    from PIL import Image

    root = tmp_path_factory.mktemp("tiny")
    for number, (split, count) in enumerate((("train", 8), ("val", 3), ("test", 3))):
        (root / "images" / split).mkdir(parents=True)
        (root / "masks" / split).mkdir(parents=True)
        for index in range(count):
            random = np.random.default_rng([index, number])
            labels = np.zeros((48, 64), np.uint8)
            top, left = random.integers(0, 24, 2)
            labels[top : top + 20, left : left + 24] = 1
            rows, columns = np.mgrid[:48, :64]
            labels[(rows - 36) ** 2 + (columns - random.integers(16, 56)) ** 2 < 90] = 2
            colors = np.array([[90, 120, 60], [180, 60, 50], [50, 70, 200]])[labels]
            image = np.clip(colors + random.normal(0, 25, (48, 64, 3)), 0, 255).astype(np.uint8)
            labels[:2] = 255
            Image.fromarray(image).save(root / "images" / split / f"{index:02d}.png")
            Image.fromarray(labels).save(root / "masks" / split / f"{index:02d}.png")
    names = ", ".join(f'"{name}"' for name in CLASSES)
    (root / "dataset.toml").write_text(f"classes = [{names}]\n", "utf-8")
    return root


TINY_RECIPE = """
name = "tiny"
[model]
family = "enet"
[augment]
crop = [32, 48]
scale = [0.8, 1.25]
flip = 0.5
brightness = 0.3
class_crop = 0.5
[loss]
class_weights = "enet"
[optimizer]
lr = 0.005
weight_decay = 0.01
clip_norm = 5.0
[schedule]
iterations = 16
warmup_iterations = 2
[sampling]
batch_size = 2
[ema]
decay = 0.9
[selection]
weights = "best"
every_epochs = 2
[checkpoints]
every_steps = 3
"""


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe file that trains in seconds, with augmentation, dropout, EMA and evaluations in it."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY_RECIPE, "utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path, tiny_recipe: Path) -> Path:
    """A finished run of the tiny recipe; do not write into it."""
    from pixelwise.training.runs import train

    return train(str(tiny_recipe), data=tiny_data, output=tmp_path_factory.mktemp("runs") / "tiny", threads=1)


@pytest.fixture
def run_cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Call the command line in this process: `run_cli(["check", path]) -> (code, stdout, stderr)`."""

    def run(arguments: Sequence[str | os.PathLike[str]], env: dict[str, str] | None = None) -> Run:
        from pixelwise.cli import main

        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        code = main([os.fspath(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Run(code, captured.out, captured.err)

    return run


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write `images/` and `masks/` below a folder; masks are arrays by key such as `train/a`."""

    import numpy as np
    from PIL import Image

    def make(masks: Mapping[str, Any], name: str = "data") -> Path:
        root = tmp_path / name
        for number, (key, mask) in enumerate(masks.items()):
            image = root / "images" / f"{key}.png"
            target = root / "masks" / f"{key}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng(number)
            Image.fromarray(rng.integers(0, 256, (*mask.shape[:2], 3), np.uint8)).save(image)
            Image.fromarray(mask).save(target)
        return root

    return make


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory):
    """An empty hub of models on this machine, an empty cache of its client, and the token of the owner `me`."""
    import huggingface_hub.constants as constants
    from model_hub import WRITER, model_hub

    folder = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)  # another protocol, to another server
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "cache"))
    monkeypatch.setenv("HF_TOKEN", WRITER)
    monkeypatch.setattr("pixelwise.checkpoints.hub.pushing._FIRST_WAIT", 0.0)
    with model_hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.endpoint)
        yield found
