from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from pixelwise.errors import RecipeError
from pixelwise.runtimes.targets import (
    TARGETS,
    Target,
    find_target,
    list_targets,
    package_of,
    quantizable_names,
    register_target,
    target_names,
)


@pytest.fixture
def mine() -> Iterator[Target]:
    """A target of this module, registered until the test ends."""
    target = Target(
        name="mine", label="Mine", summary="", suffixes=(".mine",), write=lambda network, folder: [], open=open_nothing
    )
    yield register_target(target)
    TARGETS.pop("mine", None)


def open_nothing(file: object, threads: int | None) -> object:
    raise AssertionError("never opened here")


def test_a_target_is_found_by_its_name(mine: Target) -> None:
    assert find_target("mine") is mine
    assert mine in list_targets()
    assert target_names() == sorted(target_names())
    assert find_target("onnx").label == "ONNX Runtime"


def test_only_those_with_a_quantizer_are_quantized(mine: Target) -> None:
    assert quantizable_names() == ["onnx", "openvino"]


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(RecipeError) as caught:
        find_target("onx")
    assert caught.value.code == "R250"
    assert "'onnx'" in caught.value.message
    assert "torch-export" in caught.value.help


def test_a_name_that_is_taken_is_refused_with_both_places(mine: Target) -> None:
    with pytest.raises(RecipeError) as caught:
        register_target(msgspec.structs.replace(mine, name="onnx"))
    assert caught.value.code == "R234"
    assert "pixelwise.runtimes.formats.onnx" in caught.value.message
    assert __name__ in caught.value.message
    assert find_target("onnx").label == "ONNX Runtime"


@pytest.mark.parametrize("name", ["", "My-Target", "a,b", "a/b", "-a", "a--b", "ä"])
def test_a_name_goes_into_folders_and_onto_command_lines(mine: Target, name: str) -> None:
    with pytest.raises(ValueError):
        register_target(msgspec.structs.replace(mine, name=name))


def test_built_in_targets_come_from_no_other_package(mine: Target) -> None:
    assert package_of(find_target("onnx")) is None
    assert package_of(mine) is None  # a module of no distribution
