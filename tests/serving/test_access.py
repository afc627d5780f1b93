from __future__ import annotations

import pytest
from serving_fakes import FakeWorkers, service_of
from starlette.testclient import TestClient

from pixelwise.serving.access import name_of
from pixelwise.serving.app import application

TOKEN = "0123456789abcdef"


def test_without_a_token_a_request_has_to_name_this_computer():
    with service_of(FakeWorkers()) as service:
        client = TestClient(application(service))
        for host, status in {
            "127.0.0.1": 200, "localhost:8000": 200, "LOCALHOST": 200, "[::1]:8000": 200,
            "evil.example": 403, "127.0.0.1.evil.example:8000": 403, "localhost@evil.example": 403, "[": 403, "": 403,
        }.items():  # fmt: skip
            answer = client.get("/model", headers={"Host": host})
            assert answer.status_code == status, host
        assert answer.json()["code"] == "R292"


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_page_of_another_server_is_refused(token):
    with service_of(FakeWorkers(), token=token) as service:
        client = TestClient(application(service), "http://127.0.0.1:8000", headers={"Authorization": f"Bearer {TOKEN}"})
        for origin, status in {
            "http://127.0.0.1:8000": 200, "http://127.0.0.1:9000": 403, "https://evil.example": 403, "null": 403,
        }.items():  # fmt: skip
            assert client.post("/predict", content=b"x", headers={"Origin": origin}).status_code == status, origin


def test_with_a_token_nobody_else_is_answered_whatever_the_host():
    with service_of(FakeWorkers(), token=TOKEN, host="0.0.0.0") as service:
        client = TestClient(application(service), "http://segmentation.example")
        for given, status in {
            f"Bearer {TOKEN}": 200, f"bearer {TOKEN}": 200, f"Basic {TOKEN}": 401, f"Bearer {TOKEN}x": 401,
            f"Bearer {TOKEN[:-1]}": 401, "Bearer": 401, "": 401, "Bearer \u00e9": 401,
        }.items():  # fmt: skip
            answer = client.get("/model", headers={"Authorization": given.encode("latin-1")})
            assert answer.status_code == status, given
        assert answer.headers["www-authenticate"] == "Bearer"
        # A load balancer asks without one, and learns nothing else.
        assert [client.get(path).status_code for path in ("/health", "/ready", "/metrics")] == [200, 200, 401]


def test_names_of_hosts():
    assert [name_of(host) for host in ("a.b:80", "[::1]", "a@b", "[x", "")] == ["a.b", "::1", "b", "", ""]
