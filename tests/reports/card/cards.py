"""A deploy card whose numbers are written down."""

from __future__ import annotations

import msgspec

from pixelwise.deployment.card.candidates import Shape
from pixelwise.deployment.card.card import DeployCard
from pixelwise.deployment.card.rows import CardRow
from pixelwise.machine.facts import Machine
from pixelwise.profiling.latency import Latency

MACHINE = Machine(
    cpu="A <fast> CPU",
    cores=2,
    threads=1,
    gpu=None,
    memory_bytes=2**34,
    platform="Linux",
    features=("avx2", "amx_int8"),
)


def timed(runtime: str, *seconds: float) -> tuple[Latency, ...]:
    return tuple(
        Latency(
            runtime=runtime, threads=index + 1, batch=1, size=(48, 64), rounds=5, median_seconds=value,
            p99_seconds=2 * value, images_per_second=1 / value, peak_memory_bytes=2**29, loaded_memory_bytes=2**28,
        )
        for index, value in enumerate(seconds)
    )  # fmt: skip


def make_card(budget: float | None = 0.5, *, labels: bool = True) -> DeployCard:
    rows = (
        CardRow(name="PyTorch", runtime="torch", precision="float32", size_bytes=1_500_000, miou=0.6, miou_drop=0.0,
                equal_pixels=1.0, latencies=timed("torch", 0.04, 0.03)),
        CardRow(name="ONNX Runtime", runtime="onnx", precision="float32", folder="onnx", size_bytes=1_400_000,
                miou=0.6, miou_drop=-1e-6, equal_pixels=0.9999999, latencies=timed("onnx", 0.02, 0.015)),
        CardRow(name="ONNX Runtime, int8 after training", runtime="onnx", precision="int8", method="ptq",
                folder="onnx-int8-ptq", size_bytes=400_000, miou=0.588, miou_drop=0.012, equal_pixels=0.97,
                latencies=timed("onnx", 0.008, 0.006)),
        CardRow(name="ExecuTorch", runtime="executorch", precision="float32", folder="executorch",
                reason="[R240] the package <x|y> is missing"),
    )  # fmt: skip
    if not labels:
        rows = tuple(msgspec.structs.replace(row, miou=None, miou_drop=None) for row in rows)
    return DeployCard(
        recipe="town_demo", recipe_hash="ab" * 32, weights_sha256="cd" * 32, weights="ema", source="val of town",
        split="val" if labels else "", protocol="native" if labels else "", images=2, seen_size=(48, 64),
        shape=Shape(size=(48, 64), dynamic=False), threads=(1, 2), rounds=5, max_miou_drop=budget, machine=MACHINE,
        versions={"python": "3.11"}, rows=rows,
    )  # fmt: skip
