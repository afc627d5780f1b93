import torch
from torch import nn

from pixelwise.training.guard import Verdict, decides_on_device, restore_unless, step_if

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_tensors_of_any_shape_and_type_are_restored_only_if_a_step_was_not_finite():
    before = [torch.zeros(2, 3), torch.tensor(5), torch.ones(4)]
    for finite in (True, False):
        now = [torch.full((2, 3), float("nan")), torch.tensor(6), torch.arange(4.0)]
        expected = [tensor.clone() for tensor in (now if finite else before)]
        restore_unless(torch.tensor(finite), now, before)
        torch.testing.assert_close(now, expected, equal_nan=True)


def test_an_optimizer_takes_and_counts_no_step_that_was_not_finite():
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, fused=True)
    weight.grad = torch.ones(3)
    step_if(torch.tensor(True), optimizer)
    after = weight.detach().clone()
    assert not torch.equal(after, torch.ones(3))

    weight.grad = torch.full((3,), float("nan"))
    step_if(torch.tensor(False), optimizer)

    assert torch.equal(weight.detach(), after)
    assert optimizer.state[weight]["step"] == 1
    assert not hasattr(optimizer, "found_inf")


def test_the_device_decides_on_a_gpu_after_the_first_step():
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=True)
    assert not decides_on_device(optimizer, GPU)
    weight.grad = torch.ones(3)
    optimizer.step()
    assert decides_on_device(optimizer, GPU)
    assert not decides_on_device(optimizer, CPU)


def test_a_verdict_is_true_if_the_step_was_finite():
    assert Verdict(torch.tensor(True))
    assert not Verdict(torch.tensor(False))
