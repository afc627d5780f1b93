"""The published DDRNet rows (ydhongHIT/DDRNet, MIT)."""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.real_time.ddrnet import DDRNetSpec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Original, Recipe

ORIGIN = Origin("modern", "DDRNet, README.md", "ydhongHIT/DDRNet@de0db31", "MIT")
NOTES = (
    "The authors' training code is not public: the settings are the paper's (arXiv:2101.06085), the augmentation and "
    "class weights those of chenjun2hao/DDRNet.pytorch@bc0e193. That code weights the auxiliary head 1 and the main "
    "head 0.4; here it is the other way round, as in the paper. Weights: the original starts from its authors' own "
    "weights from ImageNet. The authors' sampling that balances classes is left out: it is not described. Cross "
    "entropies: averaged with the class weights over labelled pixels."
)


def on_cityscapes(variant: str, val: float, test: float, parameters: str, gmacs: float) -> Recipe:
    """The row of a variant on Cityscapes."""
    counted = Original(outputs=19, parameters=parameters, gmacs=gmacs, size=(1024, 2048))
    return row(
        f"ddrnet-{variant}-cityscapes", f"DDRNet-{variant} on cityscapes",
        DDRNetSpec(variant=variant), Data(dataset="cityscapes"), ORIGIN,  # type: ignore[arg-type]
        Score(val, "cityscapes-2048x1024", counted, printed={"note": f"{test} on the test server."}),
        weights=("none", "", f"DDRNet{'23s' if 'slim' in variant else '23'}_imagenet.pth"),
        notes=NOTES, **procedures.ddrnet(),
    )  # fmt: skip


RECIPES = register(
    on_cityscapes("23-slim", 77.8, 77.4, "5734342", 36.281),
    on_cityscapes("23", 79.5, 79.4, "20299366", 143.061),
)
