from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pixelwise.models import build_model, enet
from pixelwise.models.enet import ENet
from pixelwise.recipes.families.real_time.enet import ENetSpec

GRAPHS = ("overlapping", "any-size")


def build(graph: str, num_classes: int = 3) -> ENet:
    torch.manual_seed(0)
    model = build_model(ENetSpec(graph=graph), num_classes)  # type: ignore[arg-type]
    assert isinstance(model, ENet)
    return model.eval()


@pytest.mark.parametrize(
    ("graph", "num_outputs", "parameters"),
    [
        ("overlapping", 11, 356_908),
        ("overlapping", 12, 357_052),
        ("overlapping", 19, 358_060),
        ("overlapping", 20, 358_204),
        ("any-size", 12, 350_652),
        ("any-size", 20, 351_804),
    ],
)
def test_the_number_of_parameters_is_the_original_s(graph: str, num_outputs: int, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in build(graph, num_outputs).parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "num_outputs", "height", "width", "gmacs"),
    [("enet-camvid", 12, 360, 480, "1.315"), ("enet-cityscapes", 20, 512, 1024, "4.140")],
)
def test_the_multiplications_are_the_published_ones_to_the_printed_digit(
    name: str, num_outputs: int, height: int, width: int, gmacs: str
) -> None:
    with torch.device("meta"):
        model = build_model(name, num_outputs).eval()
        images = torch.zeros(1, 3, height, width)

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(images)

    assert f"{counter.get_total_flops() / 2 / 1e9:.3f}" == gmacs


def test_overlapping_pads_to_multiples_of_8_with_the_last_row_and_column_and_crops() -> None:
    model = build("overlapping")
    images = torch.rand(1, 3, 33, 47)

    with torch.no_grad():
        logits = model(images)
        padded = model(F.pad(images, (0, 1, 0, 7), mode="replicate"))

    assert logits.shape == (1, 3, 33, 47)
    assert torch.equal(logits, padded[..., :33, :47])


def test_any_size_pads_only_what_is_shorter_than_7_pixels() -> None:
    model = build("any-size")
    images = torch.rand(1, 3, 3, 9)

    with torch.no_grad():
        logits = model(images)
        padded = model(F.pad(images, (0, 0, 0, 4), mode="replicate"))

    assert torch.equal(logits, padded[..., :3, :])


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 7), (8, 8), (9, 15), (61, 30)])
def test_logits_have_the_size_of_the_image(graph: str, size: tuple[int, int]) -> None:
    model = build(graph)

    with torch.no_grad():
        (logits,) = model.head_logits(torch.rand(1, 3, *size))

    assert logits.shape == (1, 3, *size)
    assert logits.isfinite().all()


def test_encoder_activations_learn_a_slope_and_decoder_activations_do_not() -> None:
    slopes = [name for name, value in build("overlapping").named_parameters() if value.shape == (1,)]

    # The initial block, four in each of 22 blocks, one more in each of 4 asymmetric ones.
    assert len(slopes) == 1 + 22 * 4 + 4
    assert not any(name.startswith(("stage4", "stage5")) for name in slopes)


def test_an_expansion_in_the_decoder_is_cut_at_zero_in_the_earlier_graph_only() -> None:
    earlier, later = build("overlapping"), build("any-size")

    assert (earlier.stage4[0].expand(torch.randn(1, 32, 4, 4)) >= 0).all()
    assert (later.stage4[0].expand(torch.randn(1, 32, 4, 4)) < 0).any()


def test_dropout_is_the_original_s_per_stage() -> None:
    model = build("overlapping")

    def probabilities(stage: torch.nn.Module) -> set[float]:
        return {module.p for module in stage.modules() if isinstance(module, torch.nn.Dropout2d)}

    assert probabilities(model.stage1) == {0.01}
    assert [probabilities(stage) for stage in (model.stage2, model.stage3, model.stage4, model.stage5)] == [{0.1}] * 4


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_training_step_gives_the_same_bits_every_time(graph: str) -> None:
    gradients = []
    images = torch.rand(2, 3, 40, 48)
    for _ in range(2):
        model = build(graph).train()
        model(images).square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])

    assert all(torch.equal(first, second) for first, second in zip(*gradients, strict=True))


# Of sizes that are not padded: among padded pixels, which are all alike, rounding decides which one is the maximum.
@pytest.mark.parametrize(
    ("graph", "size"),
    [("overlapping", (40, 48)), ("overlapping", (16, 16)), ("any-size", (37, 51)), ("any-size", (16, 9))],
)
def test_a_training_step_is_that_of_plain_modules(
    graph: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.rand(3, 3, *size, dtype=torch.float64)
    taken = []
    for plain in (False, True):
        model = build(graph).double().train()
        # Slopes that are learned become zero and negative too.
        slopes = [one for one in model.modules() if isinstance(one, nn.PReLU)]
        for place, slope in enumerate(slopes):
            torch.nn.init.constant_(slope.weight, (0.25, 0.0, -0.1, 1.2)[place % 4])
            if plain:
                monkeypatch.setattr(slope, "forward", partial(nn.PReLU.forward, slope))
        if plain:
            monkeypatch.setattr(enet, "fastest_to_learn", lambda images: images)
        torch.manual_seed(1)
        logits = model.head_logits(images)[0]
        logits.square().mean().backward()
        taken.append((logits.detach(), *(parameter.grad for parameter in model.parameters()), *model.buffers()))

    assert len(slopes) > 50
    for ours, expected in zip(*taken, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("graph", GRAPHS)
def test_bfloat16_autocast_trains(graph: str) -> None:
    model = build(graph).train()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(torch.rand(2, 3, 32, 32))
    logits.float().square().mean().backward()

    assert logits.dtype == torch.bfloat16
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
