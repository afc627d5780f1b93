import numpy as np
import torch
import torch.nn.functional as F

from pixelwise.transforms.resizing import resize_image, resize_labels


def test_shrinking_by_two_averages_with_the_triangle_filter():
    row = np.array([[0, 0, 100, 100, 200, 200, 0, 0]], np.uint8)
    image = np.repeat(row[..., None], 3, axis=2)
    # A triangle of radius 2 around each pair: weights 1 3 3 1 over 8.
    shrunk = resize_image(image, (1, 4))[0, :, 0].tolist()
    assert shrunk[1] == (0 + 3 * 100 + 3 * 100 + 200) / 8
    assert shrunk[2] in (162, 163)  # (100 + 3 * 200 + 3 * 200 + 0) / 8 = 162.5


def test_labels_keep_their_ids():
    labels = np.array([[0, 7], [255, 3]], np.uint8)
    big = resize_labels(labels, (4, 6))
    assert set(np.unique(big)) == {0, 3, 7, 255}
    assert np.array_equal(resize_labels(big, (2, 2)), labels)


def test_labels_follow_the_images_pixel_centres():
    labels = np.arange(10, dtype=np.uint8).reshape(1, 10)
    expected = F.interpolate(torch.from_numpy(labels)[None].float(), 5, mode="nearest-exact")
    assert resize_labels(labels, (1, 5))[0].tolist() == expected[0, 0].int().tolist()


def test_the_right_size_is_returned_as_it_is():
    image = np.zeros((3, 4, 3), np.uint8)
    assert resize_image(image, (3, 4)) is image


def test_a_fourth_channel_is_no_transparency():
    image = np.zeros((4, 4, 4), np.uint8)
    image[:, :2] = (200, 100, 50, 0)
    image[:, 2:] = (200, 100, 50, 250)
    assert (resize_image(image, (2, 2))[..., :3] == (200, 100, 50)).all()
    assert resize_image(image[..., :1], (2, 2)).shape == (2, 2, 1)
