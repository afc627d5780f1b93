"""Images per second from files to masks: runs and artefacts beside plain loops, and beside an earlier Pixelwise.

    python benchmarks/prediction.py --data CamVid [--rounds 5] [--images 60] [--before SRC] [--peer NAME=COMMAND]

Every contender is a process that loads its network once, then predicts the same images in every round, in turns, and
writes one PNG mask per image; overlays are left out, which only Pixelwise draws. `--run`, `--onnx` and `--openvino`
name a run and its artefacts; without them, `unet` is trained for a minute on the data and exported.

`--before` is the folder `src` of an earlier Pixelwise, for example of `git worktree add ../before COMMIT`. A peer is a
command of any environment, for programs that cannot be installed beside this one: it prints `contender: ready`, then
for every line of its input, a folder, predicts all images of `{images}` into that folder and prints `contender: done`.
Behind `ready` it may say what its network is, as JSON: `network`, `parameters`, `gmacs`, `seen` (shape of its input).

`--ultralytics PYTHON` is the interpreter of an environment with ultralytics (AGPL-3.0, so not among our dependencies);
`ultralytics_peer.py` predicts there, by networks that ultralytics describes, with random weights
(`--ultralytics-model`, several times if wanted). They are other networks than ours: the page says how much each
computes. Writes measurements/NAME.json and NAME.md, `prediction` unless `--name` says otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from measuring import ANSWER, HERE, Sample, answer, pipe, rates, ratios, write_result

PRODUCT = {"run": "pixelwise, run", "onnx": "pixelwise, ONNX", "openvino": "pixelwise, OpenVINO"}
BEFORE = {"run": "before, run", "onnx": "before, ONNX", "openvino": "before, OpenVINO"}
PLAIN_TORCH, PLAIN_ONNX = "plain PyTorch loop", "plain ONNX Runtime loop"
ULTRALYTICS = "ultralytics, "
ENDINGS = (".png", ".jpg", ".jpeg")

Predict = Callable[[Path], object]
"""Predicts all images into a folder."""


def main() -> int:
    """Measure and write the result; with `--serve`, act as a contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of CamVid, prepared as a data set")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=60, help="number of images of the test split")
    for name in PRODUCT:
        parser.add_argument(f"--{name}", type=Path, help="default: made from the data")
    parser.add_argument("--before", type=Path, help="folder `src` of an earlier Pixelwise")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--ultralytics", type=Path, metavar="PYTHON", help="interpreter with ultralytics")
    parser.add_argument("--ultralytics-model", action="append", default=[], help="default: yolo26n-sem.yaml")
    parser.add_argument("--name", default="prediction", help="name of the page")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        kind, network, images = options.serve
        serve({"product": product, "torch": plain_torch, "onnx": plain_onnx}[kind](Path(network), Path(images)))
        return 0
    if options.data is None:
        parser.error("--data is missing: the folder of CamVid")
    with tempfile.TemporaryDirectory() as work:
        images = chosen_images(options.data, options.images, Path(work) / "images")
        networks = {name: getattr(options, name) for name in PRODUCT}
        make_missing(networks, options.data, Path(work))
        commands = contenders(networks, images, options.before, options.peer)
        if options.ultralytics is not None:
            commands |= ultralytics(options.ultralytics, options.ultralytics_model or ["yolo26n-sem.yaml"], images)
        samples, facts = measure(commands, options.rounds, Path(work) / "masks")
        facts = {PRODUCT["run"]: facts_of(Path(networks["run"] or work), images)} | facts
        count = len(list(images.iterdir()))
    write(options.name, samples, facts, count, options.rounds)
    return 0


def chosen_images(data: Path, count: int, folder: Path) -> Path:
    """A folder of links to the first images of the test split."""
    folder.mkdir()
    found = sorted(file for file in (data / "images" / "test").rglob("*") if file.suffix.lower() in ENDINGS)
    if not found:
        raise SystemExit(f"{data / 'images' / 'test'}: no images")
    for file in found[:count]:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def make_missing(networks: dict[str, Path | None], data: Path, work: Path) -> None:
    """Train a run and export it, as far as they are not given."""
    command = [sys.executable, "-m", "pixelwise"]
    if networks["run"] is None:
        networks["run"] = work / "run"
        subprocess.run([*command, "train", str(data), "--minutes", "1", "-o", str(networks["run"])], check=True)
    for name in ("onnx", "openvino"):
        if networks[name] is None:
            networks[name] = work / name
            run = str(networks["run"])
            subprocess.run([*command, "export", run, "--target", name, "-o", str(networks[name])], check=True)


