"""Ray Train: one run on the GPUs of a Ray cluster.

    python ray_train.py segformer-b0-cityscapes /shared/Cityscapes /shared/runs/segformer --workers 16

Needs `pip install 'ray[train]'` beside Pixelwise on all nodes, and folders that all of them see. Ray starts the
processes and connects them; Pixelwise finds them connected. If a node is lost, Ray starts all of them again, and the
run goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pixelwise


def work(call: dict[str, Any]) -> None:
    """What each process does: begin the run together with the others, or go on with it."""
    if (Path(call["run"]) / "recipe.toml").exists():
        pixelwise.resume(call["run"])
    else:
        pixelwise.train(call["recipe"], call["data"], call["run"], overrides=call["overrides"])


def main() -> None:
    """Start the processes and wait for them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("data")
    parser.add_argument("run", type=Path)
    parser.add_argument("overrides", nargs="*", help="changes to the recipe, such as optimizer.lr=0.02")
    parser.add_argument("--workers", type=int, default=8, help="number of processes, one per GPU")
    parser.add_argument("--cores", type=int, default=8, help="processor cores of each")
    parser.add_argument("--cpu", action="store_true", help="train without GPUs")
    options = parser.parse_args()

    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    run = options.run.absolute()
    TorchTrainer(
        work,
        train_loop_config={
            "recipe": options.recipe,
            "data": options.data,
            "run": str(run),
            "overrides": options.overrides,
        },
        # What the processes agree on stays on the processor; two minutes are the limit of Pixelwise, too.
        torch_config=TorchConfig(backend="gloo" if options.cpu else "cpu:gloo,cuda:nccl", timeout_s=120),
        scaling_config=ScalingConfig(
            num_workers=options.workers,
            use_gpu=not options.cpu,
            resources_per_worker={"CPU": options.cores} | ({} if options.cpu else {"GPU": 1}),
        ),
        run_config=RunConfig(
            name=run.name, storage_path=str(run.parent / "ray"), failure_config=FailureConfig(max_failures=3)
        ),
    ).fit()


if __name__ == "__main__":
    main()
