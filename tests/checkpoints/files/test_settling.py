from __future__ import annotations

import numpy as np
import torch

from pixelwise.checkpoints.files.inert import Named, Storage, Stored, inert_class
from pixelwise.checkpoints.files.settling import as_tensor, flat, settle


def stored(*values: float) -> Stored:
    storage = Storage("0", torch.float32, len(values))
    storage.data = bytearray(np.array(values, dtype=np.float32).tobytes())
    return Stored(storage, 0, (len(values),), (1,))


def test_tensors_are_filled_in_everywhere_and_once() -> None:
    one = stored(1.0, 2.0)

    content, modules = settle(Named([("a", one), ("b", [one, (one, "text", None, 3)])]))

    assert content["a"].tolist() == [1.0, 2.0]
    assert content["b"][0] is content["a"]
    assert content["b"][1][0] is content["a"]
    assert content["b"][1][1:] == ("text", None, 3)
    assert modules == ()


def test_what_refers_to_itself_is_settled() -> None:
    loop: dict[str, object] = {"a": stored(1.0)}
    loop["self"] = loop
    thing = inert_class("a.B")()
    thing.state = {"parent": thing}

    content, _ = settle({"loop": loop, "thing": thing})

    assert content["loop"]["self"] is content["loop"]
    assert content["thing"].state["parent"] is content["thing"]


def test_a_pickled_module_is_its_state_dict() -> None:
    inner = inert_class("torch.nn.Linear")()
    inner.state = {"_parameters": {"weight": stored(1.0), "bias": None}, "_buffers": {}, "_modules": {}}
    outer = inert_class("some.Network")()
    outer.state = {
        "_parameters": {},
        "_buffers": {"fixed": stored(2.0), "temporary": stored(3.0)},
        "_non_persistent_buffers_set": {"temporary"},
        "_modules": {"part": inner, "nothing": None},
    }

    content, modules = settle({"model": outer})

    assert {key: value.tolist() for key, value in content["model"].items()} == {"part.weight": [1.0], "fixed": [2.0]}
    assert modules == ("torch.nn.Linear", "some.Network")


def test_dicts_of_other_classes_are_dicts() -> None:
    box = inert_class("addict.Dict")()
    box["a"] = stored(1.0)

    assert settle(box).content["a"].tolist() == [1.0]


def test_nested_dicts_are_joined() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": 2}, "e": 3}) == {"a.b.c": 1, "a.d": 2, "e": 3}


def test_arrays_of_numbers_are_tensors() -> None:
    assert as_tensor(np.arange(3)).tolist() == [0, 1, 2]
    assert as_tensor(np.float32(2).reshape(())).shape == ()
    for other in (np.array(["a"]), "text", None, 3, np.zeros(2, dtype=np.uint64).astype(object)):
        assert as_tensor(other) is other
