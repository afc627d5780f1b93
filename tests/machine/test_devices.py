import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.machine.devices import choose_device, recorded_name


def test_auto_and_none_choose_the_cpu_without_a_gpu():
    assert choose_device() == choose_device("auto") == choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["tpu", "cuda", "cuda:7", "cuda:x"])
def test_missing_devices_are_an_error_that_lists_the_available_ones(name: str):
    with pytest.raises(RecipeError, match=f"device '{name}' cannot be used: .*; found: cpu") as caught:
        choose_device(name)
    assert (caught.value.code, caught.value.exit_code) == ("R214", 2)
    assert "xpu" not in caught.value.message  # nor any other of the kinds that PyTorch knows


@pytest.mark.parametrize("name", ["mps", "xla", "hpu"])
def test_devices_that_pytorch_was_not_built_for_are_refused_in_one_sentence(name: str):
    with pytest.raises(RecipeError) as caught:
        choose_device(name)
    assert caught.value.code == "R214"
    assert len(caught.value.message) < 250
    assert "Facebook" not in caught.value.message


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_each_process_of_a_host_has_its_own_gpu(name: str, monkeypatch: pytest.MonkeyPatch):
    for variable, value in (("WORLD_SIZE", "4"), ("LOCAL_WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("RANK", "3")):
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)  # there is no such GPU here
    assert choose_device(name) == torch.device("cuda:1")
    assert choose_device("cpu") == torch.device("cpu")
    # A run of theirs does not say which one the first process had.
    assert recorded_name(torch.device("cuda:1")) == "cuda"


def test_one_process_records_which_gpu_it_has():
    assert recorded_name(torch.device("cuda:1")) == "cuda:1"
    assert recorded_name(torch.device("cpu")) == "cpu"
