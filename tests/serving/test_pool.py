from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from observers import Told
from serving_fakes import MODEL, FakeWorkers

from pixelwise.errors import CheckpointError, ResourceError
from pixelwise.serving import pool as module
from pixelwise.serving.messages import Order
from pixelwise.serving.metrics import Metrics
from pixelwise.serving.pool import Pool
from pixelwise.serving.problems import Problem
from pixelwise.serving.worker import Died

OTHER = msgspec.structs.replace(MODEL, hashes={"weights": "other"})


@pytest.fixture
def fakes() -> FakeWorkers:
    return FakeWorkers()


@pytest.fixture
def opened(fakes: FakeWorkers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pool]]:
    """Start a pool of fake workers, which is closed after the test."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(module, "_LOOKS_EVERY", 0.01)
    pools: list[Pool] = []

    def start(workers: int = 1, **settings: object) -> Pool:
        pools.append(Pool(fakes, lambda _: workers, **settings))
        pools[-1].start()
        return pools[-1]

    yield start
    fakes.gate.set()
    for pool in pools:
        pool.close()


def order(content: str) -> Order:
    return Order(number=0, content=content.encode())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def refusal(pool: Pool, content: str) -> Problem:
    with pytest.raises(Problem) as caught:
        pool.submit(order(content)).result(20)
    return caught.value


def test_each_image_gets_its_own_answer(opened):
    pool = opened(workers=3)
    futures = [pool.submit(order(f"{number}")) for number in range(50)]
    assert [future.result(20).content for future in futures] == [f"{number}".encode() for number in range(50)]


def test_batches_grow_with_what_waits_and_are_shared_evenly(opened, fakes):
    fakes.gate.clear()
    pool = opened(workers=2)
    first = [pool.submit(order("a")), pool.submit(order("b"))]
    until(lambda: len(fakes.batches) == 2)
    futures = [pool.submit(order(f"{number}")) for number in range(6)]
    fakes.gate.set()
    for future in first + futures:
        future.result(20)
    assert fakes.batches[:2] == [[b"a"], [b"b"]]
    # Six wait: half of them, then half of the other three, rounded up.
    assert [len(batch) for batch in fakes.batches[2:4]] == [3, 2]


def test_no_batch_is_larger_than_allowed(opened, fakes):
    fakes.gate.clear()
    pool = opened(batch=2)
    futures = [pool.submit(order(f"{number}")) for number in range(7)]
    fakes.gate.set()
    for future in futures:
        future.result(20)
    assert max(map(len, fakes.batches)) == 2


def test_an_error_of_an_image_is_its_own(opened):
    pool = opened()
    good, error = pool.submit(order("good")), refusal(pool, "bad image")
    assert (error.status, error.code) == (422, "D102")
    assert good.result(20).content == b"good"


def test_a_fault_is_told_to_whoever_runs_the_server(opened):
    warned: list[str] = []
    pool = opened(observer=Told(warn=lambda code, message: warned.append(f"{code} {message}")))
    assert refusal(pool, "fault").status == 500
    assert refusal(pool, "bad image").status == 422
    assert warned == ["W616 an image could not be predicted: R280: unexpected ValueError: no"]


def test_a_killed_worker_loses_nothing(opened, fakes):
    metrics = Metrics()
    pool = opened(workers=2, metrics=metrics)
    fakes.gate.clear()
    futures = [pool.submit(order(f"{number}")) for number in range(20)]
    until(lambda: len(fakes.batches) == 2)
    fakes.deaths = 2
    fakes.gate.set()
    assert [future.result(20).content for future in futures] == [f"{number}".encode() for number in range(20)]
    assert fakes.started == 4
    now = {"queue_images": 0, "requests_in_progress": 0, "workers_ready": 0}
    assert "pixelwise_worker_deaths_total 2" in metrics.text(now)


def test_an_image_that_two_workers_die_of_is_refused_and_harms_no_other(opened, fakes):
    fakes.deadly.add(b"deadly")
    fakes.gate.clear()
    pool = opened()
    blocking = pool.submit(order("first"))
    until(lambda: len(fakes.batches) == 1)
    others = [pool.submit(order(content)) for content in ("x", "y")]
    deadly = pool.submit(order("deadly"))
    others.append(pool.submit(order("z")))
    fakes.gate.set()
    assert [future.result(20).content for future in (blocking, *others)] == [b"first", b"x", b"y", b"z"]
    with pytest.raises(Problem) as caught:
        deadly.result(20)
    assert (caught.value.status, caught.value.code) == (422, "D136")
    # After the first time it was alone.
    assert [batch for batch in fakes.batches if b"deadly" in batch][1:] == [[b"deadly"]] * 2
    assert pool.submit(order("after")).result(20).content == b"after"


def test_an_image_that_takes_too_long_is_refused_once_it_is_known_to_be_the_one(opened, fakes):
    fakes.slow.add(b"slow")
    pool = opened()
    error = refusal(pool, "slow")
    assert (error.status, error.code) == (504, "S615")
    assert fakes.batches == [[b"slow"]]
    assert pool.submit(order("after")).result(20).content == b"after"


def test_a_worker_that_dies_while_it_waits_is_replaced_before_it_gets_an_image(opened, fakes):
    pool = opened()
    fakes.workers[0].is_alive = False
    until(lambda: fakes.started == 2)
    assert pool.submit(order("a")).result(20).content == b"a"
    assert fakes.batches == [[b"a"]]


def test_images_that_nobody_waits_for_are_left_out(opened, fakes):
    fakes.gate.clear()
    pool = opened()
    first = pool.submit(order("a"))
    until(lambda: len(fakes.batches) == 1)
    given_up = [pool.submit(order("b")) for _ in range(3)]
    last = pool.submit(order("c"))
    assert all(future.cancel() for future in given_up)
    fakes.gate.set()
    assert (first.result(20).content, last.result(20).content) == (b"a", b"c")
    assert fakes.batches == [[b"a"], [b"c"]]


def test_closing_finishes_what_was_taken_and_refuses_the_rest(opened, fakes):
    pool = opened()
    fakes.gate.clear()
    futures = [pool.submit(order(f"{number}")) for number in range(9)]
    fakes.gate.set()
    pool.close()
    assert [future.result(0).content for future in futures] == [f"{number}".encode() for number in range(9)]
    error = refusal(pool, "late")
    assert (error.status, error.code, pool.ready) == (503, "S614", 0)


def test_a_model_that_cannot_be_loaded_is_an_error_of_the_start(opened, fakes):
    fakes.models = [CheckpointError("K420", "no run", "give one")]
    with pytest.raises(CheckpointError) as caught:
        opened(workers=3)
    assert caught.value.code == "K420"
    fakes.models = [MODEL, Died()]
    with pytest.raises(ResourceError) as died:
        opened(workers=2)
    assert died.value.code == "S613"


def test_workers_that_loaded_different_models_begin_again(opened, fakes):
    fakes.models = [MODEL, OTHER, OTHER, OTHER]
    assert opened(workers=2).model == OTHER


def test_a_new_model_takes_over_and_the_old_workers_finish(opened, fakes):
    pool = opened(workers=2)
    fakes.gate.clear()
    old = pool.submit(order("old"))
    until(lambda: len(fakes.batches) == 1)
    fakes.models = [OTHER, OTHER]
    fakes.gate.set()
    pool.reload()
    assert pool.model == OTHER
    assert old.result(20).content == b"old"
    assert pool.submit(order("new")).result(20).content == b"new"
    assert [worker.is_alive for worker in fakes.workers] == [False, False, True, True]


def test_a_new_model_that_cannot_be_loaded_leaves_the_old_one(opened, fakes):
    warned: list[str] = []
    pool = opened(observer=Told(warn=lambda code, _: warned.append(code)))
    fakes.models = [CheckpointError("K462", "damaged", "export it again")]
    pool.reload_in_background()
    assert warned == ["W615"]
    assert pool.model == MODEL
    assert pool.submit(order("a")).result(20).content == b"a"


def test_a_worker_that_finds_a_new_model_brings_it_to_all(opened, fakes):
    pool = opened(workers=2)
    fakes.models = [OTHER] * 9
    fakes.deaths = 1
    assert pool.submit(order("a")).result(20).content == b"a"
    until(lambda: pool.model == OTHER)


def test_a_worker_that_cannot_be_started_again_is_tried_again(opened, fakes):
    warned: list[str] = []
    pool = opened(observer=Told(warn=lambda code, _: warned.append(code)))
    fakes.models = [Died(), Died()]
    fakes.deaths = 1
    assert pool.submit(order("a")).result(20).content == b"a"
    assert warned == ["W614", "W614"]