def contenders(
    networks: Mapping[str, Path | None], images: Path, before: Path | None, peers: Sequence[str]
) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Name of each contender -> its command, and what differs in its environment."""

    def serving(kind: str, network: str) -> list[str]:
        return [sys.executable, str(Path(__file__).resolve()), "--serve", kind, str(networks[network]), str(images)]

    found: dict[str, tuple[list[str], dict[str, str]]] = {}
    for name, ours in PRODUCT.items():
        found[ours] = serving("product", name), {}
        if before is not None:
            found[BEFORE[name]] = serving("product", name), {"PYTHONPATH": str(before.resolve())}
    found[PLAIN_TORCH] = serving("torch", "run"), {}
    found[PLAIN_ONNX] = serving("onnx", "onnx"), {}
    for peer in peers:
        name, _, command = peer.partition("=")
        found[name] = [part.replace("{images}", str(images)) for part in shlex.split(command)], {}
    return found


def ultralytics(python: Path, models: Sequence[str], images: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """A contender for each network of ultralytics, which sees images at their own size, as ours do."""
    from PIL import Image

    longest = max(Image.open(next(images.iterdir())).size)
    script = str(HERE / "ultralytics_peer.py")
    return {
        f"{ULTRALYTICS}{Path(model).stem}": ([str(python), script, model, str(images), str(longest)], {})
        for model in models
    }


def facts_of(run: Path, images: Path) -> dict[str, object]:
    """What the network of a run is, and what it computes for an image, counted as ultralytics' networks are."""
    import torch
    from PIL import Image
    from torch.utils.flop_counter import FlopCounterMode

    from pixelwise.prediction.loading import load

    model = load(run).model.eval()
    width, height = Image.open(next(images.iterdir())).size
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(1, 3, height, width))
    return {
        "network": model.spec.family if hasattr(model.spec, "family") else type(model).__name__,
        "gmacs": counter.get_total_flops() / 2e9,
        "parameters": sum(one.numel() for one in model.parameters()),
        "seen": [1, 3, height, width],
    }


def measure(
    commands: Mapping[str, tuple[list[str], dict[str, str]]], rounds: int, masks: Path
) -> tuple[dict[str, list[Sample]], dict[str, dict[str, object]]]:
    """One turn of every contender in every round, after one that is not counted; and what some say of themselves."""
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    facts: dict[str, dict[str, object]] = {}
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(started(*command)) for name, command in commands.items()}
        for name, process in running.items():
            said = answer(process).removeprefix("ready").strip()
            if said:
                facts[name] = json.loads(said)
        for number in range(-1, rounds):
            for name, process in running.items():
                folder = masks / f"{number + 1}-{len(samples[name])}-{list(running).index(name)}"
                folder.mkdir(parents=True)
                cpu, wall = cpu_seconds(process), time.perf_counter()
                stream = pipe(process.stdin)
                stream.write(f"{folder}\n")
                stream.flush()
                answer(process)
                sample = Sample(cpu_seconds(process) - cpu, time.perf_counter() - wall)
                if number >= 0:
                    samples[name].append(sample)
                print(f"{number} {name}: {sample.wall_seconds:.2f} s, CPU {sample.cpu_seconds:.2f} s", flush=True)
    return samples, facts


@contextlib.contextmanager
def started(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A contender that loads its network, and says when it has."""
    with subprocess.Popen(
        command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """CPU time of all threads of a process so far (Linux)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve(predict: Predict) -> None:
    """Predict whenever a folder is named."""
    print(f"{ANSWER}ready", flush=True)
    for line in sys.stdin:
        predict(Path(line.strip()))
        print(f"{ANSWER}done", flush=True)


def product(network: Path, images: Path) -> Predict:
    """Predict with this Pixelwise, or with the earlier one whose folder is in PYTHONPATH."""
    from pixelwise.prediction.loading import load
    from pixelwise.prediction.predict import predict_paths

    segmenter = load(network)
    return lambda folder: predict_paths(segmenter, [images], folder, overlay=False)


def plain_torch(network: Path, images: Path) -> Predict:
    """Predict as most scripts do: Pillow, PyTorch, argmax of the logits at full size, Pillow."""
    import numpy as np
    import torch
    from PIL import Image

    from pixelwise.prediction.loading import load

    model = load(network).model.eval()
    mean, std = (torch.tensor(values)[:, None, None] for values in normalization(model.preprocessing))

    def predict(folder: Path) -> None:
        for file in sorted(images.iterdir()):
            pixels = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1).float() / 255
            with torch.inference_mode():
                labels = model(((pixels - mean) / std)[None]).argmax(1)[0]
            Image.fromarray(labels.to(torch.uint8).numpy()).save(folder / f"{file.stem}.png")

    return predict


