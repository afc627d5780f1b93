"""Pages of an application at an address of this computer, for browsers."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def served(application: Any, port: int = 0) -> Iterator[str]:
    """Where an ASGI application is served during the block, such as `http://127.0.0.1:40001`."""
    import uvicorn

    from pixelwise.pages.serving import listening

    listener = listening(port)
    settings = uvicorn.Config(application, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
