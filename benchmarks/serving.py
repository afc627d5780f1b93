"""Requests per second of servers: `pixelwise serve` beside a plain handler around PyTorch.

    python benchmarks/serving.py --network IMAGES RUN [ARTEFACT ...] [--network ...] [--rounds 4] [--requests 24]

IMAGES is a folder of PNG files, RUN a run folder, and each ARTEFACT an export of it; `--network` can be given several
times. All servers of a network are started first, and then answer the same requests, in turns, from clients that each
send one after the other.

The peer is what most people write first: a POST handler that decodes the body with Pillow, runs the network in PyTorch
with its default number of threads, takes the argmax and answers a PNG by Pillow. It is written with Starlette, on which
FastAPI is built and which has less to do for a request; once with the handler in a thread pool, as FastAPI runs
ordinary functions, and once in the event loop, as it runs coroutines.

Afterwards a worker answers the same requests in a process of its own with one thread, and the processor time of its
parts is counted. Writes measurements/serving.json and serving.md.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import io
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import psutil
from measuring import ANSWER, HERE, RESULTS, Sample, answer, pipe, rates, ratios, write_result

from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.samples import Reading
from pixelwise.machine.facts import machine_facts
from pixelwise.records.run_folder import read_recipe
from pixelwise.runtimes import find_target, read_sidecar

PLAIN = {"pool": "plain handler in a thread pool", "loop": "plain handler in the event loop"}
READY = re.compile(r"serving (http://\S+)")
GOAL = 3.0
"""Times the speed of a plain handler that an artefact is meant to reach."""
QUIET = 0.1
"""Cores that others may use without spoiling the measurement."""
READING, NETWORK, ENCODING, REST = "reading the image", "the network", "writing the PNG", "everything else"
FRONT = "the server's own process"


class Turn(NamedTuple):
    """A round of one server.

    Attributes:
        sample: Its time; that of the processor includes all processes of the server.
        front: Processor time of the process that is connected with the clients.
        latencies: Seconds of each request.
        others: Average number of cores used by processes outside this benchmark.
    """

    sample: Sample
    front: float
    latencies: list[float]
    others: float


def main() -> int:
    """Measure and write the result; with `--plain` or `--parts`, act as a process of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--network", nargs="+", action="append", type=Path, metavar="PATH", help="IMAGES RUN ARTEFACT ..."
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--requests", type=int, default=24, help="requests of a round")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--keep", action="store_true", help="keep what was measured of other networks")
    parser.add_argument("--tables", action="store_true", help="measure nothing; write the page again")
    parser.add_argument("--plain", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--parts", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain(Path(options.plain[0]), in_pool=options.plain[1] == "pool")
        return 0
    if options.parts:
        images, network = map(Path, options.parts)
        print(ANSWER + msgspec.json.encode(parts_of(images, network, options.requests)).decode(), flush=True)
        return 0
    if options.tables:
        content = msgspec.json.decode((RESULTS / "serving.json").read_bytes())
    elif not options.network or min(map(len, options.network)) < 2:
        parser.error("--network takes a folder of images, a run and its artefacts")
    else:
        networks = [measured(images, run, artefacts, options) for images, run, *artefacts in options.network]
        if options.keep:
            again = {network["recipe"] for network in networks}
            before = msgspec.json.decode((RESULTS / "serving.json").read_bytes())["networks"]
            networks = [network for network in before if network["recipe"] not in again] + networks
        content = {
            "command": "python benchmarks/serving.py --network IMAGES RUN ARTEFACT... "
            f"--rounds {options.rounds} --requests {options.requests} --clients {options.clients}",
            "clients": options.clients,
            "machine": msgspec.to_builtins(machine_facts()),
            "networks": networks,
        }
        write_result("serving", content)
    text = page(content)
    (HERE / "serving.md").write_text(text, "utf-8")
    print(text)
    return 0


def measured(images: Path, run: Path, artefacts: Sequence[Path], options: argparse.Namespace) -> dict[str, Any]:
    """All that is measured of one network."""
    files = png_files(images, options.requests)
    sizes = [read_image(file, Reading()).shape[:2] for file in files]
    served = {"pixelwise serve, run": run} | {f"pixelwise serve, {label_of(one)}": one for one in artefacts}
    commands = {
        label: [sys.executable, "-m", "pixelwise", "serve", str(network), "--port", "0"]
        for label, network in served.items()
    } | {
        label: [sys.executable, str(Path(__file__).resolve()), "--plain", str(run), kind]
        for kind, label in PLAIN.items()
    }
    turns = measure(commands, [file.read_bytes() for file in files], options)
    samples = {name: [turn.sample for turn in taken] for name, taken in turns.items()}
    return {
        "recipe": read_recipe(run).name,
        "requests": options.requests,
        "pixels": statistics.mean(height * width for height, width in sizes),
        "size": statistics.mode(sizes),
        "others": statistics.median(turn.others for taken in turns.values() for turn in taken),
        "servers": {name: facts_of(taken, options.requests) for name, taken in turns.items()},
        "times": {
            name: {
                other: {clock: ratios(samples[name], samples[other], clock)._asdict() for clock in ("wall", "cpu")}
                for other in PLAIN.values()
            }
            for name in served
        },
        "parts": {name: parts(images, network, turns[name], options.requests) for name, network in served.items()},
        "samples": msgspec.to_builtins(samples),
    }


def label_of(artefact: Path) -> str:
    """`ONNX Runtime, int8`."""
    sidecar, _ = read_sidecar(artefact)
    return find_target(sidecar.runtime).label + (", int8" if sidecar.precision == "int8" else "")


def png_files(images: Path, most: int) -> list[Path]:
    """Evenly spaced PNG files of a folder."""
    files = sorted(images.rglob("*.png"))
    return files[:: max(1, len(files) // most)][:most]


def facts_of(turns: Sequence[Turn], requests: int) -> dict[str, Any]:
    """What the page says of a server."""
    samples = [turn.sample for turn in turns]
    latencies = [seconds for turn in turns for seconds in turn.latencies]
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {
        "per_second": rates(samples, requests, "wall")._asdict(),
        "per_cpu_second": rates(samples, requests)._asdict(),
        "p50_seconds": cuts[49],
        "p99_seconds": cuts[98],
    }


def measure(
    commands: Mapping[str, list[str]], bodies: Sequence[bytes], options: argparse.Namespace
) -> dict[str, list[Turn]]:
    """One turn of every server in every round, after one that is not counted; the order rotates."""
    turns: dict[str, list[Turn]] = {name: [] for name in commands}
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(started(command)) for name, command in commands.items()}
        names = list(running)
        for number in range(-1, options.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                turn = take_turn(*running[name], bodies, options)
                if number >= 0:
                    turns[name].append(turn)
                sample = turn.sample
                print(
                    f"{number} {name}: {sample.wall_seconds:.2f} s, CPU {sample.cpu_seconds:.2f} s, "
                    f"others {turn.others:.2f} cores",
                    flush=True,
                )
    return turns


def take_turn(
    process: subprocess.Popen[str], address: str, bodies: Sequence[bytes], options: argparse.Namespace
) -> Turn:
    """Let a server answer a round of requests."""
    front, workers = cpu_seconds(process.pid)
    own, busy, start = time.process_time(), busy_seconds(), time.perf_counter()
    latencies = load(address, bodies, options.requests, options.clients)
    took, used = time.perf_counter() - start, busy_seconds() - busy
    after_front, after_workers = cpu_seconds(process.pid)
    mine = after_front - front + after_workers - workers
    others = max(0.0, (used - mine - (time.process_time() - own)) / took)
    return Turn(Sample(mine, took), after_front - front, latencies, others)


def busy_seconds() -> float:
    """Processor time of all processes of this machine since it was started."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)


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
            reply = connection.getresponse()
            mask = reply.read()
            if reply.status != http.HTTPStatus.OK or not mask.startswith(b"\x89PNG"):
                raise RuntimeError(f"{address}: {reply.status} {mask[:200]!r}")
            latencies.append(time.perf_counter() - start)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(latencies) != requests:
        raise RuntimeError(f"{address}: {requests - len(latencies)} requests were lost")
    return latencies


def cpu_seconds(pid: int) -> tuple[float, float]:
    """CPU time of a process so far, and of those that it has started."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    first, *rest = [one.user + one.system for one in times]
    return first, sum(rest)


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

    segmenter = load_run(run)
    model = segmenter.model.eval()
    statistics_of = (model.preprocessing.mean, model.preprocessing.std)
    mean, std = (torch.tensor(values)[:, None, None] for values in statistics_of)

    def mask_of(body: bytes) -> bytes:
        picture = Image.open(io.BytesIO(body)).convert("RGB")
        # Of the size that the recipe's protocol shows to the network, so that both compute the same.
        height, width = segmenter.seen_size((picture.height, picture.width))
        seen = picture if picture.size == (width, height) else picture.resize((width, height))
        pixels = torch.from_numpy(np.array(seen)).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            labels = model(((pixels - mean) / std)[None]).argmax(1)[0]
        stream = io.BytesIO()
        mask = Image.fromarray(labels.to(torch.uint8).numpy())
        (mask if seen is picture else mask.resize(picture.size, Image.Resampling.NEAREST)).save(stream, "PNG")
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


def parts(images: Path, network: Path, turns: Sequence[Turn], requests: int) -> dict[str, float]:
    """Milliseconds of processor time of a request, by what they are spent on."""
    command = [sys.executable, __file__, "--parts", str(images), str(network), "--requests", str(requests)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        found = msgspec.json.decode(answer(process), type=dict[str, float])
    return found | {FRONT: 1000 * statistics.median(turn.front for turn in turns) / requests}


def parts_of(images: Path, network: Path, requests: int) -> dict[str, float]:
    """The parts of a request in a worker, in this process with one thread."""
    from pixelwise.runtimes import ArtefactModel
    from pixelwise.serving import work
    from pixelwise.serving.messages import Order

    spent: dict[str, float] = defaultdict(float)

    def timed(owner: Any, name: str, part: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(function)
        def watched(*given: Any, **named: Any) -> Any:
            start = time.process_time()
            try:
                return function(*given, **named)
            finally:
                spent[part] += time.process_time() - start

        setattr(owner, name, watched)

    with tempfile.TemporaryDirectory() as scratch:
        handler = work.handler_of(work.Job(network, 1, 1 << 30), Path(scratch), lambda _: None)
        orders = [Order(number=0, content=file.read_bytes()) for file in png_files(images, requests)]
        for order in orders[:2]:
            handler.handle([order])
        timed(work, "read_input", READING)
        timed(work, "answer", ENCODING)
        model = handler._segmenter.model
        timed(model, "run" if isinstance(model, ArtefactModel) else "head_logits", NETWORK)
        start = time.process_time()
        for number in range(requests):
            handler.handle([orders[number % len(orders)]])
        total = time.process_time() - start
    spent[REST] = total - sum(spent.values())
    return {part: 1000 * seconds / requests for part, seconds in spent.items()}


def page(content: Mapping[str, Any]) -> str:
    """The page of a result."""
    machine, clients = content["machine"], content["clients"]
    lines = [
        "# Serving",
        "",
        f"`{content['command']}` on {machine['cores']} cores ({machine['cpu']}): {clients} clients, each of which "
        "sends one image after the other; median (minimum to maximum) of the rounds, in "
        "which the servers take turns. The peer is a handler that decodes the body with Pillow, runs the same network "
        "in PyTorch and answers the argmax as a PNG file, written with Starlette, on which FastAPI is built. The last "
        "columns compare with the plain handler in a thread pool, as FastAPI runs ordinary functions, round by round, "
        f"by time and by processor time; an artefact is meant to be {GOAL:g} times as fast.",
    ]
    for network in content["networks"]:
        lines += ["", *network_lines(network)]
    return "\n".join(lines) + "\n"


def network_lines(network: Mapping[str, Any]) -> list[str]:
    """The tables of a network."""
    height, width = network["size"]
    others = f"Other processes of the machine used {network['others']:.2f} cores during the median turn"
    if network["others"] > QUIET:
        others += ", so the rates per second of wall-clock time say little, and processor time compares"
    lines = [
        f"## {network['recipe']}",
        "",
        f"{network['requests']} images in a round, most of them {width}x{height}.",
        "",
        "| | requests per second | per processor second | p50, s | p99, s | times as fast | by processor time |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, facts in network["servers"].items():
        rate, work = (words(facts[key], 1) for key in ("per_second", "per_cpu_second"))
        times = network["times"].get(name, {}).get(PLAIN["pool"])
        ratio = [words(times[clock], 2) for clock in ("wall", "cpu")] if times else ["-", "-"]
        # Rounds that were taken from the output of an interrupted run have no latencies.
        waits = [facts.get(key) for key in ("p50_seconds", "p99_seconds")]
        cells = [name, rate, work, *("-" if one is None else f"{one:.2f}" for one in waits), *ratio]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"{others}."]
    if "note" in network:
        lines += ["", network["note"]]
    if not network["parts"]:
        return lines
    lines += ["", "Milliseconds of processor time of a request:", ""]
    columns = (READING, NETWORK, ENCODING, REST, FRONT)
    lines += [f"| | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for name, found in network["parts"].items():
        lines.append(f"| {name} | {' | '.join(f'{found[part]:.1f}' for part in columns)} |")
    return lines


def words(found: Mapping[str, float], digits: int) -> str:
    """`15.3 (13.7 to 15.6)`."""
    return "{median:.{0}f} ({low:.{0}f} to {high:.{0}f})".format(digits, **found)


if __name__ == "__main__":
    sys.exit(main())
