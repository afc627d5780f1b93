"""Recipes: `example-town` trains the example family, `example-town-tiny` an FCN on the example encoder."""

from __future__ import annotations

import msgspec

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.schema.recipe import Augment, Data, Evaluation, Optimizer, Recipe, Sampling, Schedule
from pixelwise_example.encoder import NAME
from pixelwise_example.family import DilatedSpec

TOWN = Recipe(
    name="example-town",
    summary="a small dilated network on the synthetic town, half a minute on 2 CPU cores",
    model=DilatedSpec(),
    data=Data(dataset="town", town_images=(80, 16, 16)),
    augment=Augment(crop=(144, 192), flip=0.5),
    optimizer=Optimizer(kind="adamw", lr=5e-3, weight_decay=1e-4),
    schedule=Schedule(epochs=4, warmup_iterations=5),
    sampling=Sampling(batch_size=8, drop_last=True),
    evaluation=Evaluation(protocols=("native",), split="test", batch_size=8),
)

RECIPES = register(
    TOWN,
    msgspec.structs.replace(
        TOWN,
        name="example-town-tiny",
        summary="an FCN on the example encoder, on the synthetic town",
        model=FCNSpec(encoder=NAME, channels=32, convolutions=1),
    ),
)
