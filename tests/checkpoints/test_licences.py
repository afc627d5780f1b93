from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from pixelwise.checkpoints.licences import licence_of_run
from pixelwise.checkpoints.starting import begin_with_run
from pixelwise.deployment.export.sources import open_source
from pixelwise.evaluation.asking import Asked
from pixelwise.evaluation.runs import open_subject
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe
from pixelwise.records.environment import Ancestor, Licence, Teacher, read_environment, write_environment
from pixelwise.records.run_folder import read_recipe

TEACHER = {"recipe": "unet", "step": 7, "weights_sha256": "ab" * 32, "licence": "CC-BY-NC-4.0"}


def taught(run: Path, folder: Path) -> Path:
    """A copy of a run that says it has learned from a teacher."""
    copied = Path(shutil.copytree(run, folder / "run"))
    environment = msgspec.structs.replace(read_environment(copied), teachers=(Teacher(**TEACHER),))
    write_environment(copied, environment)
    return copied


def test_the_teachers_of_a_run_stand_beside_its_licence(tiny_run: Path, tmp_path: Path):
    own = read_recipe(tiny_run)
    assert licence_of_run(tiny_run, own) == Licence(weights="unknown", code="Apache-2.0")
    assert licence_of_run(tmp_path, recipe("enet-camvid")).code == "MIT"
    derived = (Ancestor(**TEACHER),)
    run = taught(tiny_run, tmp_path)
    assert licence_of_run(run, own) == Licence(weights="unknown", code="Apache-2.0", derived_from=derived)
    # What is made of the run, and what begins with it, says so, too.
    assert open_source(str(run)).licence.derived_from == derived
    assert open_subject(run, Asked(), trust=False).origin.derived_from == derived
    assert begin_with_run(build_model(own), run).derived_from == derived
