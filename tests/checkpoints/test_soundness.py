"""The values of weights are looked at, whatever loads them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pixelwise.checkpoints.checkpoint import open_checkpoint, save_checkpoint
from pixelwise.checkpoints.soundness import extent_of, require_sound, warn_of
from pixelwise.checkpoints.starting import begin_with_run
from pixelwise.checkpoints.trained import load_trained, load_weights
from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.recipes.families.real_time.enet import ENetSpec

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(FLOATS),
    st.lists(st.floats(-300, 300, width=16), min_size=1, max_size=30),
    st.sampled_from([math.nan, math.inf, -math.inf, None]),
    st.integers(0, 29),
)
def test_a_value_that_is_no_number_is_always_found(
    dtype: torch.dtype, values: list[float], wrong: float | None, place: int
) -> None:
    if wrong is not None:
        values[place % len(values)] = wrong
    tensor = torch.tensor(values, dtype=dtype)
    finite = bool(np.isfinite(tensor.double().numpy()).all())

    if finite:
        require_sound({"a": torch.ones(3), "b.weight": tensor}, "file")
    else:
        with pytest.raises(CheckpointError, match=rf"file: 1 tensor .*b\.weight \(1 of {len(values)} ") as caught:
            require_sound({"a": torch.ones(3), "b.weight": tensor}, "file")
        assert caught.value.code == "K480"
    assert (wrong is None) == finite


def test_tensors_without_fractions_or_values_are_passed_over() -> None:
    for tensor in (torch.arange(3), torch.zeros(0), torch.tensor([True]), torch.empty(3, device="meta")):
        assert extent_of(tensor) is None


def test_numbers_beyond_32_bits_are_no_numbers_for_a_network() -> None:
    with pytest.raises(CheckpointError, match="1 of 2 beyond 32-bit"):
        require_sound({"a": torch.tensor([1.0, 1e39], dtype=torch.float64)}, "file")


def test_all_tensors_are_counted_and_the_first_are_named() -> None:
    with pytest.raises(CheckpointError, match=r"5 tensors .*: 0 \(.*\), 1 \(.*\), 2 \(.*\) and 2 more"):
        require_sound({str(number): torch.tensor([math.nan, 1.0]) for number in range(5)}, "file")


def test_a_variance_below_zero_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"bn\.running_var \(down to -0\.5\)") as caught:
        require_sound({"bn.running_var": torch.tensor([1.0, -0.5])}, "file")
    assert caught.value.code == "K481"
    assert require_sound({"bn.running_mean": torch.tensor([1.0, -0.5])}, "file") == ()


@pytest.mark.parametrize(
    ("key", "tensor", "remark"),
    [
        ("bn.running_var", torch.zeros(3), "variances all zero"),
        ("conv.weight", torch.zeros(3, 2, 1, 1), "zeros only"),
        ("conv.weight", torch.full((3, 2), 0.25), "one and the same value"),
        ("conv.weight", torch.tensor([[1.0, -2e5]]), "unusual magnitude, up to 2e5"),
        ("conv.weight", torch.full((2, 2), 1e-30) * torch.tensor([1.0, 2.0]), "too small"),
        ("bn.running_mean", torch.tensor([3e10, 0.0]), "unusual magnitude, up to 3e10"),
        # What networks have before and after training.
        ("bn.running_var", torch.tensor([0.0, 2e5]), None),
        ("bn.weight", torch.zeros(3), None),
        ("bn.weight", torch.ones(3), None),
        ("bn.bias", torch.zeros(3), None),
        ("scale", torch.full((1, 1), 0.1), None),
        ("conv.weight", torch.tensor([[1.0, -250.0]]), None),
    ],
)
def test_implausible_values_are_remarked_upon(key: str, tensor: Tensor, remark: str | None) -> None:
    remarks = require_sound({"other": torch.randn(4, 4), key: tensor}, "file")

    assert len(remarks) == (remark is not None)
    if remark is not None:
        assert remark in remarks[0]
        assert key in remarks[0]


def test_what_begins_infinite_may_stay_so() -> None:
    initial = {"observer.min": torch.tensor([math.inf]), "weight": torch.ones(1)}

    require_sound({"observer.min": torch.tensor([math.inf])}, "file", initial=initial)
    with pytest.raises(CheckpointError):
        require_sound({"weight": torch.tensor([math.inf])}, "file", initial=initial)


def test_remarks_become_warnings() -> None:
    heard: list[tuple[str, str]] = []
    warn_of(("1 tensor of zeros only: a",), "file", lambda code, text: heard.append((code, text)))
    assert heard == [("W480", "file: 1 tensor of zeros only: a")]
    warn_of(("1 tensor of zeros only: a",), "file", None)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_every_loader_of_runs_names_the_tensor(tiny_run: Path, tmp_path: Path, value: float) -> None:
    trained = load_trained(tiny_run)
    state = {key: tensor.clone() for key, tensor in trained.model.state_dict().items()}
    key = next(key for key in state if key.endswith("weight"))
    state[key].view(-1)[0] = value
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("recipe.toml", "environment.json", "data.json"):
        if (tiny_run / name).is_file():
            (run / name).write_bytes((tiny_run / name).read_bytes())
    save_checkpoint(run / "checkpoints", step=1, tensors={"model": state}, state={}, miou=None, metadata={})
    model = build_model(trained.recipe)

    for load in (
        lambda: load_trained(run),
        lambda: begin_with_run(model, run),
        lambda: load_weights(model, open_checkpoint(run / "checkpoints" / "step-00000001"), "model"),
    ):
        with pytest.raises(CheckpointError, match=rf"model\.safetensors: 1 tensor .*{key}") as caught:
            load()
        assert caught.value.code == "K480"


def test_networks_of_this_program_are_plausible_before_training() -> None:
    for family in (ENetSpec(),):
        assert require_sound(build_model(family, 3).state_dict(), "new") == ()
