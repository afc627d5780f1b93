"""The training transforms of the published rows, against independent implementations that share no code with ours."""

import cv2
import msgspec
import numpy as np
import pytest
from PIL import Image

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.schema.recipe import Augment
from pixelwise.transforms.augmentation import draw_zoom, fill_color, random_geometry, random_pair
from pixelwise.transforms.cropping import View, crop_image

DRAWS = 20_000
# The 1 % level of the Kolmogorov-Smirnov statistic.
WITHIN = 1.63 / np.sqrt(DRAWS)
MEAN = (124, 116, 104)

SSSEGMENTATION = recipe("fcn-r50-d8-cityscapes").augment
UNITED_PERCEPTION = recipe("segformer-b0-cityscapes").augment
EDGEAI = recipe("fpnlite-mobilenetv2-cityscapes-1536x768").augment
TORCHVISION = recipe("deeplabv3-r50-cocoseg21").augment
TF_DEEPLAB = recipe("deeplabv3-mobilenetv2-voc").augment
SWIFTNET = recipe("swiftnet-mobilenetv2-cityscapes").augment


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pair(height: int, width: int, value: int = 9) -> tuple[np.ndarray, np.ndarray]:
    return np.full((height, width, 3), value, np.uint8), np.zeros((height, width), np.uint8)


def zooms(augment: Augment) -> np.ndarray:
    generator = random(7)
    return np.sort([draw_zoom(augment, generator) for _ in range(DRAWS)])


@pytest.mark.parametrize(
    ("law", "cdf"),
    [
        ("log-uniform", lambda z: np.log(z / 0.5) / np.log(4)),
        ("uniform", lambda z: (z - 0.5) / 1.5),
        # 1 / zoom is uniform on 0.5 .. 2.
        ("reciprocal", lambda z: (2 - 1 / z) / 1.5),
        ("two-sided", lambda z: np.where(z < 1, z - 0.5, 0.5 + (z - 1) / 2)),
    ],
)
def test_zooms_follow_their_law(law, cdf):
    drawn = zooms(Augment(scale=(0.5, 2.0), scale_law=law, crop=(1, 1)))
    assert np.abs(cdf(drawn) - np.linspace(0, 1, DRAWS)).max() < WITHIN


def test_zooms_in_steps_are_equally_frequent():
    values, counts = np.unique(zooms(Augment(scale=(0.5, 2.0), scale_law="steps", crop=(1, 1))), return_counts=True)
    assert values.tolist() == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    assert counts / DRAWS == pytest.approx(1 / 7, abs=4 * np.sqrt(6 / 49 / DRAWS))
    tenths = Augment(scale=(0.5, 1.1), scale_law="steps", scale_step=0.1, crop=(1, 1))
    assert len(set(zooms(tenths))) == 7


def zoomed_sizes(augment: Augment, height: int, width: int, draws: int = 300) -> list[tuple[int, int]]:
    """(height, width) of the pair in crops that are larger than it."""
    image, labels = pair(height, width)
    sizes = []
    for seed in range(draws):
        inside = random_geometry(image, labels, augment, random(seed))[1] == 0
        sizes.append((int(inside.any(axis=1).sum()), int(inside.any(axis=0).sum())))
    return sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [((375, 500), (512, 683)), ((500, 375), (683, 512)), ((100, 1000), (205, 2048)), ((1000, 100), (2048, 205))],
)
def test_a_fit_inside_turns_with_the_image(size: tuple[int, int], expected: tuple[int, int]):
    augment = Augment(fit=(512, 2048), crop=(2100, 2100), resampling="bilinear")
    assert zoomed_sizes(augment, *size, draws=1) == [expected]


@pytest.mark.heavy
def test_a_fit_by_the_short_side_ignores_the_long_one():
    augment = Augment(fit=(52, 52), fit_by="short-side", crop=(500, 600), resampling="bilinear")
    assert zoomed_sizes(augment, 20, 200, draws=1) == [(52, 520)]
    # torchvision's RandomResize of base 520: the short side is 260..1040, here a tenth of it.
    ranged = Augment(
        fit=(52, 52), fit_by="short-side", scale=(0.5, 2.0), scale_law="uniform", crop=(104, 208), resampling="bilinear"
    )
    sizes = zoomed_sizes(ranged, 20, 40, draws=2000)
    assert {height for height, _ in sizes} == set(range(26, 105))
    assert all(abs(width - 2 * height) <= 1 for height, width in sizes)


