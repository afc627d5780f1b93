"""Requests per second of servers: `pixelwise serve` beside a plain handler around PyTorch.

    python benchmarks/serving.py --images FOLDER --run RUN [--onnx ARTEFACT] [--openvino ARTEFACT] [--rounds 5]

The peer is what most people write first: a POST handler that decodes the body with Pillow, runs the network in PyTorch,
takes the argmax and answers a PNG. It is written with Starlette, on which FastAPI is built and which has less to do for
a request; once with the handler in a thread pool, as FastAPI runs ordinary functions, and once in the event loop, as it
runs coroutines. All servers run the same network and answer the same requests, in turns, from clients that each send
one after the other. Writes measurements/serving.json and serving.md.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import psutil
from measuring import HERE, Sample, Summary, pipe, rates, ratios, write_result

PRODUCT = {"run": "pixelwise serve, run", "onnx": "pixelwise serve, ONNX", "openvino": "pixelwise serve, OpenVINO"}
PLAIN = {"pool": "plain handler in a thread pool", "loop": "plain handler in the event loop"}
READY = re.compile(r"serving (http://\S+)")


class Turn(NamedTuple):
    """A round of one server: its time, and the seconds of each request."""

    sample: Sample
    latencies: list[float]


def main() -> int:
    """Measure and write the result; with `--plain`, act as the peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of images")
    for name in PRODUCT:
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=60, help="requests of a round")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--plain", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain(Path(options.plain[0]), in_pool=options.plain[1] == "pool")
        return 0
    if options.images is None or options.run is None:
        parser.error("--images and --run are missing")
    bodies = [file.read_bytes() for file in sorted(options.images.rglob("*.png"))][: options.requests]
    commands = {
        label: [sys.executable, "-m", "pixelwise", "serve", str(network), "--port", "0"]
        for name, label in PRODUCT.items()
        if (network := getattr(options, name)) is not None
    }
    for kind, label in PLAIN.items():
        commands[label] = [sys.executable, str(Path(__file__).resolve()), "--plain", str(options.run), kind]
    turns = measure(commands, bodies, options)
    write(turns, options)
    return 0


def measure(
    commands: Mapping[str, list[str]], bodies: Sequence[bytes], options: argparse.Namespace
) -> dict[str, list[Turn]]:
    """One turn of every server in every round, after one that is not counted."""
    turns: dict[str, list[Turn]] = {name: [] for name in commands}
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(started(command)) for name, command in commands.items()}
        for number in range(-1, options.rounds):
            for name, (process, address) in running.items():
                cpu, wall = cpu_seconds(process.pid), time.perf_counter()
                latencies = load(address, bodies, options.requests, options.clients)
                sample = Sample(cpu_seconds(process.pid) - cpu, time.perf_counter() - wall)
                if number >= 0:
                    turns[name].append(Turn(sample, latencies))
                print(f"{number} {name}: {sample.wall_seconds:.2f} s, CPU {sample.cpu_seconds:.2f} s", flush=True)
    return turns


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that answers, and its address."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in pipe(process.stderr):
                if found := READY.search(line):
                    threading.Thread(target=pipe(process.stderr).read, daemon=True).start()
                    yield process, found[1]
                    return
            raise RuntimeError(f"{command} has ended")
        finally:
            process.send_signal(signal.SIGTERM)


