from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.metrics import METRICS, Accumulator, Task, Value
from pixelwise.metrics.boundary import BoundaryCounts
from pixelwise.metrics.states import UnknownKindError, packed, unpacked

TASK = Task(classes=("a", "b"))


class Keeper(Accumulator):
    """Keeps whatever it is given."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.kept: Any = None

    def update(self, image: object) -> None: ...

    def merge(self, other: Keeper) -> None: ...

    def compute(self) -> Value:
        return Value()


def again(kept: object) -> Any:
    keeper = Keeper(TASK)
    keeper.kept = kept
    return unpacked(packed(keeper), Keeper(TASK)).kept  # type: ignore[attr-defined]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return type(one) is type(other) and repr(one) == repr(other)


ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.integers(-9, 9).map(np.int64)
)
VALUES = st.recursive(
    ATOMS,
    lambda some: st.one_of(
        st.lists(some), st.lists(some).map(tuple), st.dictionaries(st.one_of(st.text(), st.integers()), some)
    ),
    max_leaves=8,
)


@pytest.mark.heavy
@given(VALUES)
def test_plain_values_come_back_with_their_types_and_bits(value: object):
    assert same(again(value), value)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i8", "|u1", "|b1", "<c8", "<U3"])
def test_arrays_come_back_and_can_be_changed(dtype: str):
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    found = again({"rows": [array, array[:0]]})["rows"]
    assert same(found[0], array)
    assert same(found[1], array[:0])
    found[0][0, 0] = array[0, 1]


def test_sets_tensors_and_named_tuples():
    assert again({1, 2}) == {1, 2}
    assert again(torch.tensor([[1.5, 2.5]])).tolist() == [[1.5, 2.5]]
    boundary = METRICS.find("boundary_iou").accumulator
    one = boundary(TASK)
    one.counts = BoundaryCounts(np.array([1, 2]), np.array([3, 4]))  # type: ignore[attr-defined]
    back = unpacked(packed(one), boundary(TASK))
    assert isinstance(back.counts, BoundaryCounts)  # type: ignore[attr-defined]
    back.merge(one)
    assert back.compute().per_class == (2 / 6, 4 / 8)


def test_the_task_is_that_of_the_reader():
    mine = Task(classes=("x",))
    assert unpacked(packed(Keeper(TASK)), Keeper(mine)).task is mine


def test_states_of_ones_own_are_those_of_pickles():
    class Own(Keeper):
        def __getstate__(self) -> list[int]:
            return [7]

        def __setstate__(self, state: list[int]) -> None:
            self.kept = state

    assert unpacked(packed(Own(TASK)), Own(TASK)).kept == [7]  # type: ignore[attr-defined]


def test_other_objects_are_refused_by_name_and_never_run():
    with pytest.raises(UnknownKindError, match="Keeper"):
        again([Keeper(TASK)])
    with pytest.raises(UnknownKindError, match="ndarray"):
        again(np.array([object()]))
    with pytest.raises(KeyError):
        unpacked(msgspec.msgpack.encode(["dict", ["kept", ["os.system", "true"]]]), Keeper(TASK))
