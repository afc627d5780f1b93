from __future__ import annotations

import pytest
import torch

from pixelwise.checkpoints.files.inert import ArrayType, Call, Inert, Storage, Stored, inert_class, scalar_of


def test_an_inert_object_keeps_what_it_is_given_and_is_never_called() -> None:
    made = inert_class("a.B")(1, 2)
    made["x"] = 3
    made.append(4)
    made.extend([5])
    made.add(6)
    made.__setstate__(({"y": 7}, {"z": 8}))

    assert (made.name, made.arguments, made.items) == ("a.B", (1, 2), [4, 5, 6])
    assert made.attributes() == {"x": 3, "y": 7, "z": 8}
    assert isinstance(made("argument"), Inert)
    assert made("argument").name == "a.B(...)"


def test_what_a_file_may_call_cannot_be_changed() -> None:
    call = Call(len)

    with pytest.raises(TypeError, match="cannot change"):
        call._function = print  # type: ignore[misc]
    assert call([1, 2]) == 2


@pytest.mark.parametrize(
    ("offset", "size", "stride", "fits"),
    [(0, (2, 3), (3, 1), True), (1, (2, 2), (2, 1), True), (0, (3, 2), (1, 3), True), (5, (1,), (1,), True),
     (0, (0, 9), (9, 1), True), (0, (4, 6), (0, 1), True), (1, (2, 3), (3, 1), False), (0, (7,), (1,), False),
     (0, (2**13, 2**13), (0, 0), False)],
)  # fmt: skip
def test_a_tensor_is_a_view_of_its_numbers(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...], fits: bool
) -> None:
    numbers = torch.arange(6.0)
    storage = Storage("0", torch.float32, 6)
    storage.data = bytearray(numbers.numpy().tobytes())
    stored = Stored(storage, offset, size, stride)

    if fits:
        assert torch.equal(stored.tensor(), numbers.as_strided(size, stride, offset))
    else:
        with pytest.raises(ValueError, match="which has 6"):
            stored.tensor()


@pytest.mark.parametrize(
    ("offset", "size", "stride"), [(-1, (2,), (1,)), (0, (-2,), (1,)), (0, (2,), (1, 1)), ("0", (), ())]
)
def test_a_tensor_of_an_impossible_form_is_refused(offset: object, size: tuple, stride: tuple) -> None:
    with pytest.raises(ValueError, match="a tensor of size"):
        Stored(Storage("0", torch.float32, 6), offset, size, stride)


def test_numbers_are_read_from_their_bytes_and_nothing_else_is() -> None:
    half = ArrayType("f2")
    half.__setstate__((3, ">"))

    assert scalar_of(half, b"\x3c\x00") == 1.0
    assert scalar_of(ArrayType("O8"), b"12345678").name == "numpy.scalar"
    assert scalar_of(ArrayType("f4"), b"1").name == "numpy.scalar"
