"""Hand-made recipes, results, counts and a page for the tests of the published pages."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.machine.facts import Machine
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.published.pages import Heading, Page, Paragraph, PerClass, Row, Table
from pixelwise.recipes.schema.recipe import (
    Augment,
    Data,
    Evaluation,
    Optimizer,
    Original,
    Published,
    Recipe,
    Sampling,
    Schedule,
)
from pixelwise.records.result import ClassResult, Result, to_json
from pixelwise.zoo.counting import Count
from pixelwise.zoo.results import Found
from pixelwise.zoo.rows import ZooPage, read_zoo

ORIGINAL = Original(outputs=3, parameters="1000", gmacs=2.0, size=(360, 480))
PUBLISHED = Published(
    page="000",
    title="A page",
    source="somebody/something@1",
    miou_percent=60.0,
    split="test",
    protocol="camvid-480x360",
    original=ORIGINAL,
)
COUNTED = Count(parameters=1000, gmacs=2.001, outputs=3, size=(360, 480))


def make_recipe(name: str = "row-1", published: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    """A recipe scored on test at 480x360; `published` changes what its page says."""
    made = Recipe(
        name=name,
        model=ENetSpec(),
        data=Data(dataset="camvid"),
        augment=Augment(resize=(360, 480)),
        optimizer=Optimizer(lr=0.1),
        schedule=Schedule(epochs=1),
        sampling=Sampling(batch_size=1),
        evaluation=Evaluation(protocols=("camvid-480x360",), split="test", input_size=(360, 480)),
        published=msgspec.structs.replace(PUBLISHED, **(published or {})),
    )
    return msgspec.structs.replace(made, **changes)


def make_result(recipe: Recipe, percent: float, source: str = "a.json", **changes: Any) -> Found:
    """A result of that recipe, comparable with its page unless changed."""
    counts = {"accuracy": 0.9, "precision": 0.9, "pixels": 10, "images": 3, "worst_image": None}
    result = Result(
        miou=percent / 100,
        per_class=(
            ClassResult(name="sky", iou=0.9, worst_image_iou=0.5, **counts),
            ClassResult(name="road", iou=math.nan, worst_image_iou=math.nan, **counts),
        ),
        pixel_accuracy=0.5,
        confusion_matrix=((10, 0), (0, 0)),
        images=3,
        classes_present=1,
        split="test",
        protocol="camvid-480x360",
        input_size=(360, 480),
        recipe=recipe.name,
        recipe_hash=recipe.hash(),
        weights_sha256=f"{source}",
        weights="model",
        step=100,
        training=None,
        data_fingerprint="5d" * 32,
        seconds=1.0,
        images_per_second=3.0,
        peak_memory_bytes=1,
        machine=Machine(cpu="a processor", cores=2, threads=1, gpu=None, memory_bytes=1, platform="Linux"),
        versions={},
        command="",
    )
    return Found(result=msgspec.structs.replace(result, **changes), source=source)


def write_result(path: Path, found: Found) -> None:
    """The file that `found` is read from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_json(found.result))


PAGE = Page(
    page="000",
    title="A page",
    source="somebody",
    aliases=("a",),
    blocks=(
        Heading(level=1, text="Models"),
        Heading(level=2, text="On roads<sup>1</sup>"),
        Table(
            columns=("model", "input", "GMACs", "mIoU", "model"),
            align="lcrrl",
            miou=3,
            gmacs=2,
            rows=(
                Row(group="- Small ones"),
                Row(recipe="row-1", cells=("[Net*](https://a.b/c)", "480x360", "2.1", "60.00<sup>1</sup>", "ckpt|x")),
                Row(group="-"),
                Row(recipe="row-2", cells=("Net_2", "520", "2.0", "", "-")),
            ),
        ),
        PerClass(recipe="row-1", label="IoU (%)", classes=("Sky", "Road"), values=("91.0", "80.5")),
        Paragraph(text="*- <sup>1</sup> At <b>half</b> size, see https://x.y/z."),
    ),
)


def make_zoo(*results: Found, count: Count = COUNTED, published: dict[str, Any] | None = None) -> ZooPage:
    """The page with two rows and one recipe beside it."""
    recipes = {
        entry.name: entry
        for entry in (
            make_recipe("row-1", published),
            make_recipe("row-2", {"miou_percent": None, "original": None}),
            make_recipe("later", {"miou_percent": 58.5, "note": "Not a row of the page."}),
        )
    }
    return read_zoo([PAGE], results, find=recipes.__getitem__, names=list(recipes), count=lambda _: count)[0]
