"""Counters of a server, in the text format of Prometheus."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets for latencies."""
IMAGES = (1, 2, 4, 8, 16, 32, 64)
"""Upper bounds of the buckets for batches."""


class Histogram:
    """Counts of values up to each of several bounds.

    Args:
        bounds: The bounds, ascending.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    @property
    def mean(self) -> float | None:
        """Mean of the values; None before the first one."""
        count = sum(self._counts)
        return self._sum / count if count else None

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterable[str]:
        """The samples."""
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """What is counted; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._counted: Counter[str] = Counter()
        self._latency, self._batches, self._work = Histogram(SECONDS), Histogram(IMAGES), Histogram(SECONDS)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            path: The route, not the path that a client sent.
            status: Status of the answer.
            seconds: From its first byte to the last one of the answer.
        """
        with self._lock:
            self._requests[path, status] += 1
            if path in PREDICTING and status < _REFUSED:
                self._latency.add(seconds)

    def batch(self, images: int, seconds: float) -> None:
        """Count a batch that a worker has answered."""
        with self._lock:
            self._batches.add(images)
            self._work.add(seconds / images)

    def count(self, name: str) -> None:
        """Count an event of `EVENTS`."""
        with self._lock:
            self._counted[name] += 1

    @property
    def seconds_per_image(self) -> float | None:
        """Mean time of a worker for an image; None before the first one."""
        with self._lock:
            return self._work.mean

    def text(self, now: Mapping[str, float]) -> str:
        """All samples.

        Args:
            now: Values of `GAUGES`.
        """
        with self._lock:
            lines = [*_head("pixelwise_requests_total", "counter", "Requests answered, by route and status.")]
            for (path, status), number in sorted(self._requests.items()):
                lines.append(f'pixelwise_requests_total{{route="{path}",status="{status}"}} {number}')
            for name, text in EVENTS.items():
                lines += [*_head(f"pixelwise_{name}_total", "counter", text)]
                lines.append(f"pixelwise_{name}_total {self._counted[name]}")
            for name, text in GAUGES.items():
                lines += [*_head(f"pixelwise_{name}", "gauge", text), f"pixelwise_{name} {now[name]:g}"]
            for name, text, histogram in (
                ("request_seconds", "Time from a request for a prediction to its answer.", self._latency),
                ("image_seconds", "Time of a worker for an image: the time of a batch over its size.", self._work),
                ("batch_images", "Images that a worker was given at a time.", self._batches),
            ):
                lines += [*_head(f"pixelwise_{name}", "histogram", text), *histogram.lines(f"pixelwise_{name}")]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


_REFUSED = 400
PREDICTING = ("/predict", "/v2/models/{name}/infer")
"""Routes whose latency is counted, if they answer with predictions."""
EVENTS = {
    "worker_deaths": "Workers that died or were killed.",
    "retries": "Images that were given to another worker, because theirs died.",
    "timeouts": "Workers that were killed because they took too long.",
    "reloads": "Models that took the place of the one before.",
}
GAUGES = {
    "queue_images": "Images that wait for a worker.",
    "requests_in_progress": "Requests that were taken and are not answered yet.",
    "workers_ready": "Workers that have loaded the model.",
}
