"""A scored folder with two images and their pictures, for the pages."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from results import class_result, miniature

import pixelwise
from pixelwise.pages.large.files import PREDICTION, REGIONS
from pixelwise.prediction.overlays import indexed_png, jpeg
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.records.details import (
    SAMPLE_LIST,
    ConfusedPixels,
    ImageDetails,
    SavedSample,
    SavedSamples,
    save_details,
)
from pixelwise.records.environment import Arguments, Environment, write_environment
from pixelwise.records.result import save_result
from pixelwise.records.scores import ImageScore
from pixelwise.storage import json_text, write_text

SIZE = (60, 80)
COUNTS = {"one": 100, "two": 400}
"""Id of an image -> number of its pixels of class 0 that are predicted as class 1, in one square."""
CLASSES = ("<b>grass</b>", "path")
PALETTE = ((10, 120, 30), (200, 180, 90))


def shown_run(folder: Path, miou: float = 0.75) -> Path:
    """A folder with a result of two images of class 0, in each of which a square is predicted as class 1."""
    evaluation = folder / "evaluations" / "val-native"
    samples, scores, details = [], [], []
    for number, (id, pixels) in enumerate(COUNTS.items()):
        side, area = round(pixels**0.5), SIZE[0] * SIZE[1]
        truth, prediction = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
        prediction[10 : 10 + side, 20 : 20 + side] = 1
        score = ImageScore(id=id, miou=miou - number / 8, pixel_accuracy=1 - pixels / area, labelled_pixels=area)
        names = [f"{number:02d}-{part}" for part in ("photo.jpg", "truth.png", "prediction.png")]
        for name, content in zip(
            names,
            (
                jpeg(np.full((*SIZE, 3), 90, np.uint8)),
                indexed_png(truth, PALETTE),
                indexed_png(prediction, PALETTE),
            ),
            strict=True,
        ):
            (evaluation / "samples").mkdir(parents=True, exist_ok=True)
            (evaluation / "samples" / name).write_bytes(content)
        samples.append(
            SavedSample(
                kind="worst", score=score, height=SIZE[0], width=SIZE[1],
                photo=names[0], truth=names[1], prediction=names[2],
            )
        )  # fmt: skip
        scores.append(score)
        cells = (ConfusedPixels(0, 0, area - pixels), ConfusedPixels(0, 1, pixels))
        details.append(ImageDetails(id=id, confusion=cells))
    save_details(details, evaluation)
    listing = SavedSamples(classes=CLASSES, palette=PALETTE, samples=tuple(samples))
    write_text(evaluation / "samples" / SAMPLE_LIST, json_text(listing))
    wrong = sum(COUNTS.values())
    result = miniature(
        miou=miou,
        per_class=(class_result(CLASSES[0], 0.5), class_result(CLASSES[1], 0.5)),
        confusion_matrix=((2 * SIZE[0] * SIZE[1] - wrong, wrong), (0, 0)),
    )
    save_result(result, scores, evaluation)
    return folder


def large_data(folder: Path, size: tuple[int, int]) -> Path:
    """A data set of two classes whose split `val` has one image of (height, width), the first one of `shown_run`."""
    for kind in ("images", "masks"):
        (folder / kind / "val").mkdir(parents=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(folder / "images" / "val" / "one.png")
    mask = np.zeros(size, np.uint8)
    mask[:, 900:] = 1
    Image.fromarray(mask).save(folder / "masks" / "val" / "one.png")
    (folder / "dataset.toml").write_text('classes = ["grass", "path"]')
    return folder


def run_on(folder: Path, data: Path, miou: float = 0.75) -> Path:
    """A run as of `shown_run` that was trained on a data set of `large_data`, and keeps no pictures."""
    run = shown_run(folder, miou)
    shutil.rmtree(run / "evaluations" / "val-native" / "samples")
    recipe = apply_overrides(pixelwise.recipe("enet-camvid"), ["data.dataset=folder", "data.classes=[grass,path]"])
    (run / "recipe.toml").write_text(to_toml(recipe))
    write_environment(run, Environment(arguments=Arguments(data=str(data))))
    return run


def write_prediction(folder: Path, size: tuple[int, int], column: int) -> None:
    """What a process of the server would predict for an image of `large_data`: class 1 from a column on."""
    prediction = np.zeros(size, np.uint8)
    prediction[:, column:] = 1
    (folder / PREDICTION).write_bytes(prediction.tobytes())
    (folder / REGIONS).write_bytes(np.full(size, 4, np.uint8).tobytes())
