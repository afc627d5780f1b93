import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.lengths import batches_per_epoch, images_per_epoch, steps_per_epoch, total_steps
from pixelwise.recipes.schema.recipe import Sampling, Schedule


def test_a_training_is_as_long_as_its_epochs_or_its_iterations():
    assert total_steps(Schedule(epochs=3), 37) == 111
    assert total_steps(Schedule(iterations=5), 37) == 5


def test_an_epoch_shows_the_images_of_its_steps():
    assert images_per_epoch(9, Sampling(batch_size=4)) == 8
    assert images_per_epoch(10, Sampling(batch_size=4)) == 10
    assert images_per_epoch(10, Sampling(batch_size=2, accumulate=2)) == 8
    assert images_per_epoch(3, Sampling(batch_size=4, drop_last=True)) == 0


def test_C14_a_last_batch_of_one_is_dropped_but_batches_of_one_are_not():
    assert batches_per_epoch(9, Sampling(batch_size=4)) == 2
    assert batches_per_epoch(10, Sampling(batch_size=4)) == 3
    assert batches_per_epoch(3, Sampling(batch_size=1)) == 3


@pytest.mark.parametrize(
    ("name", "images", "expected"),
    [
        ("enet-camvid", 367, 37),
        ("enet-cityscapes", 2975, 744),
        ("fcn-r50-d8-voc-aug", 10_582, 661),
        ("pspnet-r50-d8-ade20k", 20_210, 1263),
        ("pspnet-r50-d8-cityscapes", 2975, 371),
        # Its sampler fills the last batch up, its loader drops none.
        ("hrnet18-ema-cityscapes", 2975, 372),
        # Its loader has PyTorch's default: the rest is a batch, too.
        ("fpnlite-mobilenetv2-cityscapes-768x384", 2975, 248),
        ("fpnlite-regnetx800mf-ade20k32-512x512", 20_210, 632),
        ("deeplabv3lite-mobilenetv2-cityscapes-768x384-qat", 2975, 496),
        ("erfnet-cityscapes", 2975, 496),
        ("swiftnet-mobilenetv2-cityscapes", 2975, 212),
        ("deeplabv3-r50-cocoseg21", 92_518, 2891),
    ],
)
def test_an_epoch_of_a_published_row_has_its_steps(name: str, images: int, expected: int):
    assert steps_per_epoch(images, find_recipe(name).sampling) == expected


def test_no_complete_step_is_an_error_with_a_way_out():
    with pytest.raises(RecipeError, match=r"3 .*sampling\.batch_size=4 .*sampling\.drop_last") as caught:
        steps_per_epoch(3, Sampling(batch_size=4, drop_last=True))
    assert caught.value.code == "R211"
    assert "sampling.batch_size" in caught.value.help
    assert " 3" in caught.value.help