@pytest.mark.heavy
def test_height_and_width_are_zoomed_independently_in_half_of_the_pairs():
    augment = Augment(
        fit=(20, 30), fit_by="stretch", scale=(1.0, 2.0), scale_law="uniform", scale_probability=0.5,
        scale_axes="independent", crop=(40, 60), resampling="bilinear",
    )  # fmt: skip
    sizes = np.array(zoomed_sizes(augment, 50, 50, draws=3000))
    plain = (sizes == (20, 30)).all(axis=1)
    assert plain.mean() == pytest.approx(0.5, abs=0.04)
    heights, widths = (sizes[~plain] / (20, 30)).T
    assert abs(np.corrcoef(heights, widths)[0, 1]) < 0.1
    assert np.quantile(heights, [0, 0.5, 1]) == pytest.approx([1, 1.5, 2], abs=0.05)


@pytest.mark.heavy
def test_a_stretched_pair_is_cropped_back_before_it_is_cropped():
    # Zoomed to 20 columns, back to 10 and then to 5: the first column is the sum of two draws, 0..10 and 0..5.
    augment = Augment(fit=(1, 10), fit_by="stretch", scale=(2.0, 2.0), crop=(1, 5), resampling="bilinear", pad="end")
    labels = np.arange(20, dtype=np.uint8)[None]
    image = np.zeros((1, 20, 3), np.uint8)
    generator = random(3)
    first = [random_geometry(image, labels, augment, generator)[1][0, 0] for _ in range(DRAWS)]
    expected = np.convolve(np.ones(11), np.ones(6)) / 66
    counts = np.bincount(first, minlength=16) / DRAWS
    assert counts == pytest.approx(expected, abs=4 * 0.3 / np.sqrt(DRAWS))


@pytest.mark.parametrize(
    ("pad", "left", "left_when_flipped"), [("center", 1, 1), ("end", 0, 0), ("end-then-flip", 0, 3)]
)
@pytest.mark.parametrize("resampling", ["warp", "bilinear", "antialiased"])
def test_padding_lies_where_it_is_published(pad, left: int, left_when_flipped: int, resampling):
    image, labels = pair(4, 5)
    labels[:] = [0, 1, 2, 3, 4]
    for flip, expected in ((0.0, left), (1.0, left_when_flipped)):
        augment = Augment(crop=(7, 8), pad=pad, flip=flip, resampling=resampling)
        new_image, new_labels = random_geometry(image, labels, augment, random(), MEAN)
        inside = new_labels != 255
        assert np.flatnonzero(inside.any(axis=0)).tolist() == list(range(expected, expected + 5))
        top = 1 if pad == "center" else 0
        assert np.flatnonzero(inside.any(axis=1)).tolist() == list(range(top, top + 4))
        assert new_labels[top, expected : expected + 5].tolist() == ([0, 1, 2, 3, 4] if flip == 0 else [4, 3, 2, 1, 0])
        assert (new_image[~inside] == MEAN).all()
        assert (new_image[inside] == 9).all()


def test_the_mean_colour_is_rounded_to_whole_values():
    assert fill_color(Augment(fill="mean"), (0.485, 0.456, 0.406)) == (124, 116, 104)
    assert fill_color(Augment(fill="mean"), (128 / 255, 128 / 255, 128 / 255)) == (128, 128, 128)
    assert fill_color(Augment(), (0.485, 0.456, 0.406)) == (0, 0, 0)


@pytest.mark.heavy
def test_crops_with_too_much_of_one_class_are_drawn_again_ten_times():
    # Of the 91 places of a crop of ten columns, five hold 3..7 of each class.
    labels = np.repeat(np.array([0, 1], np.uint8), 50)[None]
    image = np.zeros((1, 100, 3), np.uint8)
    augment = Augment(crop=(1, 10), max_class_share=0.75, resampling="bilinear")
    generator, draws = random(1), 4000
    good = 0
    for _ in range(draws):
        counts = np.bincount(random_geometry(image, labels, augment, generator)[1][0], minlength=2)
        good += counts.max() < 7.5
    assert good / draws == pytest.approx(1 - (86 / 91) ** 10, abs=0.03)


