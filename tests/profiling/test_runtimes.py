from __future__ import annotations

import msgspec
import pytest

from pixelwise.errors import RecipeError
from pixelwise.profiling.runtimes import EAGER, label_of, marker_of, refuse_unknown_runtime, runtime_names
from pixelwise.runtimes.targets import TARGETS, find_target, register_target


def test_pytorch_comes_first_and_then_every_target() -> None:
    names = runtime_names()
    assert names[:3] == ["torch", "torch-channels-last", "torch-bf16"]
    assert {"onnx", "openvino", "torch-export", "executorch"} <= set(names[3:])
    for name in names:
        refuse_unknown_runtime(name)


def test_an_unknown_runtime_gets_the_nearest_ones() -> None:
    with pytest.raises(RecipeError) as caught:
        refuse_unknown_runtime("torch-channel-last")
    assert caught.value.code == "R250"
    assert "'torch-channels-last'" in caught.value.message
    assert "openvino" in caught.value.help


def test_every_runtime_has_a_label_and_a_marker_of_its_own() -> None:
    names = runtime_names()
    assert len({label_of(name) for name in names}) == len({marker_of(name) for name in names}) == len(names)
    assert (label_of("torch"), label_of("onnx")) == ("PyTorch", "ONNX Runtime")
    assert marker_of("a package that is gone") == "X"


def test_the_forms_of_pytorch_differ_in_format_or_layout() -> None:
    assert [(form.precision.dtype, form.precision.channels_last) for form in EAGER.values()] == [
        ("float32", False), ("float32", True), ("bfloat16", False),
    ]  # fmt: skip


@pytest.mark.parametrize("name", EAGER)
def test_no_target_has_the_name_of_pytorch_itself(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        register_target(msgspec.structs.replace(find_target("onnx"), name=name))
    assert caught.value.code == "R234"
    assert name not in TARGETS