def load(address: str, bodies: Sequence[bytes], requests: int, clients: int) -> list[float]:
    """Send requests from several clients; the seconds of each."""
    numbers, latencies = iter(range(requests)), []
    lock = threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection(urlsplit(address).netloc)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            start = time.perf_counter()
            connection.request("POST", "/predict", bodies[number % len(bodies)], {"Content-Type": "image/png"})
            answer = connection.getresponse()
            mask = answer.read()
            if answer.status != http.HTTPStatus.OK or not mask.startswith(b"\x89PNG"):
                raise RuntimeError(f"{address}: {answer.status} {mask[:200]!r}")
            latencies.append(time.perf_counter() - start)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(latencies) != requests:
        raise RuntimeError(f"{address}: {requests - len(latencies)} requests were lost")
    return latencies


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of those that it has started, so far."""
    process = psutil.Process(pid)
    return sum(one.cpu_times().user + one.cpu_times().system for one in (process, *process.children(recursive=True)))


def plain(run: Path, *, in_pool: bool) -> None:
    """Serve a run as most people would."""
    import numpy as np
    import torch
    import uvicorn
    from PIL import Image
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from pixelwise.prediction.loading import load as load_run
    from pixelwise.serving.server import address_of, bound

    model = load_run(run).model.eval()
    statistics_of = (model.preprocessing.mean, model.preprocessing.std)
    mean, std = (torch.tensor(values)[:, None, None] for values in statistics_of)

    def mask_of(body: bytes) -> bytes:
        pixels = torch.from_numpy(np.array(Image.open(io.BytesIO(body)).convert("RGB"))).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            labels = model(((pixels - mean) / std)[None]).argmax(1)[0]
        stream = io.BytesIO()
        Image.fromarray(labels.to(torch.uint8).numpy()).save(stream, "PNG")
        return stream.getvalue()

    async def predict(request: Request) -> Response:
        body = await request.body()
        mask = await run_in_threadpool(mask_of, body) if in_pool else mask_of(body)
        return Response(mask, media_type="image/png")

    door = bound("127.0.0.1", 0)
    door.listen()
    print(f"serving {address_of(door)}", file=sys.stderr, flush=True)
    config = uvicorn.Config(Starlette(routes=[Route("/predict", predict, methods=["POST"])]), log_level="error")
    uvicorn.Server(config).run([door])


def write(turns: Mapping[str, list[Turn]], options: argparse.Namespace) -> None:
    """Write the data and the page."""
    samples = {name: [turn.sample for turn in taken] for name, taken in turns.items()}
    speeds = {name: rates(taken, options.requests, "wall") for name, taken in samples.items()}
    processor = {name: rates(taken, options.requests) for name, taken in samples.items()}
    slowest = {name: percentile([turn.latencies for turn in taken], 0.99) for name, taken in turns.items()}
    ours = [name for name in samples if name not in PLAIN.values()]
    times = {
        f"{name} over {other}": (ratios(samples[name], samples[other], "wall"), ratios(samples[name], samples[other]))
        for name in ours
        for other in PLAIN.values()
    }
    command = (
        f"python benchmarks/serving.py --images FOLDER --run RUN --onnx ARTEFACT --openvino ARTEFACT --rounds "
        f"{options.rounds} --requests {options.requests} --clients {options.clients}"
    )
    content = {
        "command": command,
        "requests_per_second": {name: found._asdict() for name, found in speeds.items()},
        "requests_per_cpu_second": {name: found._asdict() for name, found in processor.items()},
        "p99_seconds": slowest,
        "times_faster": {name: {"wall": wall._asdict(), "cpu": cpu._asdict()} for name, (wall, cpu) in times.items()},
        "load_average": os.getloadavg(),
        "samples": msgspec.to_builtins(samples),
    }
    write_result("serving", content)
    lines = [
        "# Serving",
        "",
        f"`{command}`: {options.clients} clients, each of which sends one image after the other; median (minimum to "
        "maximum) of the rounds, in which the servers take turns. The peer is a handler that decodes the body with "
        "Pillow, runs the same network in PyTorch and answers the argmax as a PNG file, written with Starlette, on "
        "which FastAPI is built. The load average of the machine was "
        f"{os.getloadavg()[2]:.0f} meanwhile. On a busy machine only CPU times compare: the "
        "scheduler divides the cores among threads, of which the plain handlers have more.",
        "",
        "| | requests per second | requests per second of CPU time | p99 latency, s |",
        "|---|---|---|---|",
        *(
            f"| {name} | {words(found, 1)} | {words(processor[name], 1)} | {slowest[name]:.2f} |"
            for name, found in speeds.items()
        ),
        "",
        "| | times as fast, round by round | by CPU time |",
        "|---|---|---|",
        *(f"| {name} | {words(wall, 2)} | {words(cpu, 2)} |" for name, (wall, cpu) in times.items()),
    ]
    text = "\n".join(lines) + "\n"
    (HERE / "serving.md").write_text(text, "utf-8")
    print(text)


def percentile(rounds: Sequence[Sequence[float]], share: float) -> float:
    """A quantile of the requests of all rounds."""
    return statistics.quantiles([one for several in rounds for one in several], n=100)[round(share * 100) - 1]


def words(found: Summary, digits: int) -> str:
    """`15.3 (13.7 to 15.6)`."""
    return f"{found.median:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
