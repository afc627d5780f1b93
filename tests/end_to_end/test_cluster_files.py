"""The files of docs/cluster: their syntax, their fields, and the commands that they start."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer
import yaml

from pixelwise.cli import app
from pixelwise.records.exits import Exit, read_exit
from pixelwise.records.log import ProcessesRecord, StepRecord, read_log

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "cluster"
VOLUMES = [{"name": "shared", "mountPath": "/shared"}, {"name": "memory", "mountPath": "/dev/shm"}]
POD_VOLUMES = [
    {"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}},
    {"name": "memory", "emptyDir": {"medium": "Memory"}},
]
RESOURCES = {"requests": {"cpu": int, "memory": str}, "limits": {"nvidia.com/gpu": int}}
SHAPES: dict[str, list[Any]] = {
    "kubeflow.yaml": [
        {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainingRuntime",
            "metadata": {"name": "pixelwise", "labels": {"trainer.kubeflow.org/framework": "torch"}},
            "spec": {
                "mlPolicy": {"numNodes": int, "torch": {}},
                # From here on a JobSet, a Job and a pod. The operator knows the container by two names and a label.
                "template": {
                    "spec": {
                        "failurePolicy": {"maxRestarts": int},
                        "replicatedJobs": [
                            {
                                "name": "node",
                                "template": {
                                    "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                                    "spec": {
                                        "backoffLimit": 0,
                                        "template": {
                                            "spec": {
                                                "restartPolicy": "Never",
                                                "terminationGracePeriodSeconds": int,
                                                "containers": [
                                                    {
                                                        "name": "node",
                                                        "image": str,
                                                        "env": [
                                                            {"name": "TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "value": "1"}
                                                        ],
                                                        "volumeMounts": VOLUMES,
                                                    }
                                                ],
                                                "volumes": POD_VOLUMES,
                                            }
                                        },
                                    },
                                },
                            }
                        ],
                    }
                },
            },
        },
        {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": str},
            "spec": {
                "runtimeRef": {"kind": "TrainingRuntime", "name": "pixelwise"},
                "trainer": {"numNodes": int, "command": ["bash", "-c", str], "resourcesPerNode": RESOURCES},
            },
        },
    ],
    "kubernetes.yaml": [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "segformer"},
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": {"batch.kubernetes.io/job-name": "segformer"},
                "ports": [{"name": str, "port": 29400}],
            },
        },
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "segformer"},
            "spec": {
                "completionMode": "Indexed",
                "completions": 2,
                "parallelism": 2,
                "backoffLimit": int,
                "template": {
                    "spec": {
                        "subdomain": "segformer",
                        "restartPolicy": "Never",
                        "terminationGracePeriodSeconds": int,
                        "containers": [
                            {
                                "name": str,
                                "image": str,
                                "command": ["bash", "-c", str],
                                "resources": RESOURCES,
                                "volumeMounts": VOLUMES,
                            }
                        ],
                        "volumes": POD_VOLUMES,
                    }
                },
            },
        },
    ],
    "skypilot.yaml": [
        {
            "name": str,
            "num_nodes": int,
            "resources": {
                "infra": str,
                "accelerators": str,
                "job_recovery": {"max_restarts_on_errors": int, "recover_on_exit_codes": [75]},
            },
            "volumes": {"/shared": str},
            "envs": {"RECIPE": str, "DATA": str, "RUN": str},
            "setup": str,
            "run": str,
        }
    ],
}
"""File -> what its documents hold: these fields and no others, with these values or values of these types."""


def differences(value: Any, shape: Any, place: str = "") -> Iterator[str]:
    """Where a value differs from its shape."""
    if isinstance(shape, type):
        if type(value) is not shape:
            yield f"{place}: {value!r} is no {shape.__name__}"
    elif isinstance(shape, dict) and isinstance(value, dict):
        yield from (
            f"{place}.{key} is {'missing' if key in shape else 'unknown'}" for key in shape.keys() ^ value.keys()
        )
        for key in shape.keys() & value.keys():
            yield from differences(value[key], shape[key], f"{place}.{key}")
    elif isinstance(shape, list) and isinstance(value, list) and len(shape) == len(value):
        for number, (one, of) in enumerate(zip(value, shape, strict=True)):
            yield from differences(one, of, f"{place}[{number}]")
    elif value != shape or type(value) is not type(shape):
        yield f"{place}: {value!r}, expected {shape!r}"


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_has_the_fields_of_its_system_and_no_others(name: str):
    assert list(differences(documents(name), SHAPES[name])) == []


def test_differences_are_found():
    shape = {"a": int, "b": [str, 2], "c": {}}
    assert list(differences({"a": 1, "b": ["x", 2], "c": {}}, shape)) == []
    assert len(list(differences({"a": "1", "b": ["x", 3], "c": {"d": 1}}, shape))) == 3
    assert set(differences({"a": True, "b": [], "c": {}}, shape)) == {
        ".a: True is no int",
        f".b: [], expected {[str, 2]!r}",
    }


def test_every_file_is_checked_and_explained():
    page = (FOLDER.parent / "cluster.md").read_text("utf-8")
    names = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert names == {*SHAPES, "slurm.sbatch", "predict.sbatch", "ray_train.py"}
    assert [name for name in names if f"(cluster/{name})" not in page] == []


def scripts() -> dict[str, str]:
    """File -> the shell script in it."""
    kubeflow, (_, job), (sky,) = (documents(name) for name in ("kubeflow.yaml", "kubernetes.yaml", "skypilot.yaml"))
    return {
        "slurm.sbatch": (FOLDER / "slurm.sbatch").read_text("utf-8"),
        "predict.sbatch": (FOLDER / "predict.sbatch").read_text("utf-8"),
        "kubeflow.yaml": kubeflow[1]["spec"]["trainer"]["command"][2],
        "kubernetes.yaml": job["spec"]["template"]["spec"]["containers"][0]["command"][2],
        "skypilot.yaml": sky["run"],
    }


bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")


@bash
@pytest.mark.parametrize("name", scripts())
def test_shell_scripts_are_clean(name: str, tmp_path: Path):
    script = scripts()[name]
    script = script if script.startswith("#!") else "#!/bin/bash\n" + script
    (tmp_path / "script").write_text(script)
    subprocess.run(["bash", "-n", tmp_path / "script"], check=True)
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("its syntax is right; shellcheck, which looks for more, is not installed")
    done = subprocess.run([checker, tmp_path / "script"], capture_output=True, text=True, check=False)
    assert done.stdout == ""


TELLS = """#!/bin/bash
# Options of srun itself are not those of the command.
name=${0##*/}
if [ "$name" = srun ]; then
    while [[ $1 == --* ]]; do shift; done
    name=$1
    shift
fi
printf '%s\\0' "$name" "$@" > "$TOLD"
"""
"""A program that writes down with which words it was started."""
SHOWS = """#!/bin/bash
case "$1" in
    show) printf 'node7\\nnode8\\n' ;;
    requeue) echo "$2" >> "$REQUEUED" ;;
