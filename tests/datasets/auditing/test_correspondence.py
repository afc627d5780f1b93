import numpy as np
import pytest
from contracts.mistakes import scene

from pixelwise.datasets.auditing.correspondence import Grids, MaskFit, grids_of, mask_fits

PAIRS = 14


@pytest.fixture(scope="module")
def scenes() -> list[tuple[np.ndarray, np.ndarray]]:
    return [scene(index) for index in range(PAIRS)]


def fits_of(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, MaskFit]:
    grids = [("train", str(index), grids_of(*pair)) for index, pair in enumerate(pairs)]
    return {fit.id: fit for fit in mask_fits(grids)}


def test_masks_of_their_own_photos_are_not_suspicious(scenes: list):
    fits = fits_of(scenes)
    assert len(fits) == PAIRS
    assert not any(fit.suspicious for fit in fits.values())


def test_two_exchanged_masks_are_found_and_name_each_other(scenes: list):
    (first, one), (second, other) = scenes[2], scenes[9]
    changed = [*scenes]
    changed[2], changed[9] = (first, other), (second, one)
    fits = fits_of(changed)
    assert {name for name, fit in fits.items() if fit.suspicious} == {"2", "9"}
    assert (fits["2"].other, fits["9"].other) == ("9", "2")
    assert list(fits)[:2] in (["2", "9"], ["9", "2"])  # the least fitting ones come first


def test_masks_shifted_by_one_are_found(scenes: list):
    photos = [photo for photo, _ in scenes]
    labels = [labels for _, labels in scenes]
    fits = fits_of(list(zip(photos, [*labels[1:], labels[0]], strict=True)))
    assert sum(fit.suspicious for fit in fits.values()) >= 0.3 * PAIRS


def test_the_score_is_that_of_the_definition():
    """Double-centred correlations in units of the spread of the pairs that do not belong together."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 256, (2, 9, 48 * 48), np.uint8)
    cells[1] = np.where(rng.random(cells[1].shape) < 0.5, cells[0], cells[1])
    pairs = [("s", str(i), Grids(cells[0, i].tobytes(), cells[1, i].tobytes())) for i in range(9)]
    matrix = np.array([[np.corrcoef(cells[1, i], cells[0, j])[0, 1] for j in range(9)] for i in range(9)])
    matrix += matrix.mean() - matrix.mean(axis=0) - matrix.mean(axis=1)[:, None]
    spread = np.std([matrix[i, j] for i in range(9) for j in range(9) if i != j])
    fits = mask_fits(pairs)
    assert sorted(fit.id for fit in fits) == [str(i) for i in range(9)]
    for fit in fits:
        assert fit.score == pytest.approx(matrix[int(fit.id), int(fit.id)] / spread, abs=0.02)


def test_few_pairs_and_masks_without_borders_are_not_compared(scenes: list):
    assert fits_of(scenes[:7]) == {}
    photo, labels = scenes[0]
    assert grids_of(photo, np.zeros_like(labels)) == Grids()
    assert grids_of(np.zeros_like(photo), labels) == Grids()


def test_borders_of_ignored_pixels_do_not_count(scenes: list):
    photo, labels = scenes[0]
    void = np.where(labels == 1, 255, 0).astype(np.uint8)
    assert grids_of(photo, void) == Grids()


def test_bands_and_sizes_of_any_kind_are_compared():
    rng = np.random.default_rng(0)
    labels = np.zeros((700, 1300), np.uint8)
    labels[200:500, 300:900] = 1
    image = rng.integers(0, 40, (700, 1300, 5), np.uint8)
    image[labels == 1] += 150
    found = grids_of(image, labels)
    edges, borders = (np.frombuffer(part, np.uint8).astype(float) for part in found)
    assert edges.size == borders.size == 48 * 48
    assert np.corrcoef(edges, borders)[0, 1] > 0.7


def test_labels_that_have_nothing_to_do_with_edges_tell_nothing():
    rng = np.random.default_rng(0)
    pairs = [
        (rng.integers(0, 256, (64, 64, 3), np.uint8), rng.integers(0, 3, (8, 8), np.uint8).repeat(8, 0).repeat(8, 1))
        for _ in range(20)
    ]
    fits = fits_of(pairs)
    assert len(fits) == 20
    assert not any(fit.suspicious or fit.other for fit in fits.values())


def test_tiny_pairs_are_not_compared():
    assert grids_of(np.zeros((8, 90, 3), np.uint8), np.zeros((8, 90), np.uint8)) == Grids()
