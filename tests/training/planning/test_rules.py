"""Planning rules, with values computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.recipes.protocols import protocol
from pixelwise.training.planning import rules


@pytest.mark.parametrize(
    ("usual", "device", "expected"),
    [
        ((256, 256), "cpu", [256, 256]),
        ((250, 270), "cpu", [224, 256]),
        ((360, 480), "cpu", [224, 320]),  # 172,800 pixels, so by sqrt(81,920 / 172,800) = 0.689: 248 x 330
        ((360, 480), "cuda", [352, 480]),
        ((1024, 2048), "cuda", [352, 704]),  # by sqrt(262,144 / 2,097,152) = 0.354: 362 x 724
        ((20, 4000), "cpu", [32, 4000 // 32 * 32]),
        ((20, 30), "cpu", [32, 32]),
    ],
)
def test_a_crop_has_the_size_of_the_images_or_their_proportions(
    usual: tuple[int, int], device: str, expected: list[int]
) -> None:
    assert rules.crop(usual, device).value == expected


@given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.sampled_from(["cpu", "cuda", "mps"]))
def test_a_crop_is_a_multiple_of_the_stride_and_not_too_large(usual: tuple[int, int], device: str) -> None:
    height, width = rules.crop(usual, device).value
    assert height % 32 == width % 32 == 0
    assert min(height, width) >= 32
    assert height <= max(32, usual[0])
    assert width <= max(32, usual[1])
    if min(height, width) > 32:
        assert height * width <= rules.MOST_PIXELS.get(device, rules.MOST_PIXELS["cuda"])


@pytest.mark.parametrize(
    ("usual", "device", "bounds"),
    [
        ((640, 1024), "cpu", None),  # 655,360 pixels, which are eight crops of 81,920
        ((641, 1024), "cpu", [640, 992]),  # by sqrt(655,360 / 656,384) = 0.99922: 640 x 1023
        ((3000, 4000), "cpu", [672, 928]),  # by sqrt(655,360 / 12,000,000) = 0.23370: 701 x 935
        ((4000, 3000), "cpu", [672, 928]),  # a portrait photo has the same bounds
        ((3000, 4000), "cuda", [1248, 1664]),  # by sqrt(2,097,152 / 12,000,000) = 0.41805: 1254 x 1672
        ((1024, 2048), "cuda", None),
    ],
)
def test_large_images_are_shrunk(usual: tuple[int, int], device: str, bounds: list[int] | None) -> None:
    choices = {one.field: one.value for one in rules.shrinking(usual, device)}
    if bounds is None:
        assert choices == {}
    else:
        name = f"within-{bounds[1]}x{bounds[0]}"
        assert choices == {"augment.fit": bounds, "augment.resampling": "area", "evaluation.protocols": [name]}
        assert protocol(name).fit == tuple(bounds)


@pytest.mark.parametrize(
    ("images", "on_gpu"), [(1, 1), (2, 2), (7, 2), (15, 2), (16, 4), (24, 4), (31, 4), (32, 8), (10_000, 8)]
)
def test_a_batch_leaves_four_steps_per_epoch(images: int, on_gpu: int) -> None:
    assert rules.batch(images, "cuda").value == on_gpu
    assert rules.batch(images, "cpu").value == min(on_gpu, 4)


def test_unequal_classes_have_weights() -> None:
    found = rules.weights((800, 0, 100), ("sky", "sea", "bird"))
    assert found.value == "inverse-sqrt"
    assert found.reason == "sky has 8 times the pixels of bird"
    assert rules.weights((400, 100), ("a", "b")).value == "none"
    assert rules.weights((400, 0), ("a", "b")).value == "none"


@pytest.mark.parametrize(("per_epoch", "number"), [(6, 300), (10, 200), (45, 45), (500, 30), (1, 300)])
def test_a_training_without_a_limit_has_about_two_thousand_steps(per_epoch: int, number: int) -> None:
    assert rules.epochs(per_epoch).value == number


def test_the_steps_fill_the_time() -> None:
    # 1,000 s less 10 evaluations of 5 s, at 0.5 s per step.
    assert rules.iterations(1000, 0.5, 5).value == 1900
    # Evaluations take a fifth at most.
    assert rules.iterations(1000, 0.5, 100).value == 1600
    assert rules.iterations(-3, 0.5, 100).value == 1
    assert rules.iterations(90, 0.5, 0).reason == "a step takes 0.5 s, an evaluation 0 s; 1.5 minutes are left"


@given(st.integers(1, 100_000), st.integers(1, 2000), st.floats(1, 10))
def test_there_are_as_many_evaluations_as_wanted(steps: int, per_epoch: int, most: float) -> None:
    every = rules.evaluated_every(steps, per_epoch, most).value
    epochs = -(-steps // per_epoch)
    assert epochs / every >= min(int(most), epochs)  # at least
    assert epochs // (every + 1) < most or every == 1  # and hardly more


def test_evaluations_by_hand() -> None:
    assert rules.evaluated_every(1800, 6).value == 30  # 300 epochs
    assert rules.evaluated_every(113, 6).value == 1  # 19 epochs
    assert rules.evaluated_every(1800, 6, 3).value == 100


@pytest.mark.parametrize(("steps", "value"), [(1800, 0.98889), (20, 0.5), (10_000, 0.998)])
def test_the_average_covers_a_twentieth_of_the_steps(steps: int, value: float) -> None:
    assert rules.decay(steps).value == value
