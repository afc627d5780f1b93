import pytest

from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.testing.rows import STEPS, trial_changes
from pixelwise.training.stages import stage_recipe


@pytest.mark.parametrize(
    ("name", "before", "own"),
    [
        ("deeplabv3lite-mobilenetv2-cityscapes-768x384-qat", "none", "edgeai-8bit"),
        ("erfnet-cityscapes", "none", "none"),
    ],
)
def test_a_trial_keeps_the_stages_of_its_row(name: str, before: str, own: str):
    entry = find_recipe(name)
    tried = apply_overrides(entry, trial_changes(entry))
    (stage,) = (stage_recipe(tried, stage) for stage in tried.stages)
    assert (stage.quantization, tried.quantization) == (before, own)
    assert stage.schedule.iterations == tried.schedule.iterations == STEPS
    assert stage.sampling.batch_size == tried.sampling.batch_size == 2


def test_a_trial_changes_neither_loss_nor_transforms_before_the_crop():
    entry = find_recipe("fcn-r50-d16-cityscapes")
    tried = apply_overrides(entry, trial_changes(entry))
    assert tried.loss == entry.loss
    assert tried.augment.fit == entry.augment.fit == (1024, 2048)
    assert tried.augment.crop == (128, 128)