esac
"""
OF_CLUSTERS = {
    "slurm.sbatch": {
        "SLURM_JOB_ID": "123456", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2",
        "SLURM_GPUS_ON_NODE": "8",
    },
    "skypilot.yaml": {
        "SKYPILOT_NODE_IPS": "10.0.0.7\n10.0.0.8", "SKYPILOT_NUM_NODES": "2", "SKYPILOT_NUM_GPUS_PER_NODE": "8",
        "RECIPE": "segformer-b0-cityscapes", "DATA": "/shared/Cityscapes", "RUN": "/shared/runs/segformer",
    },
}  # fmt: skip
"""File -> the variables that its script finds."""
RENDEZVOUS = {
    "slurm.sbatch": "node7:23456",
    "kubernetes.yaml": "segformer-0.segformer:29400",
    "skypilot.yaml": "10.0.0.7:29400",
}
WORDS = ["segformer-b0-cityscapes", "/shared/Cityscapes", "/shared/runs/segformer"]


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


def started(name: str, folder: Path) -> list[str]:
    """The words of the command that a script starts; /shared is `folder / "shared"`."""
    for one in ("pixelwise", "torchrun", "srun"):
        program(folder / "programs", one, TELLS)
    program(folder / "programs", "scontrol", SHOWS)
    shared = str(folder / "shared")
    variables = {key: text.replace("/shared", shared) for key, text in OF_CLUSTERS.get(name, {}).items()}
    (folder / "script").write_text(scripts()[name].replace("/shared", shared))
    words = [word.replace("/shared", shared) for word in WORDS] if name == "slurm.sbatch" else []
    subprocess.run(
        ["bash", folder / "script", *words, *(["optimizer.lr=0.001"] if words else [])],
        env={"PATH": f"{folder / 'programs'}:/usr/bin:/bin", "TOLD": str(folder / "told"), **variables},
        check=True,
    )
    return (folder / "told").read_text().replace(shared, "/shared").split("\0")[:-1]


def parsed(words: list[str]) -> tuple[str, Mapping[str, Any]]:
    """(verb, values of its parameters), as the command line itself reads them."""
    group: Any = typer.main.get_command(app)
    outer = group.make_context("pixelwise", list(words))
    verb, command, rest = group.resolve_command(outer, [*outer._protected_args, *outer.args])
    return verb, command.make_context(verb, rest, parent=outer).params


@bash
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("name", ["slurm.sbatch", "kubernetes.yaml", "skypilot.yaml"])
def test_a_script_begins_a_run_or_goes_on_with_it(name: str, begun: bool, tmp_path: Path):
    if begun:
        (tmp_path / "shared" / "runs" / "segformer").mkdir(parents=True)
        (tmp_path / "shared" / "runs" / "segformer" / "recipe.toml").touch()
    program_name, *words = started(name, tmp_path)
    assert program_name == "pixelwise"
    verb, found = parsed(words)
    assert (found["devices"], found["nodes"], found["rendezvous"]) == (8, "2", RENDEZVOUS[name])
    assert found["restarts"] > 0
    if begun:
        assert (verb, str(found["run"])) == ("resume", "/shared/runs/segformer")
    else:
        expected = [*WORDS[:2], *(["optimizer.lr=0.001"] if name == "slurm.sbatch" else [])]
        assert (verb, list(found["words"]), str(found["output"])) == ("train", expected, "/shared/runs/segformer")


@bash
@pytest.mark.parametrize("begun", [False, True])
def test_the_operator_starts_torchrun(begun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from torch.distributed.run import get_args_parser

    if begun:
        (tmp_path / "shared" / "runs" / "segformer").mkdir(parents=True)
        (tmp_path / "shared" / "runs" / "segformer" / "recipe.toml").touch()
    program_name, *words = started("kubeflow.yaml", tmp_path)
    assert program_name == "torchrun"
    # What the operator tells it.
    told = {"NNODES": "2", "NPROC_PER_NODE": "auto", "NODE_RANK": "1", "MASTER_ADDR": "node-0", "MASTER_PORT": "29400"}
    for key, text in told.items():
        monkeypatch.setenv(f"PET_{key}", text)
    options = get_args_parser().parse_args(words)
    assert (options.nnodes, options.nproc_per_node, options.node_rank) == ("2", "auto", 1)
    assert (options.master_addr, options.module, options.training_script) == ("node-0", True, "pixelwise")
    runtime = documents("kubeflow.yaml")[0]["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert options.shutdown_timeout < runtime["template"]["spec"]["terminationGracePeriodSeconds"]
    verb, found = parsed(options.training_script_args)
    assert verb == ("resume" if begun else "train")
    assert found["devices"] is None
    assert str(found["run" if begun else "output"]) == "/shared/runs/segformer"


def ray_script() -> Any:
    """The script of Ray Train as a module; Ray itself is imported only when it is started."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("ray_train", FOLDER / "ray_train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.heavy