def test_ignored_pixels_do_not_count_for_the_share_and_one_class_never_suffices():
    labels = np.array([[255] * 6 + [0, 1] + [0] * 8], np.uint8)
    image = np.zeros((1, 16, 3), np.uint8)
    augment = Augment(crop=(1, 8), max_class_share=0.75, resampling="bilinear")
    starts = []
    for seed in range(1000):
        crop = random_geometry(image, labels, augment, random(seed))[1][0]
        starts.append(6 - int((crop == 255).sum()))
    # Of nine places the first two have largest shares of 1/2 and 2/3 among the labelled, the third one 3/4.
    share = np.bincount(starts, minlength=7) / 1000
    accepted = 1 - (7 / 9) ** 10
    assert share[:2] == pytest.approx(accepted / 2, abs=0.06)
    assert share[2] == pytest.approx((1 - accepted) / 7, abs=0.02)
    nothing = np.full((1, 16), 255, np.uint8)
    assert (random_geometry(image, nothing, augment, random())[1] == 255).all()


def test_translation_moves_by_whole_pixels_and_fills():
    image, labels = pair(3, 4)
    labels[:] = np.arange(12).reshape(3, 4)
    image[..., 0] = labels
    seen = {}
    for seed in range(600):
        new_image, new_labels = random_geometry(image, labels, Augment(translate=2), random(seed), MEAN)
        moved = np.full((7, 8), 255)
        for down in range(-2, 3):
            for right in range(-2, 3):
                moved[:] = 255
                moved[2 + down : 5 + down, 2 + right : 6 + right] = labels
                if np.array_equal(moved[2:5, 2:6], new_labels):
                    seen[down, right] = seen.get((down, right), 0) + 1
        assert np.array_equal(new_image[..., 0], np.where(new_labels == 255, MEAN[0], new_labels))
    assert len(seen) == 25
    assert sum(seen.values()) == 600
    assert max(seen.values()) < 3 * min(seen.values())
    assert (random_geometry(image, labels, Augment(translate=90), random(1))[1] == 255).all()


def test_mean_padding_keeps_its_colour_and_black_padding_does_not():
    image, labels = pair(4, 4, 100)
    changed = {"mean": 0, "black": 0}
    for fill in ("mean", "black"):
        augment = Augment(crop=(6, 6), pad="end", fill=fill, photometric="united-perception", resampling="bilinear")
        for seed in range(60):
            new, new_labels = random_pair(
                image, labels, augment, random(seed), fill_color(augment, (0.485, 0.456, 0.406))
            )
            outside = new[new_labels == 255]
            changed[fill] += bool((outside != fill_color(augment, (0.485, 0.456, 0.406))).any())
            assert (new[new_labels == 0] == new[0, 0]).all()
    assert changed["mean"] == 0
    assert changed["black"] > 10
    assert (image == 100).all()


def test_colours_leave_a_cached_image_alone():
    image, labels = pair(4, 4, 100)
    for fill in ("mean", "black"):
        augment = Augment(brightness_shift=10, fill=fill)
        news = [random_pair(image, labels, augment, random(seed), MEAN)[0] for seed in range(20)]
        assert len({int(new[0, 0, 0]) for new in news}) > 5
    assert (image == 100).all()


def street() -> tuple[np.ndarray, np.ndarray]:
    """A smooth image of Cityscapes' size with labels in blocks of 64 pixels."""
    blocks = random(4).integers(0, 256, (16, 32, 3), dtype=np.uint8)
    image = cv2.resize(blocks, (2048, 1024), interpolation=cv2.INTER_CUBIC)
    labels = np.kron(random(5).integers(0, 19, (16, 32)), np.ones((64, 64))).astype(np.uint8)
    return image, labels


