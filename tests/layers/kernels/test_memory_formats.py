import torch

from pixelwise.layers.kernels.memory_formats import fastest_to_learn


def test_values_stay_and_channels_come_last_in_memory():
    images = torch.arange(24.0).reshape(1, 3, 2, 4)
    found = fastest_to_learn(images)
    assert torch.equal(found, images)
    assert found.stride() == (24, 1, 12, 3)


def test_half_precision_stays_as_it_is():
    images = torch.zeros(1, 3, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fastest_to_learn(images) is images
    assert fastest_to_learn(images.bfloat16()).is_contiguous()


def test_recorded_graphs_and_other_devices_stay_as_they_are():
    program = torch.export.export(Copying(), (torch.zeros(1, 3, 4, 4),))
    assert [node.op for node in program.graph.nodes] == ["placeholder", "output"]
    elsewhere = torch.zeros(1, 3, 4, 4, device="meta")
    assert fastest_to_learn(elsewhere) is elsewhere


class Copying(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return fastest_to_learn(images)
