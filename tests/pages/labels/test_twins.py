import numpy as np

from pixelwise.datasets.auditing.near_duplicates import Looks, signature_of
from pixelwise.pages.labels.twins import Twin, leaking, twins_of


def picture(seed: int, noise: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    image = np.kron(generator.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1)))
    return np.clip(image + np.random.default_rng(99).integers(-noise, noise + 1, image.shape), 0, 255).astype(np.uint8)


def looks_of(images: list[tuple[str, np.ndarray]]) -> Looks:
    looks = Looks(len(images))
    for row, (content, image) in enumerate(images):
        looks.set(row, content, signature_of(image))
    return looks


A, B, C, D = ("11" * 32, "22" * 32, "33" * 32, "44" * 32)


def test_every_pair_is_of_one_kind():
    looks = {
        "train": looks_of([(A, picture(0)), (B, picture(1)), (C, picture(0, 3)), (A, picture(0))]),
        "val": looks_of([(B, picture(1)), (D, picture(1, 3)), ("", picture(5)), ("", picture(6))]),
    }
    twins = twins_of(looks, [0, 4, 8])
    assert [twin[:2] for twin in twins["same"]] == [(0, 3), (1, 4)]  # files that cannot be read are not alike
    assert {twin[:2] for twin in twins["within"]} == {(0, 2), (2, 3), (4, 5)}
    assert {twin[:2] for twin in twins["across"]} == {(1, 5)}
    assert leaking(twins, np.array([0] * 4 + [1] * 4)) == {"D133": {1, 4}, "W134": {1, 5}}


def test_without_pairs_nothing_leaks():
    twins = twins_of({"train": looks_of([(A, picture(0)), (A, picture(0))])}, [0, 2])
    assert twins == {"across": [], "same": [Twin(0, 1, 0)], "within": []}
    assert leaking(twins, np.zeros(2, np.int16)) == {}
    assert twins_of({}, [0]) == {"across": [], "same": [], "within": []}
