"""The imported network against an independent statement of the original, by the original's key names."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.models import SegmentationModel, build_model
from pixelwise.recipes.families.real_time.enet import ENetSpec

KEYS = {
    graph: json.loads((Path(__file__).parents[2] / "data" / f"{name}.json").read_text())
    for graph, name in {"overlapping": "enet-seed", "any-size": "enet-anysize"}.items()
}
"""Graph -> key names and shapes of the original with 12 outputs, in the order of its state dict."""

State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_state(graph: str, num_outputs: int = 12) -> State:
    """Random weights and statistics far from their initial values, by the original's keys."""
    generator = torch.Generator().manual_seed(17)
    state: State = {}
    for key, shape in KEYS[graph]["keys"].items():
        if key == "transposed_conv.weight":
            shape = [shape[0], num_outputs, *shape[2:]]
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(1234)
        elif len(shape) == 4:
            state[key] = torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        elif key.endswith("running_var"):
            state[key] = torch.rand(shape, generator=generator) * 1.5 + 0.5
        elif key.endswith(("running_mean", "bias")):
            state[key] = torch.randn(shape, generator=generator) * 0.3
        elif shape == [1]:  # the slope of a PReLU
            state[key] = torch.rand(shape, generator=generator) * 0.5 + 0.05
        else:
            state[key] = torch.rand(shape, generator=generator) + 0.5
    return state


def build(graph: str, num_classes: int) -> SegmentationModel:
    return build_model(ENetSpec(graph=graph), num_classes).eval()  # type: ignore[arg-type]


class Original:
    """The original's forward pass in evaluation mode, with functions only."""

    def __init__(self, state: State, graph: str) -> None:
        self.state = state
        self.overlapping = graph == "overlapping"

    def norm(self, x: Tensor, key: str) -> Tensor:
        s = self.state
        mean, var = s[f"{key}.running_mean"], s[f"{key}.running_var"]
        return F.batch_norm(x, mean, var, s[f"{key}.weight"], s[f"{key}.bias"], training=False, eps=1e-5)

    def prelu(self, x: Tensor, key: str) -> Tensor:
        return F.prelu(x, self.state[f"{key}.weight"])

    def activate(self, x: Tensor, key: str, relu: bool) -> Tensor:
        return F.relu(x) if relu else self.prelu(x, key)

    def conv(self, x: Tensor, key: str, relu: bool, index: int = 0, **options: object) -> Tensor:
        """Convolution, normalisation, activation: members index, index + 1, index + 2 of a sequence."""
        x = F.conv2d(x, self.state[f"{key}.{index}.weight"], **options)  # type: ignore[arg-type]
        return self.activate(self.norm(x, f"{key}.{index + 1}"), f"{key}.{index + 2}", relu)

    def initial(self, image: Tensor) -> Tensor:
        main = F.conv2d(image, self.state["initial_block.main_branch.weight"], stride=2, padding=1)
        pooled = F.max_pool2d(image, 3, stride=2, padding=1)
        joined = torch.cat([main, pooled], dim=1)
        return self.prelu(self.norm(joined, "initial_block.batch_norm"), "initial_block.out_activation")

    def downsample(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        kernel, padding = (3, 1) if self.overlapping else (2, 0)
        main, indices = F.max_pool2d(x, kernel, stride=2, padding=padding, return_indices=True)
        ext = self.conv(x, f"{name}.ext_conv1", relu=False, stride=2)
        ext = self.conv(ext, f"{name}.ext_conv2", relu=False, padding=1)
        ext = self.conv(ext, f"{name}.ext_conv3", relu=False)
        zeros = torch.zeros(ext.shape[0], ext.shape[1] - main.shape[1], *ext.shape[2:])
        return self.prelu(torch.cat([main, zeros], dim=1) + ext, f"{name}.out_activation"), indices

    def regular(self, x: Tensor, name: str, dilation: int = 1, relu: bool = False) -> Tensor:
        ext = self.conv(x, f"{name}.ext_conv1", relu)
        ext = self.conv(ext, f"{name}.ext_conv2", relu, padding=dilation, dilation=dilation)
        ext = self.conv(ext, f"{name}.ext_conv3", relu)
        return self.activate(x + ext, f"{name}.out_activation", relu)

    def asymmetric(self, x: Tensor, name: str) -> Tensor:
        ext = self.conv(x, f"{name}.ext_conv1", relu=False)
        ext = self.conv(ext, f"{name}.ext_conv2", relu=False, padding=(2, 0))
        ext = self.conv(ext, f"{name}.ext_conv2", relu=False, index=3, padding=(0, 2))
        ext = self.conv(ext, f"{name}.ext_conv3", relu=False)
        return self.prelu(x + ext, f"{name}.out_activation")

    def upsample(self, x: Tensor, name: str, indices: Tensor, size: torch.Size) -> Tensor:
        s = self.state
        main = self.norm(F.conv2d(x, s[f"{name}.main_conv1.0.weight"]), f"{name}.main_conv1.1")
        main = F.max_unpool2d(main, indices, 2, stride=2, output_size=list(size[-2:]))
        ext = self.conv(x, f"{name}.ext_conv1", relu=True)
        if self.overlapping:
            weight = s[f"{name}.ext_conv2.0.weight"]
            ext = F.conv_transpose2d(ext, weight, stride=2, padding=1, output_padding=1)
            ext = F.relu(self.norm(ext, f"{name}.ext_conv2.1"))
            ext = self.conv(ext, f"{name}.ext_conv3", relu=True)
        else:
            odd = (size[-2] - 2 * ext.shape[-2], size[-1] - 2 * ext.shape[-1])
            ext = F.conv_transpose2d(ext, s[f"{name}.ext_tconv1.weight"], stride=2, output_padding=odd)
            ext = F.relu(self.norm(ext, f"{name}.ext_tconv1_bnorm"))
            ext = self.norm(F.conv2d(ext, s[f"{name}.ext_conv2.0.weight"]), f"{name}.ext_conv2.1")
        return F.relu(main + ext)

    def __call__(self, image: Tensor) -> Tensor:
        x = self.initial(image)
        size1 = x.shape
        x, indices1 = self.downsample(x, "downsample1_0")
        for block in range(1, 5):
            x = self.regular(x, f"regular1_{block}")
        size2 = x.shape
        x, indices2 = self.downsample(x, "downsample2_0")
        for stage, first in ((2, 1), (3, 0)):
            x = self.regular(x, f"regular{stage}_{first}")
            x = self.regular(x, f"dilated{stage}_{first + 1}", dilation=2)
            x = self.asymmetric(x, f"asymmetric{stage}_{first + 2}")
            x = self.regular(x, f"dilated{stage}_{first + 3}", dilation=4)
            x = self.regular(x, f"regular{stage}_{first + 4}")
            x = self.regular(x, f"dilated{stage}_{first + 5}", dilation=8)
            x = self.asymmetric(x, f"asymmetric{stage}_{first + 6}")
            x = self.regular(x, f"dilated{stage}_{first + 7}", dilation=16)
        x = self.upsample(x, "upsample4_0", indices2, size2)
        x = self.regular(x, "regular4_1", relu=True)
        x = self.regular(x, "regular4_2", relu=True)
        x = self.upsample(x, "upsample5_0", indices1, size1)
        x = self.regular(x, "regular5_1", relu=True)
        # The head's transposed convolution ends at 2h - 1 or, with output padding, at 2h.
        odd = (1 - image.shape[-2] % 2, 1 - image.shape[-1] % 2)
        weight = self.state["transposed_conv.weight"]
        return F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=odd)