def test_a_worker_of_ray_trains_and_goes_on(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    run = tmp_path / "run"
    overrides = ["schedule.iterations=2", "selection.every_epochs=0", "selection.weights=last"]
    call = {"recipe": str(tiny_recipe), "data": str(tiny_data), "run": str(run), "overrides": overrides}
    for _ in range(2):
        ray_script().work(call)
        assert [one.step for one in read_log(run).of(StepRecord)] == [1, 2]


def test_the_script_of_ray_names_what_ray_has():
    # The names were read in Ray 2.60's own documentation.
    known = {
        "FailureConfig": {"max_failures"},
        "RunConfig": {"name", "storage_path", "failure_config"},
        "ScalingConfig": {"num_workers", "use_gpu", "resources_per_worker"},
        "TorchConfig": {"backend", "timeout_s"},
        "TorchTrainer": {"train_loop_config", "torch_config", "scaling_config", "run_config"},
    }
    tree = ast.parse((FOLDER / "ray_train.py").read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    made = {node.func.id: {one.arg for one in node.keywords} for node in calls if node.func.id in known}
    assert made == known


RUNS_ALL = """#!/bin/bash
# Starts a task for every node, all of them here, and ends with the worst of their exit statuses.
while [[ $1 == --* ]]; do shift; done
tasks=()
for _ in $(seq "$SLURM_JOB_NUM_NODES"); do
    "$@" &
    tasks+=($!)
done
printf '%s\\n' "${tasks[@]}" > "$TASKS"
worst=0
for task in "${tasks[@]}"; do
    wait "$task"
    status=$?
    if [ "$status" -gt "$worst" ]; then worst=$status; fi
done
exit "$worst"
"""
SMALL = [
    "dataset=town", "town_images=[12,4,2]", "town_size=[32,48]", "crop=[32,48]", "selection.every_epochs=2",
    "model.encoder=mobilenetv3_small_050", "sampling.batch_size=4", "precision.dtype=float32",
]  # fmt: skip


def wait_for(run: Path, step: int) -> None:
    end = time.monotonic() + 240
    while not (run.is_dir() and any(one.step >= step for one in read_log(run).of(StepRecord))):
        assert time.monotonic() < end, f"no step {step}"
        time.sleep(0.2)


@bash
@pytest.mark.heavy
@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signal")
def test_a_job_of_slurm_stops_in_time_and_goes_on_when_it_is_queued_again(tmp_path: Path):
    run, programs = tmp_path / "run", tmp_path / "programs"
    program(programs, "srun", RUNS_ALL)
    program(programs, "scontrol", SHOWS.replace("node7\\nnode8", "localhost\\nlocalhost"))
    program(programs, "pixelwise", f'#!/bin/bash\nexec "{sys.executable}" -m pixelwise "$@"\n')
    variables = {
        **os.environ,
        **OF_CLUSTERS["slurm.sbatch"],
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_GPUS_ON_NODE": "1",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
        "TASKS": str(tmp_path / "tasks"),
        "REQUEUED": str(tmp_path / "requeued"),
    }
    # The data of this recipe is drawn; a batch script has a word for it nevertheless.
    script = (FOLDER / "slurm.sbatch").read_text("utf-8").replace('"$data" ', "")
    (tmp_path / "script").write_text(script)

    def submitted(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["bash", tmp_path / "script", "unet-resnet18", "-", str(run), *words], env=variables)

    job = submitted(*SMALL, "epochs=2000", "--no-evaluate")
    wait_for(run, 4)
    # Some clusters send the signal to the tasks, others to all processes that these have started.
    for task in map(int, (tmp_path / "tasks").read_text().split()):
        for one in [*psutil.Process(task).children(recursive=True), psutil.Process(task)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGUSR1)
    assert job.wait(240) == 75
    assert (tmp_path / "requeued").read_text().split() == [variables["SLURM_JOB_ID"]]
    found = read_exit(run)
    assert found is not None
    assert (found.code, found.exit_code) == ("I075", 75)
    done = len(read_log(run).of(StepRecord))

    # Slurm starts the same script; here the run is made shorter, so that it ends.
    (tmp_path / "script").write_text(script.replace('resume "$run"', f'resume "$run" epochs={-(-(done + 3) // 3)}'))
    assert submitted().wait(300) == 0
    steps = [one.step for one in read_log(run).of(StepRecord)]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > done
    assert {(one.world, one.hosts) for one in read_log(run).of(ProcessesRecord)} == {(2, 2)}
    assert read_exit(run) == Exit()
    assert (tmp_path / "requeued").read_text().split() == [variables["SLURM_JOB_ID"]]
    json.loads((run / "status.json").read_text())
