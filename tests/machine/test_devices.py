import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.machine.devices import choose_device


def test_auto_and_nothing_take_the_cpu_without_a_gpu():
    assert choose_device() == choose_device("auto") == choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["tpu", "cuda", "cuda:7", "cuda:x"])
def test_devices_that_are_not_there_are_an_error_that_names_those_that_are(name: str):
    with pytest.raises(RecipeError, match=f"device '{name}' cannot be used: .*; found: cpu") as caught:
        choose_device(name)
    assert (caught.value.code, caught.value.exit_code) == ("R214", 2)
    assert "xpu" not in caught.value.message  # nor any other of the kinds that PyTorch knows
