"""The same tensors are found however training scripts wrap them."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pixelwise.checkpoints.files.inert import inert_class
from pixelwise.checkpoints.files.wrappers import INNER, find_weights, views
from pixelwise.errors import CheckpointError

STATE = {
    "layer.0.weight": torch.randn(2, 3),
    "layer.1.running_mean": torch.randn(2),
    "layer.1.running_var": torch.rand(2),
    "layer.1.num_batches_tracked": torch.tensor(3),
    "head.bias": torch.randn(1),
}
AVERAGE = {key: value + 1 for key, value in STATE.items()}
State = dict[str, Any]


def same(found: State, expected: State) -> bool:
    return set(found) == set(expected) and all(torch.equal(found[key], value) for key, value in expected.items())


def prefixed(prefix: str, state: State = STATE) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


PARTS = ["module.", "_orig_mod.", "model.", "net.", "_forward_module.", "_fsdp_wrapped_module.", "network.",
         "segmentor.", "student.", "backbone.", "anything."]  # fmt: skip
KEYS = ["state_dict", "model", "module", "net", "model_state_dict", "params", "network", "unknown_name"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=4), st.lists(st.sampled_from(KEYS), max_size=3), st.booleans())
def test_any_nesting_of_prefixes_and_dicts_is_taken_off(prefixes: list[str], keys: list[str], others: bool) -> None:
    content: Any = prefixed("".join(prefixes))
    for key in keys:
        content = {
            key: content,
            **({"epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(2)}}}} if others else {}),
        }

    seen = [view.tensors for view in views(find_weights(content))]

    assert any(same(tensors, STATE) for tensors in seen)


CONTENTS: dict[str, Callable[[], Any]] = {
    "Lightning": lambda: {"state_dict": prefixed("model."), "hyper_parameters": {"lr": 1e-3}, "callbacks": {}},
    "Lightning, compiled": lambda: {"state_dict": prefixed("model._orig_mod."), "loops": {}},
    "Lightning with a loss": lambda: {"state_dict": {**prefixed("net."), "criterion.weight": torch.ones(3)}},
    "torchvision": lambda: {"model": STATE, "args": argparse.Namespace(lr=0.1), "scaler": {"scale": torch.ones(1)}},
    "mmengine": lambda: {"meta": {"iter": 3}, "state_dict": STATE, "message_hub": {"loss": inert_class("a.B")()}},
    "DeepSpeed": lambda: {"module": STATE, "buffer_names": ["a"], "ds_config": {}, "optimizer": torch.ones(3)},
    "FSDP": lambda: {"state_dict": prefixed("_fsdp_wrapped_module.", {
        key.replace("layer.", "layer._fsdp_wrapped_module."): value for key, value in STATE.items()})},
    "a compiled part": lambda: {key.replace("layer.", "layer._orig_mod."): value for key, value in STATE.items()},
    "a list": lambda: [STATE, 17],
    "a tuple after a number": lambda: (17, {"net": STATE}),
    "arrays": lambda: {"model": {key: value.numpy() for key, value in STATE.items()}},
    "parts": lambda: {"layer": {key[6:]: value for key, value in STATE.items() if key.startswith("layer.")},
                      "head": {"bias": STATE["head.bias"]}, "epoch": 3},
    "an object with attributes": lambda: stateful({"model": STATE, "step": 3}),
    "a counter of operations": lambda: {**STATE, "total_ops": torch.ones(1), "layer.total_params": torch.ones(1)},
    "numbers beside the tensors": lambda: {**STATE, "epoch": 3, "best": 0.5, "name": "x", "shape": np.int64(3)},
    "an ordered dict": lambda: collections.OrderedDict(STATE),
}  # fmt: skip


def stateful(state: Any) -> Any:
    made = inert_class("a.State")()
    made.state = state
    return made


@pytest.mark.parametrize("name", CONTENTS)
def test_files_of_training_programs_hold_the_same_tensors(name: str) -> None:
    seen = [view.tensors for view in views(find_weights(CONTENTS[name]()))]

    assert any(same(tensors, STATE) for tensors in seen)


AVERAGES: dict[str, tuple[Callable[[], Any], State]] = {
    "timm": (lambda: {"state_dict": STATE, "state_dict_ema": AVERAGE}, AVERAGE),
    "a wrapping class": (
        lambda: {"model": STATE, "model_ema": {**prefixed("module.", AVERAGE), "n_averaged": torch.tensor(3)}},
        AVERAGE),
    "without the statistics": (
        lambda: {"model": STATE, "ema": {"decay": 0.9, "shadow": {"layer.0.weight": AVERAGE["layer.0.weight"],
                                                                  "head.bias": AVERAGE["head.bias"]}}},
        {**STATE, "layer.0.weight": AVERAGE["layer.0.weight"], "head.bias": AVERAGE["head.bias"]}),
    "a part only": (lambda: {"model": STATE, "ema": {"head.bias": AVERAGE["head.bias"]}}, STATE),
    "without names": (lambda: {"model": STATE, "ema": {"shadow_params": list(AVERAGE.values())}}, STATE),
    "none": (lambda: {"model": STATE, "ema": None, "updates": 3}, STATE),
    "alone": (lambda: {"ema": AVERAGE}, AVERAGE),
    "BasicSR": (lambda: {"params": STATE, "params_ema": AVERAGE}, AVERAGE),
    "the teacher of its own student": (lambda: {"student": STATE, "teacher": AVERAGE}, AVERAGE),
    "the teacher of a smaller student": (
        lambda: {"student": STATE, "teacher": {**AVERAGE, "more": torch.ones(2)}}, STATE),
}  # fmt: skip


@pytest.mark.parametrize("name", AVERAGES)
def test_a_complete_running_average_is_preferred_and_the_choice_is_said(name: str) -> None:
    content, expected = AVERAGES[name]

    found = find_weights(content())

    assert same(found.tensors, expected)
    text = "; ".join(found.notes)
    assert ("running average" in text) == (name != "none")
    assert ("not used" in text) == (expected is STATE and name != "none")


def test_a_source_that_swaps_the_average_decides_itself() -> None:
    content = {"state_dict": STATE, "ema_state_dict": AVERAGE}

    assert same(find_weights(content, averages=False).tensors, STATE)


def test_an_average_under_a_prefix_comes_before_the_raw_weights() -> None:
    seen = [view.tensors for view in views(find_weights({**prefixed("model."), **prefixed("ema_model.", AVERAGE)}))]

    assert [index for index, tensors in enumerate(seen) if same(tensors, AVERAGE)] < [
        index for index, tensors in enumerate(seen) if same(tensors, STATE)
    ]


def test_what_is_left_out_is_named() -> None:
    found = find_weights({"model": {**STATE, "criterion.weight": torch.ones(2), "epoch": 3}, "discriminator": AVERAGE})

    text = "; ".join(found.notes)
    assert set(found.left) == {"criterion.weight", "epoch"}
    for word in ("criterion.weight", "epoch", "discriminator", "'model'"):
        assert word in text


def test_two_keys_that_would_become_one_keep_their_names() -> None:
    state = {"a._orig_mod.weight": torch.ones(1), "a.weight": torch.zeros(1)}

    assert same(find_weights(state).tensors, state)
    assert INNER.sub("", "_orig_mod.a._fsdp_wrapped_module.b") == "a.b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "an empty dict"), ({"epoch": 3, "lr": 0.1}, "a dict with the keys epoch, lr"), ([1, 2], "a list"),
        (3, "an? int"), ([torch.ones(2)], "a list"), (inert_class("some.Thing")(), r"class 'some\.Thing'"),
        ({"optimizer": {"state": {"a": torch.ones(1)}}}, "the keys optimizer"),
    ],
)  # fmt: skip
def test_what_holds_no_named_tensors_is_said(content: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"no named tensors, but .*{message}") as caught:
        find_weights(content)
    assert caught.value.code == "K404"


def test_tensors_in_a_form_that_is_not_read_are_named() -> None:
    quantized: dict[str, Tensor | Any] = {**STATE, "layer.2.weight": inert_class("torch._utils._rebuild_qtensor")()}

    with pytest.raises(CheckpointError, match=r"layer\.2\.weight \(torch\._utils\._rebuild_qtensor\)") as caught:
        find_weights(quantized)
    assert caught.value.code == "K482"
