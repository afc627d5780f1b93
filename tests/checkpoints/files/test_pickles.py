"""Pickles are read without running anything: whatever a file asks for, its tensors are found and nothing happens."""

from __future__ import annotations

import collections
import datetime
import functools
import io
import os
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixelwise.checkpoints.files.inert import Named
from pixelwise.checkpoints.files.pickles import read_old_file
from pixelwise.checkpoints.files.settling import settle

TENSOR = torch.arange(6.0).reshape(2, 3)


class Asks:
    """Pickled, it asks the reader to call `function(*arguments)`, with `state` for what that returns."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


def payloads(trace: Path) -> dict[str, Any]:
    """Objects that create the file `trace` when a pickle is read that runs what it is asked to."""
    touch = f"open({str(trace)!r}, 'w').close()"
    return {
        "system": Asks(os.system, f"touch {trace}"),
        "eval": Asks(eval, touch),
        "exec in a dict": {"a": [Asks(exec, touch)]},
        "a call of what a call returned": Asks(functools.partial, Asks(functools.partial, exec, touch)),
        "an argument of another": Asks(print, Asks(exec, touch)),
        "the state of an object": Asks(types.SimpleNamespace, state={"x": Asks(exec, touch)}),
        "a class with a state": Asks(io.FileIO, str(trace), "w"),
        "a key": {Asks(exec, touch): 1},
        "a factory": collections.defaultdict(functools.partial(exec, touch)),
        "an attribute of a module": Asks(getattr, Asks(__import__, "os"), "system"),
    }


@pytest.mark.parametrize("name", payloads(Path("x")))
@pytest.mark.parametrize("protocol", range(6))
def test_nothing_runs_and_the_tensors_are_read(tmp_path: Path, name: str, protocol: int) -> None:
    trace = tmp_path / "trace"
    data = pickle.dumps({"before": TENSOR, "payload": payloads(trace)[name], "after": [TENSOR]}, protocol)
    pickle.loads(data) if name in ("system", "eval", "exec in a dict") else None
    assert trace.exists() == (name in ("system", "eval", "exec in a dict"))  # the payload is real
    trace.unlink(missing_ok=True)

    content = settle(read_old_file(io.BytesIO(data))).content

    assert not trace.exists()
    assert torch.equal(content["before"], TENSOR)
    assert torch.equal(content["after"][0], TENSOR)


def test_a_file_cannot_change_what_other_files_are_read_with() -> None:
    for stand_in in (b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_parameter\n", b"cnumpy\ndtype\n"):
        # BUILD with the state (None, {"items": 1}), which sets attributes.
        with pytest.raises(Exception, match=r"\w"):
            read_old_file(io.BytesIO(b"\x80\x02" + stand_in + b"N}X\x05\x00\x00\x00itemsK\x01s\x86b."))

    assert list(Named({"a": 1}).items()) == [("a", 1)]
    assert torch.equal(settle(read_old_file(io.BytesIO(pickle.dumps({"a": TENSOR})))).content["a"], TENSOR)


def test_objects_beside_the_tensors_keep_their_names() -> None:
    moment = datetime.datetime(2025, 1, 1)

    content = settle(
        read_old_file(io.BytesIO(pickle.dumps({"a": TENSOR, "time": moment, "place": Path("/x")})))
    ).content

    assert content["time"].name == "datetime.datetime"
    assert content["place"].name.startswith("pathlib.")


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_s_arrays_and_numbers_are_numpy_s(protocol: int) -> None:
    given = {
        "f4": np.arange(6, dtype="<f4").reshape(2, 3),
        "big": np.arange(4, dtype=">i2"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 3)),
        "bool": np.array([True, False]),
        "scalar": np.float64(0.25),
        "flag": np.bool_(True),
        "whole": np.int32(-3),
    }

    content = settle(read_old_file(io.BytesIO(pickle.dumps(given, protocol)))).content

    for key, value in given.items():
        np.testing.assert_array_equal(content[key], value)


def test_arrays_of_objects_are_not_read() -> None:
    content = settle(read_old_file(io.BytesIO(pickle.dumps({"a": np.array([{}, None], dtype=object)})))).content

    assert content["a"].name == "numpy.ndarray"


def test_a_tensor_that_reaches_beyond_its_numbers_is_refused() -> None:
    buffer = io.BytesIO()
    torch.save({"a": TENSOR}, buffer, _use_new_zipfile_serialization=False)
    data = buffer.getvalue()
    longer = data.replace(b"K\x02K\x03\x86", b"K\x02K\x09\x86")  # the size (2, 3) becomes (2, 9)

    assert longer != data
    with pytest.raises(ValueError, match=r"needs 12 numbers .*, which has 6"):
        settle(read_old_file(io.BytesIO(longer)))
