from __future__ import annotations

import json

import numpy as np
import pytest

from pixelwise.serving.problems import Problem
from pixelwise.serving.tensors import read_request, tensor_document

BYTES = {"name": "file", "shape": [2], "datatype": "BYTES"}


def body_of(tail: bytes, **parameters: object) -> tuple[bytes, str]:
    head = json.dumps({"inputs": [BYTES | {"parameters": parameters}]}).encode()
    return head + tail, str(len(head))


def test_elements_follow_their_lengths():
    tail = b"\x02\0\0\0ab\0\0\0\0"
    (tensor,) = read_request(*body_of(tail, binary_data_size=len(tail))).inputs
    assert list(tensor.elements()) == [b"ab", b""]


@pytest.mark.parametrize("tail", [b"\x02\0\0", b"\x03\0\0\0ab", b"\xff\xff\xff\xffab"])
def test_a_length_that_leads_out_is_refused(tail):
    (tensor,) = read_request(*body_of(tail, binary_data_size=len(tail))).inputs
    with pytest.raises(Problem, match=r"element|length"):
        tensor.elements()


def test_all_bytes_belong_to_an_input():
    for size in (1, 3, -1, 1.5, "2"):
        with pytest.raises(Problem, match="bytes"):
            read_request(*body_of(b"ab", binary_data_size=size))


def test_a_client_does_not_set_what_the_server_reads():
    head = json.dumps({"inputs": [BYTES | {"content": "YWI=", "data": []}]}).encode()
    (tensor,) = read_request(head, None).inputs
    assert list(tensor.elements()) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"inputs": [' + b"[" * 100_000])
def test_what_is_no_request_is_refused(body):
    with pytest.raises(Problem) as caught:
        read_request(body, None)
    assert (caught.value.status, caught.value.code) == (400, "R291")


def test_outputs_are_numbers_or_follow():
    values = np.array([[0.5, 0.25]], "<f4")
    plain = tensor_document("p", "FP32", (1, 2), values.tobytes(), binary=False)
    assert plain == {"name": "p", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.25]}
    assert tensor_document("p", "FP32", (1, 2), values.tobytes(), binary=True)["parameters"] == {"binary_data_size": 8}
