"""Exports every distinct network to a dynamic ONNX graph and compares ONNX Runtime with PyTorch at several sizes.

    python benchmarks/export_sweep.py [--only NAME ...] [--largest 12e6]

Each network has random weights and normalisation statistics that fit its activations: with the statistics of a new
network, the logits of a deep one are almost equal, and comparing them would mean nothing. Results are added to
benchmarks/measurements/export_sweep.json as they arrive (existing ones are repeated only with --again);
benchmarks/export.md is written from that file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import describe, sealed
from pixelwise.deployment.export.sources import open_source
from pixelwise.deployment.export.verification import compare
from pixelwise.deployment.export.writing import write_artefact
from pixelwise.models import build_model
from pixelwise.prediction.sizes import RESIZE
from pixelwise.runtimes.artefact import load_artefact
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions
from pixelwise.runtimes.sidecar import NAME, write_sidecar
from pixelwise.runtimes.targets import find_target
from pixelwise.storage import write_text
from pixelwise.testing.exporting import distinct_networks, settled

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "measurements" / "export_sweep.json"
TABLE = HERE / "export.md"
SIZES = ((64, 96), (96, 64), (75, 110))
CLASSES = 5


def sweep_one(name: str) -> dict:
    """Export one network for any size and compare it at every size."""
    began = time.monotonic()
    source = open_source(name, "none", CLASSES)
    network = ExportedNetwork(settled(source.model), GraphOptions(dynamic=True, size=SIZES[0])).eval()
    with tempfile.TemporaryDirectory() as folder:
        files = write_artefact(network, find_target("onnx"), Path(folder))
        seconds = time.monotonic() - began
        target = find_target("onnx")
        write_sidecar(sealed(describe(network, source, target), target, files), Path(folder) / f"{NAME}.toml")
        artefact = load_artefact(files[0])
        megabytes = files[0].stat().st_size / 1e6
        rows = []
        for size in SIZES:
            scene = RESIZE["antialiased"](draw_scene(0, 0, SIZES[0])[0], size)
            found = compare(network, artefact, [scene])
            rows.append(
                {
                    "height": size[0],
                    "width": size[1],
                    "max_difference": found.max_difference,
                    "logit_range": found.logit_range,
                    "equal_pixels": found.equal_pixels,
                }
            )
    return {"network": type(source.model).__name__, "megabytes": megabytes, "export_seconds": seconds, "sizes": rows}


def table(results: dict) -> str:
    """The page for the results."""
    networks, versions = results["networks"], results["versions"]
    sizes = ", ".join(f"{height}x{width}" for height, width in SIZES)
    lines = [
        "# Distinct networks in ONNX Runtime",
        "",
        f"`python benchmarks/export_sweep.py`: torch {versions['torch']}, onnxruntime {versions['onnxruntime']},",
        "one thread of a CPU. Each network is exported once, for any batch and size, and compared with PyTorch on a",
        f"synthetic street scene at {sizes} (height x width); {CLASSES} classes, random weights.",
        "Differences are the largest over the sizes, relative to the range of the logits; the share of equal pixels is",
        f"the smallest. {len(networks)} networks have been run; the catalogue has {len(distinct_networks())} distinct "
        "ones. One",
        "pixel of 64x96 is 0.016 %: random weights leave a few pixels so close to a tie that rounding decides them.",
        "",
        "| recipe | network | MB | largest difference / range | equal pixels |",
        "|---|---|---:|---:|---:|",
    ]
    for name, entry in sorted(networks.items(), key=lambda item: item[1]["megabytes"]):
        worst = max(row["max_difference"] / row["logit_range"] for row in entry["sizes"])
        equal = min(row["equal_pixels"] for row in entry["sizes"])
        lines.append(f"| {name} | {entry['network']} | {entry['megabytes']:.1f} | {worst:.1e} | {100 * equal:.3f} % |")
    return "\n".join(lines) + "\n"


def parameters(name: str) -> int:
    """Number of parameters of a recipe's network."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(name, CLASSES).parameters())


def main() -> int:
    """Run the chosen networks, smallest first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of recipes")
    parser.add_argument("--largest", type=float, default=float("inf"), help="skip networks with more parameters")
    parser.add_argument("--again", action="store_true", help="repeat networks that already have a result")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"networks": {}}
    results["versions"] = {
        "torch": torch.__version__.partition("+")[0],
        "onnxruntime": importlib.metadata.version("onnxruntime"),
    }
    counted = {name: parameters(name) for name in arguments.only or distinct_networks()}
    failed = 0
    for name in sorted(counted, key=counted.__getitem__):
        if counted[name] > arguments.largest or (name in results["networks"] and not arguments.again):
            continue
        try:
            results["networks"][name] = sweep_one(name)
        except Exception as error:  # continue with the other networks
            failed += 1
            print(f"{name}: {error}", file=sys.stderr)
            continue
        print(name, results["networks"][name]["sizes"], flush=True)
        write_text(RESULTS, json.dumps(results, indent=1) + "\n")
        write_text(TABLE, table(results))
    write_text(TABLE, table(results))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
