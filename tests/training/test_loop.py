import torch

from pixelwise.recipes.specs import IMAGENET, Preprocessing
from pixelwise.training.loading import Batch
from pixelwise.training.loop import SpeedMeter, prepare


def batch(colors: torch.Tensor | None = None) -> Batch:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    return Batch(images, torch.zeros(1, 1, 1, dtype=torch.uint8), colors, ["a"])


def test_images_become_normalised_floats_in_channel_order():
    images, labels = prepare(batch(), IMAGENET, torch.device("cpu"), channels_last=False)
    expected = (torch.tensor([0, 0.2, 1.0]) - torch.tensor(IMAGENET.mean)) / torch.tensor(IMAGENET.std)
    torch.testing.assert_close(images.reshape(3), expected)
    assert images.shape == (1, 3, 1, 1)
    assert labels.dtype == torch.uint8


def test_colour_comes_before_normalisation():
    swap = torch.tensor([[[0.0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]])
    images, _ = prepare(batch(swap), Preprocessing(), torch.device("cpu"), channels_last=True)
    torch.testing.assert_close(images.reshape(3), torch.tensor([1.0, 0.2, 0.0]))


def test_the_meter_counts_waiting_and_working():
    meter = SpeedMeter(images=8)
    for _ in range(3):
        meter.waiting()
        meter.working()
        meter.done()
    assert meter.images_per_second > 0
    assert 0 <= meter.wait_share <= 1
    first = meter.lap()
    assert first >= 0
    assert meter.seconds_since_lap() <= first + 1
