"""The published PIDNet rows (XuJiacong/PIDNet, MIT)."""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.real_time.pidnet import PIDNetSpec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Original, Recipe

ORIGIN = Origin("modern", "PIDNet, README.md", "XuJiacong/PIDNet@4c158cf", "MIT")
DEVIATIONS = (
    "Weights: the original starts from its authors' own {start}. Boundaries: computed from the labels after "
    "augmentation instead of before it; at straight edges the same pixels, but the border of an ignored region is "
    "none, and edges count up to the border of the image. Cross entropies: averaged with the class weights over "
    "labelled pixels; the original divides the auxiliary one by all pixels and the others by their number."
)
CAMVID = (
    " Rate: the original decays to 0 over 200 epochs and stops after 121. Selection: on val, which is part of the "
    "training images, as in the original. Start from a run on Cityscapes with --from."
)
# Variant: mIoU on Cityscapes' val and on its test server, parameters with 19 outputs, GMACs at 2048x1024.
CITYSCAPES = {
    "s": (78.8, 78.6, "7720935", 47.194),
    "m": (79.9, 79.8, "28763111", 177.329),
    "l": (80.9, 80.6, "37314311", 274.933),
}
# Variant: mIoU on CamVid's test split, parameters with 11 outputs, GMACs at 960x720.
CAMVID_ROWS = {"s": (80.1, "7718871", 15.622), "m": (82.0, "28761047", 58.732)}


def on_cityscapes(variant: str) -> Recipe:
    """The row of a variant on Cityscapes."""
    val, test, parameters, gmacs = CITYSCAPES[variant]
    counted = Original(outputs=19, parameters=parameters, gmacs=gmacs, size=(1024, 2048))
    return row(
        f"pidnet-{variant}-cityscapes", f"PIDNet-{variant.upper()} on cityscapes",
        PIDNetSpec(variant=variant), Data(dataset="cityscapes"), ORIGIN,  # type: ignore[arg-type]
        Score(val, "cityscapes-2048x1024", counted, printed={"note": f"{test} on the test server."}),
        weights=("none", "", f"PIDNet_{variant.upper()}_ImageNet.pth.tar"),
        notes=DEVIATIONS.format(start="weights from ImageNet"), **procedures.pidnet("cityscapes"),
    )  # fmt: skip


def on_camvid(variant: str) -> Recipe:
    """The row of a variant on CamVid, trained on train and val."""
    test, parameters, gmacs = CAMVID_ROWS[variant]
    counted = Original(outputs=11, parameters=parameters, gmacs=gmacs, size=(720, 960))
    note = "Trained on train and val, from weights trained on Cityscapes' train and val; the images are of 960x720."
    return row(
        f"pidnet-{variant}-camvid", f"PIDNet-{variant.upper()} on camvid at 960x720, train and val",
        PIDNetSpec(variant=variant), Data(dataset="camvid", train_split="train+val"), ORIGIN,  # type: ignore[arg-type]
        Score(test, "camvid-960x720", counted, "test", {"note": note}),
        weights=("none", "", f"PIDNet_{variant.upper()}_Cityscapes_test.pt"),
        notes=DEVIATIONS.format(start="weights from Cityscapes") + CAMVID, **procedures.pidnet("camvid"),
    )  # fmt: skip


RECIPES = register(*map(on_cityscapes, CITYSCAPES), *map(on_camvid, CAMVID_ROWS))
