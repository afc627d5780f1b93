"""The example plug-in's model family, encoder, recipes and importer, used from the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from distributions import install_example, python

SMALL = ("data.town_images=[8,2,2]", "data.town_size=[48,64]", "augment.crop=[48,64]", "sampling.batch_size=4")
SHORT = ("schedule.epochs=1", "schedule.warmup_iterations=0", "evaluation.batch_size=2")
MAIN = "from pixelwise.cli import entry; entry()"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example is installed in."""
    return install_example(tmp_path_factory.mktemp("plugin") / "site")


def pixelwise(site: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line with the example installed."""
    return python("-c", MAIN, *map(str, arguments), site=site)


@pytest.fixture(scope="module")
def run(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the example's own family and recipe."""
    folder = tmp_path_factory.mktemp("runs") / "example"
    done = pixelwise(site, "train", "example-town", *SMALL, *SHORT, "--output", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.heavy
def test_its_recipes_are_listed_and_shown(site: Path):
    listed = pixelwise(site, "recipes", "example", "--json")
    assert listed.returncode == 0, listed.stderr
    assert [row["name"] for row in json.loads(listed.stdout)] == ["example-town", "example-town-tiny"]
    shown = pixelwise(site, "show", "example-town", "model.dilations=[1,3]", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["model"]["dilations"] == [1, 3]


def test_registering_its_networks_loads_no_torch(site: Path):
    modules = ", ".join(f"pixelwise_example.{name}" for name in ("family", "encoder", "recipe", "weights"))
    done = python("-c", f"import sys, {modules}; sys.exit('torch' in sys.modules)", site=site)
    assert done.returncode == 0, done.stderr


@pytest.mark.heavy
def test_mistakes_in_its_fields_are_named_like_those_of_ours(site: Path):
    for change, code in (
        ("model.dilation=[1]", "R202"),
        ("model.channels=wide", "R203"),
        ("augment.crop=[8,8]", "R203"),
    ):
        done = pixelwise(site, "show", "example-town", change)
        assert (done.returncode, f"error[{code}]" in done.stderr) == (2, True), done.stderr


@pytest.mark.heavy
def test_a_run_names_the_package_and_is_an_error_without_it(run: Path, tmp_path: Path):
    environment = json.loads((run / "environment.json").read_text("utf-8"))
    assert environment["plugins"] == {"pixelwise-example": "0.1.0"}
    (tmp_path / "nothing").mkdir()
    done = pixelwise(tmp_path / "nothing", "evaluate", run)
    assert done.returncode == 2
    assert "pip install pixelwise-example==0.1.0" in done.stderr


@pytest.mark.heavy
def test_its_run_is_resumed_scored_and_predicts(site: Path, run: Path, tmp_path: Path):
    resumed = pixelwise(site, "resume", run, "schedule.epochs=2")
    assert resumed.returncode == 0, resumed.stderr
    scored = pixelwise(site, "evaluate", run, "--json")
    assert scored.returncode == 0, scored.stderr
    image = run.parent / "image.png"
    drawn = python("-c", f"from PIL import Image; Image.new('RGB', (64, 48)).save({str(image)!r})", site=site)
    assert drawn.returncode == 0
    predicted = pixelwise(site, "predict", run, image, "--output", tmp_path / "out")
    assert predicted.returncode == 0, predicted.stderr
    assert list((tmp_path / "out").rglob("image*.png"))


@pytest.mark.heavy
def test_its_encoder_goes_under_our_heads(site: Path, tmp_path: Path):
    changes = ("model.encoder=example-tiny", "data.dataset=town", "precision.channels_last=false")
    done = pixelwise(site, "train", "generic-unet", *changes, *SMALL, *SHORT, "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    own = pixelwise(site, "train", "example-town-tiny", *SMALL, *SHORT, "--output", tmp_path / "own")
    assert own.returncode == 0, own.stderr


@pytest.mark.heavy
def test_its_weights_are_imported(site: Path, tmp_path: Path):
    file = tmp_path / "theirs.pt"
    save = (
        "import sys, torch; from pixelwise.models import build_model\n"
        "names = {'stem': 'backbone', 'body': 'context', 'classifier': 'out'}\n"
        "state = build_model('example-town').state_dict()\n"
        "parts = {key: key.partition('.') for key in state}\n"
        "theirs = {f'{names[part]}.{rest}': state[key] for key, (part, _, rest) in parts.items()}\n"
        "torch.save(theirs, sys.argv[1])"
    )
    written = python("-c", save, str(file), site=site)
    assert written.returncode == 0, written.stderr
    options = ("--recipe", "example-town", "--source", "example-trainer", "--output", tmp_path / "weights")
    done = pixelwise(site, "import-weights", file, *options, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["missing"] == []


@pytest.mark.heavy
def test_its_networks_keep_the_contracts(site: Path):
    script = (
        "from pixelwise.testing import check_encoder, check_model; "
        "check_model('example-town'); check_encoder('example-tiny'); check_encoder('example-tiny', 5)"
    )
    done = python("-c", script, site=site)
    assert done.returncode == 0, done.stderr
