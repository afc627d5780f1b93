from __future__ import annotations

import pytest
import torch

from pixelwise.prediction.large.carry import Waiting


@pytest.mark.parametrize("most", [0, 50, 10_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.uint8])
def test_tensors_come_back_as_they_were(tmp_path, most, dtype):
    tensors = [torch.arange(2 * 3 * n).reshape(2, 3, n).to(dtype) for n in (1, 4, 2)]
    waiting = Waiting(tmp_path, most)
    numbers = [waiting.put(one) for one in tensors]

    for number, one in reversed(list(zip(numbers, tensors, strict=True))):
        found = waiting.get(number)
        assert found.dtype == dtype
        assert torch.equal(found, one)
    assert waiting.size <= most
    assert waiting.size + waiting.spilled == sum(one.nbytes for one in tensors)
    waiting.close()


def test_a_part_of_a_tensor_does_not_keep_the_whole(tmp_path):
    whole = torch.zeros(10, 1000)
    waiting = Waiting(tmp_path, 1 << 20)

    found = waiting.get(waiting.put(whole[:, 990:]))
    whole += 1

    assert found.untyped_storage().nbytes() == 10 * 10 * 4
    assert found.sum() == 0


def test_the_file_is_only_made_when_it_is_needed_and_vanishes(tmp_path):
    waiting = Waiting(tmp_path / "missing", 100)
    waiting.put(torch.zeros(25))
    with pytest.raises(FileNotFoundError):
        waiting.put(torch.zeros(1))

    waiting = Waiting(tmp_path, 0)
    waiting.put(torch.zeros(25))
    waiting.close()
    assert list(tmp_path.iterdir()) == []
    assert waiting.put(torch.ones(1)) == 0  # it may be used again
    assert waiting.get(0) == 1
    waiting.close()
