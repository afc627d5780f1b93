from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import CLASSES, image_of
from serving_fakes import InsideWorker, png, service_of
from starlette.testclient import TestClient

from pixelwise.serving.app import application

LOCAL = "http://127.0.0.1:8000"
LABELS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((8, 6), np.uint8))
OTHER = (LABELS + 1) % 4


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service_of(lambda: InsideWorker(tmp_path)) as service:
        yield TestClient(application(service), LOCAL)


@pytest.fixture
def address(tmp_path: Path, listening) -> Iterator[str]:
    """Host and port of a server that listens."""
    with service_of(lambda: InsideWorker(tmp_path)) as service, listening(service) as found:
        yield found.removeprefix("http://")


def test_a_standard_client_gets_the_same_labels_in_every_way(address):
    from tritonclient import http
    from tritonclient.utils import InferenceServerException

    client = http.InferenceServerClient(address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("grey")
    assert client.is_model_ready("grey", "0123456789ab")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    files = http.InferInput("file", [2], "BYTES")
    files.set_data_from_numpy(np.array([png(LABELS), png(OTHER)], object))
    images = http.InferInput("image", [2, 16, 12, 3], "UINT8")
    images.set_data_from_numpy(np.stack([image_of(LABELS), image_of(OTHER)]))
    plain = http.InferInput("image", [2, 16, 12, 3], "UINT8")
    plain.set_data_from_numpy(np.stack([image_of(LABELS), image_of(OTHER)]), binary_data=False)
    for given in (files, images, plain):
        for binary in (True, False):
            outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "labels")]
            found = client.infer("grey", [given], outputs=outputs, request_id="7")
            assert np.array_equal(found.as_numpy("labels"), [LABELS, OTHER])
            probabilities = found.as_numpy("probabilities")
            assert (probabilities.dtype, probabilities.shape) == (np.float32, (2, len(CLASSES), 16, 12))
            assert np.array_equal(probabilities.argmax(1), [LABELS, OTHER])
            assert found.get_response()["id"] == "7"
    broken = http.InferInput("file", [1], "BYTES")
    broken.set_data_from_numpy(np.array([b"no image"], object))
    with pytest.raises(InferenceServerException, match="D102"):
        client.infer("grey", [broken])
    client.close()


def test_its_inputs_and_outputs_are_described(client):
    assert client.get("/v2/models/grey").json() == {
        "name": "grey",
        "versions": ["0123456789ab"],
        "platform": "pixelwise_pytorch",
        "inputs": [
            {"name": "file", "datatype": "BYTES", "shape": [-1]},
            {"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]},
        ],
        "outputs": [
            {"name": "labels", "datatype": "UINT8", "shape": [-1, -1, -1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 4, -1, -1]},
        ],
    }


FILE = {"name": "file", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(png(LABELS)).decode()]}
IMAGE = {"name": "image", "shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [0, 0, 0]}


def test_files_in_json_are_base64(client):
    answer = client.post("/v2/models/grey/infer", json={"inputs": [FILE]}).json()
    (labels,) = answer["outputs"]
    assert (labels["datatype"], labels["shape"], labels["data"]) == ("UINT8", [1, 16, 12], LABELS.ravel().tolist())


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({}, 400, "inputs"),
        ({"inputs": []}, 400, "0 inputs"),
        ({"inputs": [FILE, IMAGE]}, 400, "2 inputs"),
        ({"inputs": [FILE | {"name": "other"}]}, 400, "'other'"),
        ({"inputs": [FILE | {"datatype": "UINT8"}]}, 400, "BYTES"),
        ({"inputs": [FILE | {"shape": [2]}]}, 400, "[2]"),
        ({"inputs": [FILE | {"data": ["?"]}]}, 400, "base64"),
        ({"inputs": [FILE | {"data": [3]}]}, 400, "base64"),
        ({"inputs": [FILE | {"shape": [0], "data": []}]}, 400, "0 files"),
        ({"inputs": [FILE | {"data": [FILE["data"][0], "bm8="], "shape": [2]}]}, 422, "D102"),
        ({"inputs": [IMAGE | {"data": [0, 0, 256]}]}, 400, "0 to 255"),
        ({"inputs": [IMAGE | {"data": [0, 0, -1]}]}, 400, "0 to 255"),
        ({"inputs": [IMAGE | {"data": [0, 0, "a"]}]}, 400, "0 to 255"),
        ({"inputs": [IMAGE | {"data": [0, [0, 0]]}]}, 400, "0 to 255"),
        ({"inputs": [IMAGE | {"data": [0, 0]}]}, 400, "2 values"),
        ({"inputs": [{**IMAGE, "data": None}]}, 400, "0 values"),
        ({"inputs": [IMAGE | {"shape": [1, 1, 1, 4]}]}, 400, "[N, H, W, 3]"),
        ({"inputs": [IMAGE | {"shape": [1, 3]}]}, 400, "[N, H, W, 3]"),
        ({"inputs": [IMAGE | {"shape": [1, 0, 1, 3], "data": []}]}, 400, "[N, H, W, 3]"),
        ({"inputs": [IMAGE | {"shape": [1, 2**31, 2**31, 3]}]}, 413, "D120"),
        ({"inputs": [IMAGE | {"shape": [257, 1, 1, 3]}]}, 400, "257 images"),
        ({"inputs": [IMAGE | {"shape": [-1, 1, 1, 3]}]}, 400, "JSON"),
        ({"inputs": [IMAGE | {"parameters": {"binary_data_size": 9}}]}, 400, "9 bytes"),
        ({"inputs": [IMAGE | {"parameters": {"binary_data_size": True}}]}, 400, "True bytes"),
        ({"inputs": [IMAGE], "outputs": [{"name": "scores"}]}, 400, "'scores'"),
        ({"inputs": [IMAGE], "outputs": [{"name": "labels"}, {"name": "labels"}]}, 400, "twice"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(client, request_, status, says):
    answer = client.post("/v2/models/grey/infer", json=request_)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]


@pytest.mark.parametrize("length", ["0", "-1", "99", "x"])
def test_a_length_of_the_json_part_has_to_fit(client, length):
    answer = client.post("/v2/models/grey/infer", content=b"{}", headers={"Inference-Header-Content-Length": length})
    assert (answer.status_code, "Inference-Header" in answer.json()["error"]) == (400, True)


def test_images_of_different_sizes_need_requests_of_their_own(client):
    files = [base64.b64encode(png(labels)).decode() for labels in (LABELS, LABELS[:8])]
    answer = client.post("/v2/models/grey/infer", json={"inputs": [FILE | {"shape": [2], "data": files}]})
    assert (answer.status_code, "different sizes" in answer.json()["error"]) == (400, True)


def test_other_models_and_versions_are_not_here(client):
    for path in ("/v2/models/other", "/v2/models/grey/versions/2", "/v2/models/other/ready"):
        assert client.get(path).status_code == 404
    assert client.get("/v2/models/grey/versions/0123456789ab").status_code == 200