@pytest.mark.parametrize(
    ("graph", "size"),
    [("overlapping", (64, 96)), ("overlapping", (360, 480)), ("any-size", (64, 96)), ("any-size", (61, 93))],
)
def test_imported_weights_give_the_original_s_logits(graph: str, size: tuple[int, int]) -> None:
    state = random_state(graph)
    model = build(graph, 12)
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(5))

    import_weights(model, state)
    with torch.no_grad():
        logits, expected = model(images), Original(state, graph)(images)

    assert logits.shape == expected.shape == (1, 12, *size)
    assert expected.std() > 0.1  # the comparison is of something
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("graph", KEYS)
def test_every_tensor_is_mapped_exactly_once_to_one_of_its_shape(graph: str) -> None:
    state = random_state(graph)
    model = build(graph, 12)

    report = import_weights(model, state)

    ours = model.state_dict()
    assert [their_key for their_key, _ in report.mapped] == list(KEYS[graph]["keys"])
    assert sorted(our_key for _, our_key in report.mapped) == sorted(ours)
    # Loading checks that shapes are equal; here that every value arrived at its place.
    assert all(torch.equal(ours[our_key], state[their_key]) for their_key, our_key in report.mapped)
    assert (report.dropped, report.missing, report.mismatched) == ((), (), ())


@pytest.mark.parametrize("graph", KEYS)
def test_the_same_seed_gives_the_initial_weights_of_the_original(graph: str) -> None:
    pairs = import_weights(build(graph, 12), random_state(graph)).mapped
    torch.manual_seed(42)
    ours = build(graph, 12).state_dict()

    torch.manual_seed(42)
    for their_key, our_key in pairs:
        weight = torch.empty(KEYS[graph]["keys"][their_key])
        if weight.ndim == 4:  # the only ones drawn at random: PyTorch's default for convolutions
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
            assert torch.equal(ours[our_key], weight), our_key


@pytest.mark.parametrize(("num_outputs", "unlabelled"), [(12, 11), (20, 0)])
def test_the_unlabelled_output_is_dropped_for_a_model_without_it(num_outputs: int, unlabelled: int) -> None:
    state = random_state("overlapping", num_outputs)
    model = build("overlapping", num_outputs - 1)
    images = torch.rand(1, 3, 16, 24)

    report = import_weights(model, state)
    with torch.no_grad():
        logits, original = model(images), Original(state, "overlapping")(images)

    kept = [output for output in range(num_outputs) if output != unlabelled]
    assert torch.allclose(logits, original[:, kept], atol=1e-4)
    assert report.dropped == (f"transposed_conv.weight[:, {unlabelled}]",)
    assert f"output {unlabelled} of {num_outputs} ('unlabelled')" in str(report)


@pytest.mark.parametrize(("num_outputs", "unlabelled"), [(12, 11), (20, 0)])
def test_a_model_with_all_outputs_is_told_which_one_means_unlabelled(num_outputs: int, unlabelled: int) -> None:
    report = import_weights(build("overlapping", num_outputs), random_state("overlapping", num_outputs))

    assert report.dropped == ()
    (note,) = report.notes
    assert f"output {unlabelled} " in note
    assert "'unlabelled'" in note
    assert note in str(report)
