"""Settings held against number and size of the images, by hand."""

from __future__ import annotations

from plain_recipe import with_

from pixelwise.recipes.schema.recipe import Recipe, Sampling
from pixelwise.training.settings.batches import unfit_batches, unfit_sampling
from pixelwise.training.settings.unfit import Unfit, extent


def codes(entry: Recipe, images: int, size: tuple[int, int] | None = (352, 480)) -> list[str]:
    return [one.code for one in unfit_batches(entry, extent(entry, images, size))]


def the(entry: Recipe, images: int, size: tuple[int, int] | None = (352, 480)) -> Unfit:
    (one,) = unfit_batches(entry, extent(entry, images, size))
    return one


def test_a_last_batch_of_one_image_is_said():
    one = the(with_("sampling.batch_size=4", "sampling.drop_last=false"), 9)
    assert one.message == (
        "9 training images in batches of sampling.batch_size=4: 1 image (11 %) is left out of every epoch, because a "
        "batch of one image cannot train batch normalisation"
    )
    assert one.overrides == ("sampling.batch_size=3",)
    # Of 101 images 1 % is left out, which is said too, because nobody asked for it.
    assert the(with_("sampling.batch_size=4", "sampling.drop_last=false"), 101).code == "W515"
    assert codes(with_("sampling.batch_size=4", "sampling.drop_last=true"), 101) == []


def test_images_that_fill_no_step():
    (one,) = unfit_sampling(Sampling(batch_size=8, drop_last=True), 2)
    assert (
        "2 training images in batches of sampling.batch_size=8, sampling.drop_last=true: they do not fill"
        in one.message
    )
    assert one.overrides == ("sampling.batch_size=2",)
    (one,) = unfit_sampling(Sampling(batch_size=8, accumulate=4, drop_last=True), 3)
    assert one.overrides == ("sampling.batch_size=3", "sampling.accumulate=1")


def test_crops_of_large_and_small_images():
    one = the(with_("augment.crop=[352,480]"), 16, (96, 128))
    # 96 x 128 of 352 x 480 pixels are 7.3 %.
    assert "but the most frequent size of the images is 96x128 (HxW): 93 % of such a crop is padding" in one.message
    assert one.overrides == ("augment.crop=[96,128]",)
    one = the(with_("augment.crop=[352,480]", "schedule.epochs=10"), 16, (4000, 6000))
    # 352 x 480 of 4000 x 6000 pixels are 0.704 %, ten times of it 7.04 %; 10 / 0.0704 = 142.05.
    assert "which take an image 10 times, of each 0.7 % (augment.crop=[352,480]): training sees 7 % of" in one.message
    assert one.overrides == ("schedule.epochs=143",)
    assert codes(with_("augment.resize=[352,480]", "schedule.epochs=1"), 16, (4000, 6000)) == []
    assert codes(with_("augment.fit=[512,2048]", "augment.crop=[512,512]", "schedule.epochs=2"), 16, (3000, 4000)) == []
    assert codes(with_("schedule.epochs=1"), 16, None) == []


def test_hard_pixels_of_small_batches():
    one = the(with_("augment.crop=[64,96]", "sampling.batch_size=4", "loss.ohem={}"), 16, (96, 128))
    assert "loss.ohem.min_kept=100000, but a batch has 24576 pixels" in one.message
    assert one.overrides == ("loss.ohem.min_kept=0.0625",)
    assert codes(with_("augment.crop=[64,96]", "loss.ohem={min_kept=0.2}"), 16, (96, 128)) == []


def test_tiny_images_are_enlarged_to_the_smallest_crop():
    one = the(with_("augment.crop=[64,64]"), 16, (8, 16))
    assert one.overrides == ("augment.crop=[32,32]", "augment.scale=[4.0,4.0]")


def test_a_crop_of_zoomed_images_is_held_against_their_mean_zoom():
    # The geometric mean of 0.75 and 1.75 is 1.146.
    one = the(with_("augment.crop=[352,480]", "augment.scale=[0.75,1.75]"), 16, (96, 128))
    assert "is 96x128 (HxW), resized and zoomed to 110x147 in the mean: 90 % of such a crop is padding" in one.message
    assert one.overrides == ("augment.crop=[96,128]",)
    one = the(with_("augment.crop=[352,480]", "augment.scale=[0.5,0.5]"), 16, (400, 200))
    assert one.overrides == ("augment.crop=[192,96]",)