def sssegmentation(image: np.ndarray, labels: np.ndarray, base: tuple[int, int], crop: tuple[int, int], draws):
    """The code base's steps one after the other on whole arrays, without colours, from the same draws."""
    flip, zoom, _ = draws.random() < 0.5, draws.uniform(0.5, 2.0), draws.uniform(-1, 1)
    factor = min(max(base) * zoom / max(labels.shape), min(base) * zoom / min(labels.shape))
    height, width = (int(side * factor + 0.5) for side in labels.shape)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    cut = labels
    rows, columns = slice(0, 0), slice(0, 0)
    for _ in range(10):
        draws.random()
        tall, wide = min(crop[0], height), min(crop[1], width)
        top = draws.integers(0, height - tall + 1) if height >= crop[0] else 0
        left = draws.integers(0, width - wide + 1) if width >= crop[1] else 0
        rows, columns = slice(top, top + tall), slice(left, left + wide)
        cut = labels[rows, columns]
        ids, counts = np.unique(cut[cut != 255], return_counts=True)
        if len(ids) > 1 and counts.max() / counts.sum() < 0.75:
            break
    image = image[rows, columns]
    if flip:
        image, cut = image[:, ::-1], cut[:, ::-1]
    above, before = (crop[0] - image.shape[0]) // 2, (crop[1] - image.shape[1]) // 2
    border = above, crop[0] - image.shape[0] - above, before, crop[1] - image.shape[1] - before
    padded = cv2.copyMakeBorder(np.ascontiguousarray(image), *border, cv2.BORDER_CONSTANT, value=MEAN)
    return padded, cv2.copyMakeBorder(np.ascontiguousarray(cut), *border, cv2.BORDER_CONSTANT, value=(255,))


@pytest.mark.parametrize(
    ("size", "fit", "crop"),
    [
        ((1024, 2048), (1024, 2048), (512, 1024)),
        ((333, 500), (512, 2048), (512, 512)),
        ((500, 281), (512, 2048), (512, 512)),
    ],
)
def test_sssegmentation_at_its_true_sizes(size: tuple[int, int], fit: tuple[int, int], crop: tuple[int, int]):
    image, labels = (array[: size[0], : size[1]] for array in street())
    augment = msgspec.structs.replace(SSSEGMENTATION, fit=fit, crop=crop, photometric="none")
    padded = 0
    for seed in range(1 if size[0] == 1024 else 6):
        ours, our_labels = random_pair(image, labels, augment, random(seed), MEAN)
        theirs, their_labels = sssegmentation(image, labels, fit, crop, random(seed))
        difference = np.abs(ours.astype(int) - theirs)
        assert difference.max() <= 2
        assert difference.mean() < 0.3
        # Where a pixel's centre falls exactly between two, libraries differ.
        assert (our_labels != their_labels).mean() < 0.01
        padded += 255 in our_labels
    assert padded > 0 or size[0] == 1024


def test_united_perception_at_its_true_size():
    image, labels = street()
    for seed in range(4):
        crop, crop_labels = random_pair(image, labels, UNITED_PERCEPTION, random(seed), (0, 0, 0))
        assert (crop.shape, crop_labels.shape) == ((1024, 1024, 3), (1024, 1024))
        padded = crop_labels == 255
        rows = padded.all(axis=1)
        # Padded at the bottom only: even halved, the picture is as wide as the crop.
        assert padded.sum() == rows.sum() * 1024
        assert (np.diff(rows.astype(int)) >= 0).all()
        assert 0 <= rows.sum() <= 512


