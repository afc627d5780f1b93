from __future__ import annotations

import msgspec
import pytest

from pixelwise.checkpoints.hub.cleaning import (
    clean_data,
    clean_environment,
    clean_machine,
    clean_recipe,
    scrubbed,
    without_paths,
)
from pixelwise.machine.facts import Machine
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.data_facts import DataFacts, FindingFacts
from pixelwise.records.environment import Arguments, Environment, InitialWeights, StartedFrom, Teacher


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("begins with /home/ada/runs/unet-1 and goes on", "begins with unet-1 and goes on"),
        ("see '/srv/data/scans/'.", "see 'scans'."),
        ("~/photos/town", "town"),
        ("~ada/photos", "photos"),
        ("../secret/run: 3 images", "run: 3 images"),
        ("./mine.toml", "mine.toml"),
        (r"C:\Users\ada\runs\unet-1", "unet-1"),
        ("D:/scans/2024", "2024"),
        (r"\\server\share\scans", "scans"),
        ("file:///home/ada/x.png", "x.png"),
        # What only looks like a path.
        ("IoU and/or accuracy, 3/8 of 12/24", "IoU and/or accuracy, 3/8 of 12/24"),
        ("https://github.com/owner/name/tree/main", "https://github.com/owner/name/tree/main"),
        ("hub://owner/name@main", "hub://owner/name@main"),
        ("hf://datasets/owner/name/data", "hf://datasets/owner/name/data"),
        ("nvidia/mit-b0", "nvidia/mit-b0"),
        ("images/s", "images/s"),
    ],
)
def test_paths_keep_their_last_part(text: str, kept: str):
    assert without_paths(text) == kept


def test_paths_are_found_wherever_they_are():
    value = {"/home/ada/a": ["/home/ada/b", {"c": ("/home/ada/d", 3, None)}]}
    assert scrubbed(value) == {"a": ["b", {"c": ["d", 3, None]}]}


def test_a_recipe_keeps_everything_but_folders():
    recipe = find("unet-resnet18")
    assert clean_recipe(recipe) == recipe
    named = apply_overrides(
        recipe,
        ["initialize.run=runs/large", "distillation.teacher=[/home/ada/t,hub://a/b@main]", "notes=as /home/ada/n"],
    )
    cleaned = clean_recipe(named)
    assert cleaned.initialize.run == "large"
    assert cleaned.distillation.teachers == ("t", "hub://a/b@main")
    assert cleaned.notes == "as n"
    for given, kept in (
        ("weights/mine.pth", "mine.pth"),
        ("/home/ada/w.safetensors", "w.safetensors"),
        ("nvidia/mit-b0", "nvidia/mit-b0"),
        ("resnet18.a1_in1k", "resnet18.a1_in1k"),
    ):
        assert clean_recipe(apply_overrides(recipe, [f"initialize.encoder={given}"])).initialize.encoder == kept


def test_an_environment_keeps_what_repeats_the_training_and_no_more():
    teacher = Teacher(recipe="large", step=9, weights_sha256="ab", licence="mit", encoder="/home/ada/e.pth")
    environment = Environment(
        command="pixelwise train unet --data /home/ada/scans",
        arguments=Arguments(data="/home/ada/scans", device="cuda:0"),
        threads=4,
        begins_with="stages/encoder",
        initial_weights=InitialWeights(
            encoder="/home/ada/w.pth", sha256="cd", run=StartedFrom(recipe="r", step=1, weights_sha256="ef", loaded=3)
        ),
        machine=Machine(
            cpu="CPU", cores=2, threads=2, gpu=None, memory_bytes=1, platform="Linux 6.8.0-ada-laptop x86_64"
        ),
        versions={"torch": "2.10"},
        plugins={"ours": "1"},
        trackers=("mlflow",),
        launch="job-7@cluster",
        teachers=(teacher,),
    )
    cleaned = clean_environment(environment)
    text = msgspec.json.encode(cleaned).decode()
    for private in ("ada", "scans", "pixelwise train", "mlflow", "cluster", "stages"):
        assert private not in text
    assert cleaned.arguments.device == "cuda:0"
    assert (cleaned.threads, cleaned.versions, cleaned.plugins) == (4, {"torch": "2.10"}, {"ours": "1"})
    assert cleaned.initial_weights.sha256 == "cd"
    assert cleaned.initial_weights.run == environment.initial_weights.run
    assert cleaned.teachers == (msgspec.structs.replace(teacher, encoder="e.pth"),)


def test_a_machine_keeps_its_system_and_architecture():
    machine = Machine(cpu="CPU", cores=2, threads=1, gpu=None, memory_bytes=1, platform="Darwin 23.1.0 arm64")
    assert clean_machine(machine).platform == "Darwin arm64"
    assert clean_machine(msgspec.structs.replace(machine, platform="")).platform == ""


def test_data_keep_their_counts_and_lose_the_names_of_their_files():
    facts = DataFacts(
        dataset="folder",
        images={"train": 8},
        fingerprint="ab",
        classes=("a", "b"),
        unusable={"train": ("patient-7",)},
        findings=(FindingFacts(code="D110", files=("patient-8.png",), message="patient-8.png is empty"),),
    )
    cleaned = clean_data(facts)
    assert "patient" not in msgspec.json.encode(cleaned).decode()
    assert (cleaned.images, cleaned.fingerprint, cleaned.classes) == ({"train": 8}, "ab", ("a", "b"))
