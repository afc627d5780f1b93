"""The published ENet rows (davidtvs/PyTorch-ENet, MIT) and their successors of 2021.

Both published runs: Adam 5e-4, coupled weight decay 2e-4 on every parameter, learning rate x0.1
every 100 epochs, 300 epochs, ENet class weights over all training pixels, no augmentation, RGB in
0..1 without normalisation, best validation mIoU of every 10th epoch.

The original networks carry one more output, "unlabelled", whose loss weight is 0; here void pixels
are ignored (255) and never predicted.
"""

from __future__ import annotations

from pixelwise.recipes.schema import (
    Augment,
    Data,
    Evaluation,
    Loss,
    Optimizer,
    Published,
    Recipe,
    Sampling,
    Schedule,
    Selection,
)
from pixelwise.recipes.specs import ENetSpec

TITLE = "PyTorch-ENet, pre-trained models"
GRAPHS = {"2019-08": ("overlapping", "6309b24"), "2021": ("any-size", "e17d404")}


def row(
    name: str,
    dataset: str,
    graph: str,
    size: tuple[int, int],
    batch: int,
    protocol: str,
    published: Published,
) -> Recipe:
    """One row of the page; sizes are (height, width)."""
    kind, _ = GRAPHS[graph]
    return Recipe(
        name=name,
        summary=f"ENet on {dataset}, graph of {graph}, from scratch, no augmentation",
        model=ENetSpec(graph=kind),  # type: ignore[arg-type]
        data=Data(dataset=dataset),  # type: ignore[arg-type]
        augment=Augment(resize=size),
        loss=Loss(class_weights="enet"),
        optimizer=Optimizer(kind="adam", lr=5e-4, weight_decay=2e-4, decay_all=True),
        schedule=Schedule(epochs=300, kind="step", step_epochs=100, gamma=0.1),
        sampling=Sampling(batch_size=batch),
        selection=Selection(weights="best", split="val", every_epochs=10),
        evaluation=Evaluation(protocols=(protocol,), split=published.split, input_size=size, batch_size=batch),
        published=published,
    )


def page(graph: str, miou: float, split: str, protocol: str, gib: float | None, hours: float | None, note: str):
    """What the page says of a row."""
    return Published(
        page="000",
        title=TITLE,
        source=f"davidtvs/PyTorch-ENet@{GRAPHS[graph][1]}",
        miou_percent=miou,
        split=split,
        protocol=protocol,
        gpu_memory_gib=gib,
        train_hours=hours,
        note=note,
        code_licence="MIT",
        weights_licence="MIT",
    )


CAMVID_NOTE = "The author's own re-trainings span 51.1 to 53.1."
CITYSCAPES_NOTE = "Scored at half resolution, labels shrunk too: not the official protocol."
LATER = "Not a row of the page: the code base's later graph and its later number. "

RECIPES = (
    row("enet-camvid", "camvid", "2019-08", (360, 480), 10, "camvid-480x360",
        page("2019-08", 53.12, "test", "camvid-480x360", 4.2, 1.0, CAMVID_NOTE)),
    row("enet-cityscapes", "cityscapes", "2019-08", (512, 1024), 4, "enet-1024x512",
        page("2019-08", 60.94, "val", "enet-1024x512", 5.4, 24.0, CITYSCAPES_NOTE)),
    row("enet-camvid-2021", "camvid", "2021", (360, 480), 10, "camvid-480x360",
        page("2021", 52.1, "test", "camvid-480x360", None, None, LATER + CAMVID_NOTE)),
    row("enet-cityscapes-2021", "cityscapes", "2021", (512, 1024), 4, "enet-1024x512",
        page("2021", 59.5, "val", "enet-1024x512", None, None, LATER + CITYSCAPES_NOTE)),
)  # fmt: skip
