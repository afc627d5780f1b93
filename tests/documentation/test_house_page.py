"""docs/house.md says where the steps are that data passes: every module is there, and gives what the page says."""

import importlib
import re

import pytest
from documentation.pages import ROOT

SOURCE = ROOT / "src" / "pixelwise"
FLOW = (ROOT / "docs" / "house.md").read_text("utf-8").split("## How data flows\n")[1].split("\n## ")[0]
STEPS = [row.strip("| ").split(" | ") for row in FLOW.splitlines() if row.startswith("| ")][1:]
DEFINED = {"Recipe": "recipes.schema.recipe", "Dataset": "datasets.samples", "Audit": "datasets.auditing.audit",
           "Result": "records.result"}  # fmt: skip


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[0])
def test_the_modules_of_a_step_exist(step: list[str]):
    modules = re.findall(r"`([\w/]+\.py)`", step[1])
    assert modules
    assert [name for name in modules if not (SOURCE / name).is_file()] == []


def test_what_steps_hand_on_has_the_name_that_the_code_gives_it():
    named = set(re.findall(r"`([A-Z]\w+)`", FLOW))
    assert named == set(DEFINED)
    missing = [name for name in named if not hasattr(importlib.import_module(f"pixelwise.{DEFINED[name]}"), name)]
    assert missing == []


def test_data_passes_every_room_that_it_needs():
    rooms = [re.findall(r"`(\w+)/", step[1])[0] for step in STEPS]
    assert rooms[0] == "recipes"
    assert rooms[-1] == "prediction"
    assert {"datasets", "training", "transforms", "checkpoints", "evaluation", "records", "reports", "deployment"} <= {
        room for step in STEPS for room in re.findall(r"`(\w+)/", step[1])
    }
