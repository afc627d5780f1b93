from __future__ import annotations

import asyncio
import time

import pytest
from serving_fakes import FakeWorkers, service_of
from starlette.requests import Request

from pixelwise.serving.messages import Order
from pixelwise.serving.problems import Problem


def test_a_client_that_goes_away_is_not_worked_for():
    fakes = FakeWorkers()
    fakes.gate.clear()

    async def gone() -> dict:
        return {"type": "http.disconnect"}

    async def ask(contents: list[bytes]) -> None:
        orders = [Order(number=0, content=content) for content in contents]
        await service.answers(Request({"type": "http"}, gone), orders)

    with service_of(fakes) as service:
        blocking = service.pool.submit(Order(number=0, content=b"first"))
        while not fakes.batches:
            time.sleep(0.001)
        with pytest.raises(Problem, match="gone away"):
            asyncio.run(ask([b"a", b"b"]))
        fakes.gate.set()
        assert blocking.result(20).content == b"first"
    assert fakes.batches == [[b"first"]]


def test_places_are_given_back_and_the_time_to_wait_follows_the_queue():
    fakes = FakeWorkers()
    fakes.gate.clear()
    with service_of(fakes, queue=2) as service:
        service.metrics.batch(1, 8.0)
        futures = [service.pool.submit(Order(number=0, content=b"x"))]
        while not fakes.batches:
            time.sleep(0.001)
        futures += [service.pool.submit(Order(number=0, content=b"x")) for _ in range(5)]
        with service.place(), service.place():
            with pytest.raises(Problem) as caught, service.place():
                raise AssertionError
            # Five wait; half of them take one worker twenty seconds.
            assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "20"})
        assert service.in_progress == 0
        fakes.gate.set()
        for future in futures:
            future.result(20)
