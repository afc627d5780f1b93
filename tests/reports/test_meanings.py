import pytest

from pixelwise.errors import RecipeError
from pixelwise.metrics.metric import METRICS
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.fields import paths, sections
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.reports.codes import codes, explanation_of
from pixelwise.reports.meanings import describe, subjects


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("D204", ["# D204 (data, exit status 3)", "data.label_map"]),
        ("d204", ["# D204"]),
        ("schedule.warmup_iterations", ["Length of the warm-up in steps.", "values: a whole number", "default: 0"]),
        ("lr", ["# optimizer.lr", "Base learning rate.", "default: every recipe sets it", "`--lr`"]),
        ("crop", ["# augment.crop", "[height, width]", "plans it from the usual size", "`--size`"]),
        ("encoder", ["# model.encoder", "In `segformer`: ", "# initialize.encoder", "`--weights`"]),
        ("schedule.kind", ["values: constant, step, poly, cosine or one-cycle", "default: poly"]),
        ("augment", ["# augment (section of recipes)", "`augment.crop`"]),
        ("mIoU", ["(metric `iou`)", "Intersection over union"]),
        ("boundary_iou", ["# boundary mIoU"]),
        ("precision", ["(metric `precision`)", "# precision (section of recipes)"]),
        ("native", ["(evaluation protocol)", "--protocol native"]),
        ("slide-512x512", ["window: [512, 512]"]),
        ("unet", ["# unet (recipe)", "any folder of images", "planned from the data: `augment.fit`, `augment.crop`"]),
        ("unet-resnet18", ["`unet` over resnet18", "random", "100 epochs", "480x352"]),
        ("enet-camvid", ["53.12 % mIoU", "`camvid-480x360`", "MIT"]),
        ("town-demo", ["    pixelwise train town-demo\n"]),
    ],
)
def test_what_a_name_means(subject: str, said: list[str]):
    text = describe(subject)
    assert [words for words in said if words not in text] == []


@pytest.mark.parametrize(("subject", "near"), [("D2044", "'D204'"), ("schedule.epoch", "'schedule.epochs'"), ("?", "")])
def test_what_nobody_knows_is_refused_with_similar_names(subject: str, near: str):
    with pytest.raises(RecipeError) as caught:
        describe(subject)
    assert caught.value.code == "R263"
    assert near in caught.value.message


@pytest.mark.heavy
def test_everything_that_can_be_asked_for_is_described():
    names = subjects()
    known = [*codes(), *list_recipes(), *METRICS.all(), *PROTOCOLS.all(), *sections(), *paths()]
    assert set(known) <= set(names)
    assert [name for name in names if not describe(name).startswith("# ")] == []


def test_a_code_is_described_by_the_document():
    assert describe("R200").partition("\n\n")[2].strip() == explanation_of("R200")
