import pytest
import torch

from pixelwise.models import build_model
from pixelwise.profiling.forward import WARMUP, measure_forward, ninetieth, own_threads, profile_forward, time_calls
from pixelwise.profiling.options import ProfileOptions
from pixelwise.recipes.catalog import recipe as find_recipe


def test_nine_of_ten_are_at_least_as_fast():
    assert ninetieth([float(value) for value in range(10, 0, -1)]) == 9
    assert ninetieth([3.0]) == 3
    assert ninetieth([1.0, 2.0]) == 2


def test_the_first_calls_do_not_count():
    calls = []
    seconds = time_calls(calls.append, torch.zeros(1), runs=4)
    assert len(seconds) == 4
    assert len(calls) == 4 + WARMUP


def test_a_network_is_counted_and_timed_at_the_size_asked_for():
    profile = profile_forward(build_model(find_recipe("town-demo")), (32, 48), torch.device("cpu"), runs=2)
    assert (profile.complexity.height, profile.complexity.width) == (32, 48)
    assert profile.complexity.parameters > 300_000
    assert 0 < profile.median_ms <= profile.p90_ms
    assert profile.peak_memory_bytes > 1 << 20
    assert profile.runtime == "pytorch"


def test_the_network_is_in_evaluation_mode_while_it_is_timed():
    modes = []
    model = build_model(find_recipe("town-demo")).train()
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    profile_forward(model, (32, 32), torch.device("cpu"), runs=1)
    assert len(modes) > WARMUP
    assert not any(modes)


def test_a_run_without_timed_images_is_no_run():
    with pytest.raises(ValueError):
        profile_forward(build_model(find_recipe("town-demo")), (0, 32), torch.device("cpu"))


@pytest.mark.heavy
def test_the_callers_number_of_threads_is_restored():
    before = torch.get_num_threads()
    other = before + 1
    assert measure_forward("town-demo", [], ProfileOptions(threads=(other,), size=(32, 48), steps=1)).threads == other
    assert torch.get_num_threads() == before
    with own_threads():
        torch.set_num_threads(other)
    assert torch.get_num_threads() == before
