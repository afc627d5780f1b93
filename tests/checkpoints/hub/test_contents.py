from __future__ import annotations

import getpass
import json
import shutil
import socket
from pathlib import Path

import msgspec
import pytest
import tomli_w
from safetensors.numpy import save_file

import pixelwise
from pixelwise.checkpoints.checkpoint import best_checkpoint, open_checkpoint
from pixelwise.checkpoints.hub.contents import contents_of
from pixelwise.checkpoints.hub.options import PushOptions
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError
from pixelwise.records.data_facts import FindingFacts, read_data_facts, write_data_facts
from pixelwise.records.environment import read_environment, write_environment
from pixelwise.records.evaluations import find_evaluation
from pixelwise.records.result import load_result, save_result
from pixelwise.storage.hashing import sha256_bytes, sha256_folder


@pytest.fixture(scope="module")
def scored(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scored copy of the tiny run."""
    run = tmp_path_factory.mktemp("scored") / "tiny"
    shutil.copytree(tiny_run, run)
    pixelwise.evaluate(run)
    return run


def collected(run: Path, **options: object) -> dict[str, bytes]:
    found = contents_of(run, "me/tiny", PushOptions(**options))  # type: ignore[arg-type]
    return {name: one if isinstance(one, bytes) else one.read_bytes() for name, one in found.files.items()}


def laid_out(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_nothing_that_is_sent_names_this_computer(scored: Path, tiny_data: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(scored, run)
    environment, facts = read_environment(run), read_data_facts(run)
    assert str(tiny_data) in environment.command  # so there is something to leave out
    write_environment(run, msgspec.structs.replace(environment, launch=f"job@{socket.gethostname()}"))
    finding = FindingFacts(code="D110", message=f"{tiny_data}/masks/train/03.png is empty", files=("03.png",))
    write_data_facts(run, msgspec.structs.replace(facts, findings=(finding,)))
    evaluation = find_evaluation(run, "test", "native")
    assert evaluation is not None
    result = msgspec.structs.replace(evaluation.result, notes=(f"scored in {tiny_data}",), data=str(tiny_data))
    save_result(result, evaluation.per_image, evaluation.folder)
    files = collected(run)
    ids = [one.id for one in evaluation.per_image]
    assert ids
    private = [str(tiny_data), str(run), str(tmp_path), tiny_data.parent.name, socket.gethostname()]
    private += [f"/{getpass.getuser()}/", *(f'"{one}"' for one in ids), *(f"\n{one}," for one in ids)]
    for name, content in files.items():
        if not name.endswith(".safetensors"):
            assert [one for one in private if one in content.decode()] == [], name


def test_what_is_sent_is_a_run_with_the_same_network_and_the_same_scores(scored: Path, tmp_path: Path):
    copy = laid_out(collected(scored), tmp_path / "copy")
    ours, theirs = load_trained(scored), load_trained(copy)
    assert theirs.recipe == ours.recipe
    assert theirs.recipe_hash == ours.recipe_hash
    assert (theirs.weights, theirs.weights_sha256) == (ours.weights, ours.weights_sha256)
    best = best_checkpoint(copy / "checkpoints")
    assert best is not None
    assert open_checkpoint(best.path).manifest.miou == ours.checkpoint.manifest.miou
    before, after = load_result(scored / "evaluations/test-native"), load_result(copy / "evaluations/test-native")
    assert after.confusion_matrix == before.confusion_matrix
    assert after.miou == before.miou
    assert after.data_fingerprint == before.data_fingerprint
    assert pixelwise.Run(copy).recipe == ours.recipe


def test_scores_of_other_data_stay_here(scored: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(scored, run)
    shutil.copytree(run / "evaluations/test-native", run / "evaluations/test-native-patients-0123abcd")
    result = load_result(run / "evaluations/test-native")
    save_result(msgspec.structs.replace(result, own_data=False, split="val"), (), run / "evaluations/val-native")
    names = [name for name in collected(run) if name.startswith("evaluations/")]
    assert names == ["evaluations/test-native/per_class.csv", "evaluations/test-native/result.json"]


def test_the_licence_is_the_one_that_was_named_or_recorded(tiny_run: Path, tmp_path: Path):
    warned: list[str] = []
    unknown = contents_of(tiny_run, "me/t", PushOptions(), lambda code, message: warned.append(code))
    assert warned == ["W491"]
    assert "provenance.json" not in unknown.files
    files = collected(tiny_run, licence="cc-by-4.0")
    assert json.loads(files["provenance.json"])["licence"] == "cc-by-4.0"
    run = tmp_path / "imported"
    shutil.copytree(tiny_run, run)
    (run / "provenance.json").write_text(json.dumps({"licence": "mit", "file": "/home/ada/enet.pth", "source": "x"}))
    kept = json.loads(collected(run)["provenance.json"])
    assert kept == {"licence": "mit", "file": "enet.pth", "source": "x"}


def test_samples_are_pictures_without_the_names_of_their_files(scored: Path):
    assert not [name for name in collected(scored) if name.startswith("samples/")]
    files = collected(scored, samples=True, data_licence="CC0")
    pictures = [name for name in files if name.startswith("samples/")]
    assert pictures
    assert all(name in files["README.md"].decode() for name in pictures)
    assert "CC0" in files["README.md"].decode()
    # They are shown, and not part of the run.
    assert not set(json.loads(files["pixelwise.json"])["files"]) & set(pictures)


def test_the_terms_of_a_public_data_set_are_on_the_page_unless_others_are_named(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    write_data_facts(run, msgspec.structs.replace(read_data_facts(run), dataset="voc-aug"))
    assert "Flickr's terms of use" in collected(run)["README.md"].decode()
    assert "Flickr" not in collected(run, data_licence="ours")["README.md"].decode()


def artefact(folder: Path, **more: object) -> Path:
    """A folder that looks like an exported network, as far as publishing reads it."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph")
    described = {
        "recipe_name": "enet", "runtime": "onnx", "classes": ["a", "b"], "files": {"model.onnx": sha256_bytes(b"graph")}
    }  # fmt: skip
    (folder / "model.toml").write_text(tomli_w.dumps(described | more))
    return folder