def test_edgeai_at_its_true_sizes():
    image, labels = street()
    for crop in ((512, 1024), (768, 1536)):
        turned = 0
        for seed in range(8):
            augment = msgspec.structs.replace(EDGEAI, crop=crop)
            new, new_labels = random_pair(image, labels + 1, augment, random(seed), (128, 128, 128))
            assert (new.shape, new_labels.shape) == ((*crop, 3), crop)
            assert 255 not in new_labels
            # Class 0 is not in the picture: it comes from the corners alone, which have the mean colour.
            corners = cv2.erode((new_labels == 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 1
            turned += bool(corners.any())
            assert (new[corners] == 128).all()
    assert 1 <= turned <= 6


def edgeai(image: np.ndarray, labels: np.ndarray, size: tuple[int, int], crop: tuple[int, int], draws):
    """TI's steps one after the other on whole arrays, without rotation, from the same draws."""
    flip, zoom = draws.random() < 0.5, [1.0, 1.0]
    if draws.random() < 0.5:
        zoom = [draws.uniform(1.0, 2.0), draws.uniform(1.0, 2.0)]
    draws.uniform(-1, 1)
    height, width = (round(side * factor) for side, factor in zip(size, zoom, strict=True))
    shrinks = height < image.shape[0] or width < image.shape[1]
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    draws.random()
    top, left = (
        sum(draws.integers(outer - inner + 1) for outer, inner in pairs)
        for pairs in (
            [(height, size[0]), (size[0], crop[0])] if crop[0] < size[0] < height else [(height, crop[0])],
            [(width, size[1]), (size[1], crop[1])] if crop[1] < size[1] < width else [(width, crop[1])],
        )
    )
    rows, columns = slice(top, top + crop[0]), slice(left, left + crop[1])
    image, labels = image[rows, columns], labels[rows, columns]
    return (image[:, ::-1], labels[:, ::-1]) if flip else (image, labels)


@pytest.mark.parametrize(
    ("source", "size", "crop"),
    [
        ((1024, 2048), (384, 768), (384, 768)),
        ((1024, 2048), (768, 1536), (512, 1024)),
        ((480, 640), (512, 512), (512, 512)),
    ],
)
def test_edgeai_averages_the_pixels_that_it_shrinks(
    source: tuple[int, int], size: tuple[int, int], crop: tuple[int, int]
):
    image, labels = (array[: source[0], : source[1]] for array in street())
    augment = msgspec.structs.replace(EDGEAI, fit=size, crop=crop, rotate=0.0)
    averaged = 0
    for seed in range(6):
        ours, our_labels = random_pair(image, labels, augment, random(seed), (128, 128, 128))
        theirs, their_labels = edgeai(image, labels, size, crop, random(seed))
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        assert (our_labels != their_labels).mean() < 0.01
        averaged += (ours == theirs).mean() > 0.99
    assert averaged > 0


def test_an_averaged_pixel_by_hand():
    # 4 x 4 pixels become 2 x 2; the crop is the right column.
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    view = View((2, 1), (0.5, 0.5), (0.0, 1.0), resampling="area")
    assert crop_image(image, view)[:, 0, 0].tolist() == [np.mean([6, 9, 18, 21]) + 0.5, np.mean([30, 33, 42, 45]) + 0.5]


@pytest.mark.parametrize(("source", "crop"), [((480, 640), (480, 480)), ((427, 640), (480, 480))])
def test_torchvision_at_its_true_sizes(source: tuple[int, int], crop: tuple[int, int]):
    image, labels = (array[: source[0], : source[1]] for array in street())
    padded = 0
    for seed in range(8):
        ours, our_labels = random_pair(image, labels, TORCHVISION, random(seed), (0, 0, 0))
        draws = random(seed)
        flip, zoom, _, _ = draws.random() < 0.5, draws.uniform(0.5, 2.0), draws.uniform(-1, 1), draws.random()
        # The reference's own steps: RandomResize, RandomHorizontalFlip, pad_if_smaller, RandomCrop.
        # It draws whole numbers for the shorter side and rounds the longer one down: at most one pixel apart.
        height, width = (round(side * 520 * zoom / min(source)) for side in source)
        picture = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
        mask = np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))
        top = int(draws.integers(height - crop[0] + 1)) if height >= crop[0] else 0
        left = int(draws.integers(width - crop[1] + 1)) if width >= crop[1] else 0
        if flip:
            # Ours is turned around as it is cropped; theirs before, so that the padding stays on the right.
            picture, mask, left = picture[:, ::-1], mask[:, ::-1], max(0, width - crop[1] - left)
        border = (0, max(0, crop[0] - height)), (0, max(0, crop[1] - width))
        rows, columns = slice(top, top + crop[0]), slice(left, left + crop[1])
        picture = np.pad(picture, (*border, (0, 0)))[rows, columns]
        mask = np.pad(mask, border, constant_values=255)[rows, columns]
        difference = np.abs(ours.astype(int) - picture)
        assert difference.max() <= 2
        assert difference.mean() < 0.05
        assert (our_labels != mask).mean() < 0.01
        padded += 255 in our_labels
    assert padded > 0


