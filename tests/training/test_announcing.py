from pathlib import Path

import pytest
import torch

import pixelwise
from pixelwise.observer import Observer, TrainingStart
from pixelwise.ranks import Ranks
from pixelwise.training.announcing import _where
from pixelwise.training.together.division import ALL, Division, Kind

SMALL = ["model.encoder=mobilenetv3_small_050", "schedule.epochs=1", "sampling.batch_size=2"]


class Told(Observer):
    def __init__(self) -> None:
        self.starts: list[TrainingStart] = []

    def begin(self, start: TrainingStart) -> None:
        self.starts.append(start)


def begun(data: Path, output: Path, *words: str) -> TrainingStart:
    told = Told()
    pixelwise.train("unet-resnet18", data, output, overrides=[*SMALL, *words], evaluate=False, observer=told, threads=1)
    return told.starts[-1]


@pytest.mark.heavy
def test_a_training_says_what_it_is_before_its_first_step(tiny_data: Path, tmp_path: Path) -> None:
    start = begun(tiny_data, tmp_path / "first", "augment.crop=[32,64]", "sampling.accumulate=2")
    assert start.network.startswith("unet over mobilenetv3_small_050, ")
    assert start.network.endswith(" M parameters")
    assert start.weights == "random"
    assert start.data.startswith("8 images to train on, 3 in val, 3 in test; 3 classes: ")
    assert start.batches == "crops of 64x32, batches of 2, 2 per step, 2 steps (1 epoch)"
    assert start.machine == "cpu, 1 thread, float32 contiguous"
    assert start.folder == str(tmp_path / "first")
    assert start.choices == ()

    whole = begun(tiny_data, tmp_path / "second", "augment={}", f"initialize.run={tmp_path / 'first'}")
    assert whole.batches.startswith("whole images, batches of 2, 4 steps")
    assert whole.weights == "those of a run of unet-resnet18, step 2"
    taught = begun(tiny_data, tmp_path / "third", f"teacher={tmp_path / 'first'}")
    assert taught.weights == "random; it learns from unet-resnet18, step 2"


class OneOfFour(Ranks):
    @property
    def world(self) -> int:
        return 4


@pytest.mark.parametrize(
    ("device", "kind", "expected"),
    [
        ("cpu", "whole", ["cpu", "4 processes of 2 threads that take whole batches"]),
        ("cuda:1", "split", ["cuda", "4 processes that take a part of every batch"]),
    ],
)
def test_a_training_says_who_shares_it(device: str, kind: Kind, expected: list[str]) -> None:
    assert _where(torch.device(device), 2, Division(OneOfFour(), kind)) == expected


def test_a_training_says_that_nobody_keeps_all_weights() -> None:
    said = _where(torch.device("cuda:1"), 2, Division(OneOfFour(), "whole"), divided=True)
    assert said[1] == "4 processes that take whole batches and keep a part of the weights each"


def test_a_training_says_which_gpu_it_has() -> None:
    assert _where(torch.device("cuda:1"), 2, ALL) == ["cuda:1"]
