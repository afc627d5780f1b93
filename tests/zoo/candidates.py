"""Hand-made recipes for the tests of the search."""

from __future__ import annotations

from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import Data, Optimizer, Original, Published, Recipe, Sampling, Schedule
from pixelwise.zoo.queries import Candidate


def entry(name: str, model: Spec, miou: float | None, gmacs: float, size: tuple[int, int], dataset="camvid", **rest):
    return Recipe(
        name=name,
        model=model,
        data=Data(dataset=dataset),
        optimizer=Optimizer(lr=0.1),
        schedule=Schedule(epochs=1),
        sampling=Sampling(batch_size=1),
        published=Published(
            page="000",
            title="t",
            source="s",
            miou_percent=miou,
            split="val",
            protocol="native",
            code_licence="MIT",
            original=Original(outputs=11, parameters="2.5M", gmacs=gmacs, size=size),
        ),
        **rest,
    )


CANDIDATES = [
    Candidate(entry("small-enet", ENetSpec(), 50.0, 2.0, (360, 480))),
    Candidate(entry("small-enet-qat", ENetSpec(), 49.0, 2.0, (360, 480), quantization="edgeai-8bit"), 48.5),
    Candidate(entry("large-fcn", FCNSpec(encoder="resnet101"), 75.0, 200.0, (512, 1024), "cityscapes")),
    Candidate(entry("unscored-fcn", FCNSpec(encoder="resnet50"), None, 100.0, (512, 512), "cityscapes")),
]
