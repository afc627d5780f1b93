"""The page for own photos: what it takes, what it refuses, and that a worker's end is not its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_fakes import FakeWorkers
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pixelwise.pages.access import Guard
from pixelwise.pages.catalog import Catalog
from pixelwise.pages.trying import views
from pixelwise.pages.trying.models import Models
from pixelwise.serving.pool import Pool

OWN = {"origin": "http://127.0.0.1:8765", "cookie": "pixelwise=t"}


@pytest.fixture
def workers() -> FakeWorkers:
    return FakeWorkers()


@pytest.fixture
def client(tmp_path: Path, workers: FakeWorkers) -> Iterator[TestClient]:
    """A browser at the page of two models, named `<a>` and `b`."""
    for name in ("<a>", "b"):
        (tmp_path / name / "checkpoints" / "step-00000001").mkdir(parents=True)
        (tmp_path / name / "recipe.toml").write_text('name = "x"\n', "utf-8")
    models = Models(Catalog([tmp_path]), lambda _: Pool(workers, lambda _: 1))
    app = Guard(Starlette(routes=views.routes(models)), "t", "pixelwise")
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        client.ids = [one.id for one in models.choices()]  # type: ignore[attr-defined]
        yield client
    models.close()


def post(client: TestClient, content: bytes, id: str | None = None, **headers: str):
    given = OWN | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/try/{id or client.ids[0]}", content=content, headers=given)  # type: ignore[attr-defined]


def test_the_page_offers_the_models(client: TestClient) -> None:
    text = client.get("/try", headers=OWN).text

    assert text.count("<option") == 5
    assert "&lt;a&gt;" in text
    assert "<a>" not in text


@pytest.mark.parametrize("number", range(4))
def test_any_number_of_models_is_offered(number: int, tmp_path: Path) -> None:
    for name in "abc"[:number]:
        (tmp_path / name / "checkpoints" / "step-00000001").mkdir(parents=True)
        (tmp_path / name / "recipe.toml").write_text('name = "x"\n', "utf-8")
    models = Models(Catalog([tmp_path]), lambda _: Pool(FakeWorkers(), lambda _: 1))
    text = TestClient(Starlette(routes=views.routes(models))).get("/try").text
    # Each in both lists, the second of which may stay empty.
    assert text.count("<option") == (2 * number + 1 if number else 0)
    assert text.count(" selected") == min(number, 2)


def test_a_photo_is_answered_by_a_worker(client: TestClient, workers: FakeWorkers) -> None:
    answer = post(client, b"photo")

    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"photo", "application/json")
    assert float(answer.headers["pixelwise-milliseconds"]) >= 0
    assert answer.headers["cache-control"] == "no-store"
    assert workers.batches == [[b"photo"]]


@pytest.mark.parametrize(
    ("content", "status", "code"), [(b"", 400, "R291"), (b"bad", 422, "D102"), (b"deadly", 422, "D136")]
)
def test_what_is_wrong_with_a_photo_is_said(
    content: bytes, status: int, code: str, client: TestClient, workers: FakeWorkers
) -> None:
    workers.deadly = {b"deadly"}
    answer = post(client, content)

    assert (answer.status_code, json.loads(answer.content)["code"]) == (status, code)
    assert post(client, b"good").content == b"good"


def test_a_large_file_is_refused_before_it_is_read(client: TestClient, workers: FakeWorkers) -> None:
    answer = post(client, b"x" * (32 * 2**20 + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "R293")
    assert workers.started == 0


def test_there_are_only_so_many_places(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST_PHOTOS", 0)

    assert post(client, b"photo").status_code == 429


def test_a_model_that_is_gone_is_said_to_be(client: TestClient) -> None:
    assert post(client, b"photo", "nothing").status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"cookie": "pixelwise=other"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example"}, 421),
    ],
)
def test_strangers_cannot_have_photos_predicted(
    changes: dict[str, str], status: int, client: TestClient, workers: FakeWorkers
) -> None:
    assert post(client, b"photo", **changes).status_code == status
    assert workers.started == 0


def test_a_request_of_no_page_cannot_have_photos_predicted(client: TestClient, workers: FakeWorkers) -> None:
    answer = client.post(f"/try/{client.ids[0]}", content=b"photo", headers={"cookie": "pixelwise=t"})  # type: ignore[attr-defined]

    assert (answer.status_code, workers.started) == (405, 0)