def test_an_artefact_is_sent_as_it_is(tmp_path: Path):
    folder = artefact(tmp_path / "exported", licence={"weights": "mit", "code": "mit"})
    files = collected(folder)
    assert sorted(files) == ["README.md", "model.onnx", "model.toml", "pixelwise.json"]
    assert files["model.toml"] == (folder / "model.toml").read_bytes()
    assert "license: mit" in files["README.md"].decode()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"files": {"model.pt2": "0" * 64}}, "model.pt2, which is not fetched from the hub"),
        ({"files": {"..": "0" * 64}}, r"\.\., which is not fetched from the hub"),
        ({"files": {"/etc/hostname": "0" * 64}}, "/etc/hostname, which is not fetched from the hub"),
        ({"recipe": {"initialize": {"run": "/home/ada/runs/a"}}}, "names folders of this computer, such as /home/ada"),
    ],
)
def test_an_artefact_that_runs_code_or_names_folders_stays_here(more: dict, says: str, tmp_path: Path):
    folder = artefact(tmp_path / "exported", **more)
    with pytest.raises(CheckpointError, match=says) as caught:
        collected(folder)
    assert caught.value.code == "K498"


def test_nothing_is_sent_that_was_not_exported(tmp_path: Path):
    """An artefact may be somebody else's: a link within it would publish what it leads to."""
    secret, within = tmp_path / "secret", Path("Data") / "com.apple.CoreML" / "weights" / "weight.bin"
    secret.write_bytes(b"private")
    package = tmp_path / "exported" / "model.mlpackage"
    folder = artefact(tmp_path / "exported", files={"model.mlpackage": "0" * 64})
    (package / within).parent.mkdir(parents=True)

    def refused() -> str:
        with pytest.raises(CheckpointError) as caught:
            collected(folder)
        assert caught.value.code == "K462"
        return caught.value.message

    (package / within).symlink_to(secret)
    assert refused().endswith(f"model.mlpackage/{within.as_posix()} is a link to another file")
    (package / within).unlink()
    (package / within).write_bytes(b"weights")
    (package / ".DS_Store").write_bytes(b"folder")
    assert refused().endswith("model.mlpackage/.DS_Store is no part of it")
    (package / ".DS_Store").unlink()
    assert "model.mlpackage has SHA-256" in refused()
    described = {"recipe_name": "enet", "runtime": "coreml", "files": {"model.mlpackage": sha256_folder(package)}}
    (folder / "model.toml").write_text(tomli_w.dumps(described))
    assert f"model.mlpackage/{within.as_posix()}" in collected(folder)
    (folder / "model.onnx").unlink()
    (folder / "model.toml").write_text(tomli_w.dumps(described | {"files": {"model.onnx": "0" * 64}}))
    assert refused().endswith("model.onnx is missing")
    (folder / "model.onnx").symlink_to(secret)
    assert "model.onnx has SHA-256" in refused()


def test_only_the_weights_of_the_result_are_sent(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    for folder in (run / "checkpoints").iterdir():
        save_file({}, folder / "distillation.safetensors")
    weights = [name for name in collected(run) if name.endswith(".safetensors")]
    assert len(weights) == 1