def plain_onnx(network: Path, images: Path) -> Predict:
    """Predict as most scripts do with ONNX Runtime: Pillow, NumPy, a session with its defaults, argmax, Pillow."""
    import numpy as np
    import onnxruntime
    from PIL import Image

    from pixelwise.prediction.loading import load

    statistics = normalization(load(network).model.preprocessing)
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in statistics)
    session = onnxruntime.InferenceSession(network / "model.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def predict(folder: Path) -> None:
        for file in sorted(images.iterdir()):
            pixels = np.asarray(Image.open(file).convert("RGB"), np.float32).transpose(2, 0, 1) / 255
            logits = np.asarray(session.run(None, {name: ((pixels - mean) / std)[None]})[0])
            Image.fromarray(logits[0].argmax(0).astype(np.uint8)).save(folder / f"{file.stem}.png")

    return predict


def normalization(preprocessing: object) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of each channel."""
    return preprocessing.mean, preprocessing.std  # type: ignore[attr-defined]


def write(
    name: str, samples: Mapping[str, list[Sample]], facts: Mapping[str, dict[str, object]], images: int, rounds: int
) -> None:
    """Write the data and the page."""
    speeds = {one: rates(taken, images, "wall")._asdict() for one, taken in samples.items()}
    processor = {one: rates(taken, images)._asdict() for one, taken in samples.items()}
    times = {
        f"{ours} over {other}": ratios(samples[ours], samples[other], "wall")._asdict()
        for ours in PRODUCT.values()
        for other in samples
        if other not in PRODUCT.values()
    }
    command = f"python benchmarks/prediction.py --data CamVid --rounds {rounds} --images {images}"
    if name != "prediction":
        command += f" --name {name}"
    theirs = [str(one["network"]) for one_name, one in facts.items() if one_name.startswith(ULTRALYTICS)]
    if theirs:
        command += " --ultralytics PYTHON" + "".join(f" --ultralytics-model {one}.yaml" for one in theirs)
    content = {"command": command, "images_per_second": speeds, "images_per_cpu_second": processor}
    content["networks"] = dict(facts)
    write_result(name, {**content, "times_faster": times, "samples": msgspec.to_builtins(samples)})
    text = page(command, images, {"wall": speeds, "cpu": processor, "times": times}, facts)
    (HERE / f"{name}.md").write_text(text, "utf-8")
    print(text)


def page(
    command: str,
    images: int,
    found: Mapping[str, Mapping[str, dict[str, float]]],
    facts: Mapping[str, dict[str, object]],
) -> str:
    """The page of the result."""

    def words(one: dict[str, float], digits: int) -> str:
        return f"{one['median']:.{digits}f} ({one['low']:.{digits}f} to {one['high']:.{digits}f})"

    others = [name for name in facts if name != PRODUCT["run"]]
    same = "The networks are the same"
    if others:
        same = f"The networks are the same, except for {'; '.join(others)}: these are others, with random weights"
    lines = [
        "# Prediction",
        "",
        f"`{command}`: {images} images of 480x360 from PNG files to PNG masks, without overlays; median (minimum to "
        f"maximum) of the rounds. Contenders take turns in processes that have loaded their networks. {same}. "
        "Pixelwise also writes every file so that a power cut leaves it whole, and notes what is done.",
        "",
        "| | images per second | images per second of CPU time |",
        "|---|---|---|",
        *(f"| {name} | {words(one, 1)} | {words(found['cpu'][name], 1)} |" for name, one in found["wall"].items()),
        "",
        "| | times as fast, round by round |",
        "|---|---|",
        *(f"| {name} | {words(one, 2)} |" for name, one in found["times"].items()),
    ]
    if others:
        lines += [
            "",
            "Networks that compute more take longer, whoever runs them: set the rates against the multiply-accumulates "
            "(counted by PyTorch, convolutions and matrix products, for one image).",
            "",
            "| | network | parameters, M | GMACs | sees, HxW |",
            "|---|---|---|---|---|",
            *(
                f"| {name} | {one['network']} | {one['parameters'] / 1e6:.1f} | {one['gmacs']:.2f} "  # type: ignore[operator]
                f"| {one['seen'][2]}x{one['seen'][3]} |"  # type: ignore[index]
                for name, one in facts.items()
            ),
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