def test_tensorflows_deeplab_at_its_true_size():
    image, labels = (array[:375, :500] for array in street())
    sides = set()
    for seed in range(40):
        new, new_labels = random_pair(image, labels, TF_DEEPLAB, random(seed), (128, 128, 128))
        assert (new.shape, new_labels.shape) == ((513, 513, 3), (513, 513))
        outside = new_labels == 255
        assert (new[outside] == 128).all()
        height, width = (int((~outside).any(axis=axis).sum()) for axis in (1, 0))
        # Zooms of 0.5, 0.75, ... 2; padded below, and on the right before it is flipped.
        assert (height, width) in {
            tuple(min(513, round(side * step / 4)) for side in (375, 500)) for step in range(2, 9)
        }
        assert not outside[:height, :].all(axis=1).any()
        sides |= {"left"} if outside[0, 0] else {"right"} if outside[0, -1] else set()
    assert sides == {"left", "right"}


def test_swiftnet_at_its_true_size():
    image, labels = street()
    padded = 0
    for seed in range(6):
        ours, our_labels = random_pair(image, labels, SWIFTNET, random(seed), (73, 83, 72))
        draws = random(seed)
        flip, zoom, _, _ = draws.random() < 0.5, 1 / draws.uniform(0.5, 2.0), draws.uniform(-1, 1), draws.random()
        height, width = round(1024 * zoom), round(2048 * zoom)
        top = draws.integers(height - 768 + 1) if height >= 768 else 0
        left = draws.integers(width - 768 + 1)
        # A square of the picture, padded at the bottom where it is higher, made 768 x 768 by Pillow's bicubic filter.
        picture = np.full((2048, 2048, 3), (73, 83, 72), np.uint8)
        picture[:1024] = image
        box = (left * 2048 / width, top * 1024 / height, (left + 768) * 2048 / width, (top + 768) * 1024 / height)
        theirs = np.asarray(Image.fromarray(picture).resize((768, 768), Image.Resampling.BICUBIC, box=box))
        inside = (our_labels != 255).all(axis=1)
        assert inside.sum() == min(768, height)
        padded += not inside.all()
        # The last rows of theirs blend with the padding.
        seen = slice(0, inside.sum() - (0 if inside.all() else 4))
        difference = np.abs((ours[:, ::-1] if flip else ours)[seen].astype(int) - theirs[seen])
        assert difference.max() <= 2
        assert difference.mean() < 0.01
        assert (ours[~inside] == (73, 83, 72)).all()
    assert padded > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fit": (512, 2048)}, r"\bfit\b.*augment\.crop\b"),
        ({"rotate": 5.0}, r"\brotate\b.*augment\.crop\b"),
        ({"max_class_share": 0.75}, r"\bmax_class_share\b.*augment\.crop\b"),
        ({"max_class_share": 0.0, "crop": (4, 4)}, r"augment\.max_class_share is 0\.0\b"),
        ({"scale": (1.5, 2.0), "crop": (4, 4), "scale_law": "two-sided"}, r"\[1\.5, 2\.0\].*scale_law=two-sided"),
        ({"scale_step": 0.0}, r"augment\.scale_step is 0\.0\b"),
        ({"rotate": 200.0, "crop": (4, 4)}, r"augment\.rotate is 200\.0; .*\b0\.\.180\b"),
        ({"rotate_label": 0, "rotate": 5.0, "crop": (4, 4)}, r"augment\.rotate_label\b.*augment\.resampling=warp\b"),
        ({"brightness_shift": -1}, r"augment\.brightness_shift is -1; .*\b0\.\.255\b"),
        ({"translate": -1}, r"augment\.translate is -1\b"),
        ({"mix_probability": 1.5}, r"augment\.mix_probability is 1\.5; .*\b0\.\.1\b"),
    ],
)
def test_contradictory_or_out_of_range_settings_are_refused(settings: dict, message: str):
    with pytest.raises(RecipeError, match=message) as caught:
        Augment(**settings)
    assert caught.value.code == "R203"
