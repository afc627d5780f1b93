import pytest
import torch

from pixelwise.errors import ResourceError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training.memory import is_out_of_memory, memory_explained

NO_MEMORY = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")


@pytest.mark.parametrize(
    ("error", "expected"),
    [(torch.OutOfMemoryError("CUDA out of memory"), True), (NO_MEMORY, True), (RuntimeError("shape mismatch"), False)],
)
def test_errors_of_exhausted_memory_are_recognised(error: RuntimeError, expected: bool):
    assert is_out_of_memory(error) == expected


def test_the_error_names_the_batch_and_the_images_that_stay():
    chosen = apply_overrides(recipe("town-demo"), ["sampling.batch_size=6", "sampling.accumulate=2"])
    with pytest.raises(ResourceError, match="batch_size=6") as caught, memory_explained(chosen, torch.device("cpu")):
        raise NO_MEMORY
    assert caught.value.code == "S605"
    assert "`auto_batch`" in caught.value.help
    assert " 12 " in caught.value.help


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shape"), memory_explained(recipe("town-demo"), torch.device("cpu")):
        raise RuntimeError("shape mismatch")
