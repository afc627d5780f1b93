from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn

from pixelwise.serving.app import application
from pixelwise.serving.server import address_of, bound
from pixelwise.serving.service import Service


@contextlib.contextmanager
def _listening(service: Service) -> Iterator[str]:
    door = bound("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(application(service), lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, args=([door],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield address_of(door)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def listening() -> Callable[[Service], contextlib.AbstractContextManager[str]]:
    """Have a service listen in a thread: the context gives its address."""
    return _listening
