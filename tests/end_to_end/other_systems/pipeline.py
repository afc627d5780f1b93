"""Runs all verbs on a small town, one after the other in one process: `python pipeline.py FOLDER RECIPE.toml`.

It stops at the first verb that fails. Weights, masks and an artefact are left in the folder.
"""

import importlib.util
import signal
import sys
import threading
import time
from pathlib import Path

from pixelwise.cli import main
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data

STOPPED = 130


def verb(*arguments: object, code: int = 0) -> None:
    """Run a verb and check that it exits with `code`."""
    words = [str(argument) for argument in arguments]
    print("$ pixelwise", *words, flush=True)
    found = main(words)
    if found != code:
        sys.exit(f"{words} ended with {found}; expected {code}")


def stop_after_a_checkpoint(run: Path) -> None:
    """Interrupt the process, as by Ctrl-C, as soon as the first checkpoint exists."""
    while not any((run / "checkpoints").glob("step-*")):
        time.sleep(0.005)
    signal.raise_signal(signal.SIGINT)


def use_cache() -> None:
    """Draw a town into the cache, damage it, draw it again, and clear the cache while the town is in use."""
    town = Data(dataset="town", town_images=(1, 1, 1), town_size=(32, 48))
    (open_dataset(town, None).root / "dataset.toml").unlink()
    root = open_dataset(town, None).root
    verb("data", "cache", "--clear")
    if not (root / "dataset.toml").is_file():
        sys.exit("an entry in use was cleared")


def pipeline(folder: Path, recipe: Path) -> None:
    """Run the whole pipeline, from data to an artefact."""
    town, run = folder / "town", folder / "run"
    verb("data", "town", town, "data.town_images=[6,2,2]", "data.town_size=[48,64]")
    verb("check", town)
    verb("data", "stats", town)
    verb("data", "split", town, "--output", folder / "lists")
    verb("data", "convert", town, folder / "converted", "--size", "32x24")
    threading.Thread(target=stop_after_a_checkpoint, args=(run,), daemon=True).start()
    data = ("--data", town, "--output", run, "--threads", 1)
    verb("train", recipe, *data, "data.workers=2", "data.cache=disk", code=STOPPED)
    verb("resume", run, "data.workers=1", "data.cache=memory")
    verb("evaluate", run, "--split", "test")
    verb("predict", run, town / "images" / "test", "--output", folder / "predicted")
    verb("report", run)
    use_cache()
    if importlib.util.find_spec("onnxruntime") is not None and importlib.util.find_spec("onnxscript") is not None:
        verb("export", run, "--output", folder / "exported", "--argmax", "--size", "64x48")
        verb("predict", folder / "exported" / "model.onnx", town / "images" / "test", "--output", folder / "by-onnx")


if __name__ == "__main__":
    pipeline(Path(sys.argv[1]), Path(sys.argv[2]))
