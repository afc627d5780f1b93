import json
from pathlib import Path

import msgspec
import pytest

from pixelwise.errors import CheckpointError
from pixelwise.machine.facts import Machine
from pixelwise.records.environment import (
    Ancestor,
    Arguments,
    Environment,
    InitialWeights,
    Licence,
    StartedFrom,
    Teacher,
    read_environment,
    write_environment,
)

FULL = Environment(
    command="pixelwise train unet-resnet18 --data photos --output runs/x",
    arguments=Arguments(data="/data/photos", device="cuda:1", shard="always"),
    threads=4,
    auto_batch=True,
    begins_with="stages/float",
    initial_weights=InitialWeights(
        encoder="none",
        sha256="ab" * 32,
        run=StartedFrom(recipe="float", step=7, weights_sha256="cd" * 32, loaded=9, random=("head.weight",)),
    ),
    machine=Machine(cpu="a processor", cores=4, threads=4, gpu="a GPU", memory_bytes=1, platform="Linux"),
    versions={"python": "3.11.7"},
    plugins={"acme-models": "1.2"},
    trackers=("tensorboard",),
    launch="12345",
    teachers=(Teacher(recipe="unet", step=1200, weights_sha256="ef" * 32, encoder="resnet18", encoder_licence="MIT"),),
)


@pytest.mark.parametrize("environment", [FULL, Environment()])
def test_what_is_written_is_read(environment: Environment, tmp_path: Path):
    write_environment(tmp_path, environment)
    assert read_environment(tmp_path) == environment


def test_the_names_in_the_file_are_those_of_the_first_version(tmp_path: Path):
    write_environment(tmp_path, FULL)
    plain = json.loads((tmp_path / "environment.json").read_bytes())
    first = ["command", "arguments", "threads", "auto_batch", "begins_with", "initial_weights", "machine", "versions"]
    assert list(plain) == [*first, "plugins", "trackers", "launch", "teachers"]
    assert plain["arguments"] == {"data": "/data/photos", "device": "cuda:1", "shard": "always"}
    assert set(plain["initial_weights"]["run"]) == {
        "recipe", "step", "weights_sha256", "loaded", "random", "derived_from",
    }  # fmt: skip


def test_files_of_other_versions_are_read(tmp_path: Path):
    plain = {**msgspec.to_builtins(FULL), "later": {"deep": 1}}
    plain["arguments"]["later"] = True
    for name in ("plugins", "trackers", "threads", "launch"):
        del plain[name]
    (tmp_path / "environment.json").write_text(json.dumps(plain))
    found = read_environment(tmp_path)
    assert (found.command, found.plugins, found.trackers, found.threads) == (FULL.command, {}, (), None)
    assert found.launch == ""


def test_the_folder_of_the_data_is_a_path():
    assert FULL.data_folder == Path("/data/photos")
    assert Environment().data_folder is None


def test_a_folder_without_the_file_has_the_defaults(tmp_path: Path):
    assert read_environment(tmp_path) == Environment()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"threads": "four"}', b"\xff"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path):
    (tmp_path / "environment.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"environment\.json") as caught:
        read_environment(tmp_path)
    assert caught.value.code == "K423"


def test_a_teacher_is_told_with_the_licences_of_its_weights():
    words = f"unet, step 1,200, SHA-256 {'ef' * 8}"
    assert FULL.teachers[0].in_words == f"{words}; its encoder began with resnet18 (MIT)"
    imported = msgspec.structs.replace(FULL.teachers[0], encoder="none", licence="CC-BY-NC-4.0")
    assert imported.in_words == f"{words}, licence CC-BY-NC-4.0"


def ancestor(name: str) -> Ancestor:
    return Ancestor(recipe=name, step=1, weights_sha256=name[0] * 64, licence="MIT")


def test_weights_are_derived_from_teachers_and_from_what_these_and_the_first_weights_are():
    a, b, c, d = map(ancestor, ("a", "b", "c", "d"))
    first = Teacher(**msgspec.structs.asdict(a), derived_from=(c, b))
    second = Teacher(**msgspec.structs.asdict(b))
    start = StartedFrom(recipe="x", step=1, weights_sha256="e" * 64, loaded=1, derived_from=(d, a))
    environment = Environment(teachers=(first, second), initial_weights=InitialWeights(run=start))
    assert environment.derived_from == (a, b, c, d)
    assert {type(one) for one in environment.derived_from} == {Ancestor}
    assert Environment(initial_weights=InitialWeights(run=start)).derived_from == (d, a)
    assert Environment().derived_from == ()


def test_a_licence_without_ancestors_has_no_word_of_them():
    alone = Licence(weights="unknown", code="MIT")
    assert msgspec.to_builtins(alone) == {"weights": "unknown", "code": "MIT"}
    assert alone.facts == [("Licences", "weights: unknown; original code: MIT")]
    derived = msgspec.structs.replace(alone, derived_from=(ancestor("a"),))
    assert msgspec.convert(msgspec.to_builtins(derived), Licence) == derived
    assert derived.facts[1:] == [("Derived from", f"a, step 1, SHA-256 {'a' * 16}, licence MIT")]


def test_an_encoder_by_itself_is_named_with_its_weights_and_licence():
    encoder = Ancestor(
        recipe="resnet18",
        step=0,
        weights_sha256="ab" * 32,
        licence="MIT",
        encoder="resnet18.a1_in1k",
        only_encoder=True,
    )
    words = f"the encoder resnet18 with the weights resnet18.a1_in1k, SHA-256 {'ab' * 8}, licence MIT"
    assert encoder.in_words == words
    assert msgspec.structs.replace(encoder, unlabelled=2).in_words.startswith(f"{words}; it alone said what 2 images")
    begun = InitialWeights(encoder="/runs/a", derived_from=(encoder,))
    assert Environment(initial_weights=begun).derived_from == (encoder,)
