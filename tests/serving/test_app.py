from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from evaluation.color_model import CLASSES
from PIL import Image
from serving_fakes import FakeWorkers, InsideWorker, png, service_of
from starlette.testclient import TestClient

from pixelwise.errors import CheckpointError
from pixelwise.serving.app import application

LOCAL = "http://127.0.0.1:8000"
LABELS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((8, 6), np.uint8))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service_of(lambda: InsideWorker(tmp_path)) as service:
        yield TestClient(application(service), LOCAL)


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_the_mask_of_an_image_has_its_class_ids_and_colours(client):
    for body in ({"content": png(LABELS)}, {"files": {"any name": ("photo.png", png(LABELS), "image/png")}}):
        answer = client.post("/predict", **body)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert answer.headers["pixelwise-model"] == "0123456789ab"
        assert np.array_equal(pixels(answer.content), LABELS)
    assert Image.open(io.BytesIO(answer.content)).getpalette()[:6] == [0, 128, 0, 200, 180, 140]


def test_objects_are_described_as_json(client):
    lengths = client.post("/predict?output=rle", content=png(LABELS)).json()
    assert (lengths["width"], lengths["height"]) == (12, 16)
    assert lengths["classes"][1] == {
        "id": 1, "name": "path", "color": "#c8b48c", "pixels": 48,
        # Column after column: six columns of 16 without the class, then eight pixels of it at the top of each.
        "rle": {"size": [16, 12], "counts": [96, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]},
    }  # fmt: skip
    outlines = client.post("/predict?output=polygons&tolerance=0.5", content=png(LABELS)).json()
    (only,) = outlines["classes"][3]["polygons"]
    assert sorted(only["outline"]) == [[6, 8], [6, 16], [12, 8], [12, 16]]
    assert (only["area"], only["holes"]) == (48, [])


def test_pictures_and_probabilities_are_given_on_request(client):
    overlay = client.post("/predict?output=overlay", content=png(LABELS))
    assert (overlay.headers["content-type"], pixels(overlay.content).shape) == ("image/jpeg", (16, 12, 3))
    answer = client.post("/predict?output=probabilities", content=png(LABELS))
    values = tifffile.imread(io.BytesIO(answer.content))
    assert values.shape == (16, 12, len(CLASSES))
    assert np.array_equal(values.argmax(2), LABELS)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/predict", {"content": b""}, 400, "R291"),
        ("/predict", {"content": b"no image"}, 422, "D102"),
        ("/predict", {"content": png(LABELS)[:60]}, 422, "D101"),
        ("/predict", {"content": png(np.zeros((101, 100), np.uint8))}, 413, "D120"),
        ("/predict", {"content": bytes(5001)}, 413, "R293"),
        ("/predict", {"content": iter([bytes(5000), b"1"])}, 413, "R293"),
        ("/predict", {"data": {"image": "text"}, "files": {"image": ("a", b"")}}, 400, "R291"),
        ("/predict", {"files": [("a", ("a", b"1")), ("b", ("b", b"2"))]}, 400, "R291"),
        ("/predict", {"content": b"--", "headers": {"Content-Type": "multipart/form-data"}}, 400, "R291"),
        ("/predict", {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, "R291"),
        ("/predict", {"content": b"x", "headers": {"Content-Encoding": "gzip"}}, 415, "R291"),
        ("/predict?output=nothing", {"content": b"x"}, 400, "R291"),
        ("/predict?output=mask&output=rle", {"content": b"x"}, 400, "R291"),
        ("/predict?tolerance=-1", {"content": b"x"}, 400, "R291"),
        ("/predict?tolerance=nan", {"content": b"x"}, 400, "R291"),
        ("/predict?size=3", {"content": b"x"}, 400, "R291"),
        ("/nothing", {}, 404, "R291"),
        ("/ready", {}, 405, "R291"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_document(tmp_path, path, body, status, code):
    with service_of(lambda: InsideWorker(tmp_path), max_bytes=5000) as service:
        answer = TestClient(application(service), LOCAL).post(path, **body)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["detail"]
    assert problem["help"]
    assert str(tmp_path) not in answer.text


def test_a_full_server_says_when_to_come_back(tmp_path):
    fakes = FakeWorkers()
    with service_of(fakes, queue=1) as service:
        client = TestClient(application(service), LOCAL)
        service.in_progress = 1
        answer = client.post("/predict", content=b"image")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "S612", "1")
        assert client.post("/v2/models/grey/infer", content=b"{}").status_code == 429
        service.in_progress = 0
        assert client.post("/predict", content=b"image").content == b"image"
    assert fakes.batches == [[b"image"]]


def test_health_readiness_and_metrics(client, tmp_path):
    assert client.get("/health").json() == {"status": "running"}
    assert client.get("/ready").json() == {"status": "ready", "workers": 1}
    client.post("/predict", content=png(LABELS))
    lines = client.get("/metrics").text.splitlines()
    for line in (
        'pixelwise_requests_total{route="/predict",status="200"} 1',
        'pixelwise_batch_images_bucket{le="1"} 1',
        "pixelwise_request_seconds_count 1",
        "pixelwise_workers_ready 1",
        "pixelwise_queue_images 0",
    ):
        assert line in lines
    with service_of(lambda: InsideWorker(tmp_path)) as service:
        service.pool.close()
        stopping = TestClient(application(service), LOCAL)
        assert [stopping.get(path).status_code for path in ("/health", "/ready", "/v2/health/ready")] == [200, 503, 503]
        assert stopping.post("/predict", content=b"x").json()["code"] == "S614"


def test_the_model_describes_itself(client):
    found = client.get("/model").json()
    assert [one["name"] for one in found["classes"]] == list(CLASSES)
    assert found["hashes"]["weights"] == "0123456789abcdef"
    assert found["licence"] == {"weights": "unknown", "code": "Apache-2.0"}
    assert (found["version"], found["limits"]["max_pixels"]) == ("0123456789ab", 1000)


def test_a_model_that_cannot_be_loaded_again_goes_on(tmp_path):
    fakes = FakeWorkers()
    with service_of(fakes) as service:
        client = TestClient(application(service), LOCAL)
        assert client.post("/model/reload").json()["name"] == "grey"
        fakes.models = [CheckpointError("K462", "damaged", "export it again")]
        answer = client.post("/model/reload")
        assert (answer.status_code, answer.json()["code"]) == (409, "K462")
        assert client.post("/predict", content=b"image").content == b"image"


def test_a_fault_is_a_problem_too(tmp_path):
    with service_of(lambda: InsideWorker(tmp_path)) as service:
        service.pool.submit = None  # type: ignore[method-assign]
        client = TestClient(application(service), LOCAL, raise_server_exceptions=False)
        answer = client.post("/predict", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (500, "R280")


def test_the_document_describes_every_route(client):
    document = client.get("/openapi.json").json()
    json.dumps(document)
    methods = {path: sorted(found) for path, found in document["paths"].items()}
    assert methods.pop("/predict") == methods.pop("/model/reload") == methods.pop("/v2/models/grey/infer") == ["post"]
    assert set(methods) == {
        "/model", "/health", "/ready", "/metrics", "/openapi.json",
        "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/grey", "/v2/models/grey/ready",
    }  # fmt: skip
    assert all(client.get(path).status_code == 200 for path in methods)
