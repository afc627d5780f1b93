"""The published ENet rows (davidtvs/PyTorch-ENet, MIT), and their successors from 2021."""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Original, Recipe

GRAPHS = {"2019-08": ("overlapping", "6309b24"), "2021": ("any-size", "e17d404")}
# Data set: (height, width), batch size, split, protocol, note.
DATASETS = {
    "camvid": ((360, 480), 10, "test", "camvid-480x360", "The author's own re-trainings span 51.1 to 53.1."),
    "cityscapes": ((512, 1024), 4, "val", "enet-1024x512",
                   "Scored at half resolution, labels shrunk too: not the official protocol."),
}  # fmt: skip
LATER = "Not a row of the page: the code base's later graph and its later number. "


def enet(name: str, graph: str, miou: float, counted: tuple[int, str, float], **printed: float) -> Recipe:
    """One row of the page; `counted` contains outputs, parameters and GMACs."""
    dataset = name.split("-")[1]
    size, batch, split, protocol, note = DATASETS[dataset]
    kind, revision = GRAPHS[graph]
    return row(
        name, f"ENet on {dataset}, graph of {graph}, from scratch, no augmentation",
        ENetSpec(graph=kind), Data(dataset=dataset),  # type: ignore[arg-type]
        Origin("000", "PyTorch-ENet, pre-trained models", f"davidtvs/PyTorch-ENet@{revision}", "MIT", "MIT"),
        Score(miou, protocol, Original(outputs=counted[0], parameters=counted[1], gmacs=counted[2], size=size),
              split, {"note": (LATER if graph == "2021" else "") + note, **printed}),
        **procedures.enet(size, batch),
    )  # fmt: skip


RECIPES = register(
    enet("enet-camvid", "2019-08", 53.12, (12, "357052", 1.315), gpu_memory_gib=4.2, train_hours=1.0),
    enet("enet-cityscapes", "2019-08", 60.94, (20, "358204", 4.14), gpu_memory_gib=5.4, train_hours=24.0),
    enet("enet-camvid-2021", "2021", 52.1, (12, "350652", 1.287)),
    enet("enet-cityscapes-2021", "2021", 59.5, (20, "351804", 4.056)),
)
