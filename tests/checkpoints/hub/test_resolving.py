from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tomli_w
from model_hub import READER, ModelHub, Repository

import pixelwise
from pixelwise.checkpoints.hub import client
from pixelwise.checkpoints.hub.resolving import own_run_path, pinned, refuse_to_continue, run_path, with_pinned_runs
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.machine.files import is_link
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.storage.hashing import sha256_file, sha256_folder

ADDRESS = "hub://me/tiny"


@pytest.fixture
def published(hub: ModelHub, tiny_run: Path) -> Repository:
    """The tiny run as `hub://me/tiny`."""
    pixelwise.push(tiny_run, "me/tiny", licence="cc0-1.0")
    hub.requests.clear()
    return hub.repositories["me/tiny"]


class Warnings(list):
    def __call__(self, code: str, message: str) -> None:
        self.append((code, message))


def test_a_path_is_left_alone(tmp_path: Path):
    assert run_path(tmp_path / "run") == tmp_path / "run"
    assert own_run_path("runs/a") == Path("runs/a")
    assert pinned("runs/a") == "runs/a"
    refuse_to_continue("runs/a")


def test_an_address_becomes_a_folder_with_exactly_the_files_of_the_run(published: Repository):
    folder = run_path(ADDRESS)
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    described = json.loads(published.files["pixelwise.json"])["files"]
    assert found == {name: published.files[name] for name in [*described, "pixelwise.json"]}
    # As a path, an address has lost a slash.
    assert run_path(Path(ADDRESS)) == folder


def test_what_is_there_is_not_fetched_again(published: Repository, hub: ModelHub):
    folder = run_path(ADDRESS)
    fetched = len([one for one in hub.requests if one[1] == "GET" and ("resolve" in one[2] or one[0] == "files")])
    hub.requests.clear()
    assert run_path(ADDRESS) == folder
    assert [one for one in hub.requests if one[1] == "GET" and ("resolve" in one[2] or one[0] == "files")] == []
    assert fetched
    hub.requests.clear()
    assert run_path(f"{ADDRESS}@{published.head}") == folder
    assert hub.requests == []


def test_a_revision_is_a_branch_a_tag_or_a_commit(published: Repository, tiny_run: Path):
    first = published.head
    published.tags["v1"] = first
    pixelwise.push(tiny_run, "me/tiny", replace=True, licence="mit")
    assert run_path(f"{ADDRESS}@v1").name == first
    assert run_path(f"{ADDRESS}@{first}").name == first
    assert run_path(ADDRESS).name == published.head != first
    assert pinned(f"{ADDRESS}@v1") == f"{ADDRESS}@{first}"


def test_without_the_hub_the_last_download_is_used(published: Repository, hub: ModelHub, monkeypatch):
    warned = Warnings()
    folder = run_path(ADDRESS, warned)
    assert warned == []
    hub.interrupt = lambda method, path: 503
    assert run_path(ADDRESS, warned) == folder
    assert [code for code, _ in warned] == ["W490"]
    assert published.head[:8] in warned[0][1]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run_path(ADDRESS, warned) == folder
    # Whoever asks for no network knows.
    monkeypatch.setattr(client.library().constants, "HF_HUB_OFFLINE", True)
    assert run_path(ADDRESS, warned) == folder
    assert len(warned) == 2
    with pytest.raises(CheckpointError, match=r"is not in the cache .*HF_HUB_OFFLINE") as caught:
        run_path("hub://me/other")
    assert caught.value.code == "K494"


def test_a_hub_that_does_not_answer_is_named_if_nothing_was_fetched(published: Repository, hub: ModelHub, monkeypatch):
    hub.interrupt = lambda method, path: 502
    with pytest.raises(CheckpointError, match=f"the hub at {hub.endpoint} answers with HTTP status 502") as caught:
        run_path(ADDRESS)
    assert caught.value.code == "K494"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match="does not answer") as caught:
        run_path(ADDRESS)
    assert caught.value.code == "K494"


@pytest.mark.parametrize(
    ("token", "address", "code", "says", "help"),
    [
        (READER, "hub://me/tiny", "K491", "or it is private", "rights of the token"),
        ("", "hub://me/tiny", "K491", "or it is private", "HF_TOKEN"),
        (READER, "hub://me/nothing", "K491", "there is no hub://me/nothing", "the name"),
        (READER, "hub://me/gated", "K492", "whom its owner has let in", "ask for access at http"),
        (READER, "hub://me/open@v7", "K493", "has no revision 'v7'", "commits/main"),
    ],
)
def test_what_may_not_be_read_is_said(token, address, code, says, help, published, hub: ModelHub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", token)
    hub.repositories["me/gated"] = Repository(gated=True)
    hub.repositories["me/gated"].add(published.files)
    hub.repositories["me/open"] = Repository()
    with pytest.raises(CheckpointError, match=says) as caught:
        run_path(address)
    assert caught.value.code == code
    assert help in caught.value.help


@pytest.mark.parametrize(
    "address", ["hub://", "hub://me", "hub://me/a/b", "hub://me/..", "hub://me/a@", "hub://me/a@../x", "hub://me/a b"]
)
def test_a_malformed_address_is_refused_before_anything_is_asked(address: str):
    with pytest.raises(CheckpointError) as caught:
        run_path(address)
    assert caught.value.code == "K490"
    assert "hub://OWNER/NAME" in caught.value.help


def test_pickles_are_not_even_downloaded(hub: ModelHub, tmp_path: Path):
    class Harm:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    hub.repositories["me/theirs"] = Repository()
    hub.repositories["me/theirs"].add({"pytorch_model.bin": pickle.dumps(Harm()), "config.json": b"{}"})
    with pytest.raises(CheckpointError, match=r"weights are pickles \(pytorch_model.bin\), which run code") as caught:
        run_path("hub://me/theirs")
    assert caught.value.code == "K495"
    assert "import-weights" in caught.value.help
    assert hub.asked("pytorch_model.bin") == []
    assert not (tmp_path / "ran").exists()


def test_a_repository_of_something_else_is_no_run(hub: ModelHub):
    hub.repositories["me/theirs"] = Repository()
    hub.repositories["me/theirs"].add({"model.safetensors": b"x", "config.json": b"{}"})
    with pytest.raises(CheckpointError, match=r"no pixelwise.json; it holds .gitattributes, config.json") as caught:
        run_path("hub://me/theirs")
    assert caught.value.code == "K495"


def tampered(published: Repository, name: str, content: bytes = b"x") -> None:
    """Publish one more file, listed in the description as it is."""
    described = json.loads(published.files["pixelwise.json"])
    described["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    published.add({name: content, "pixelwise.json": json.dumps(described).encode()})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../outside", "a path that leads out of the folder"),
        ("checkpoints/../../outside", "a path that leads out of the folder"),
        ("/etc/cron.d/job", "a path that leads out of the folder"),
        ("C:/outside", "a path that leads out of the folder"),
        ("evaluations/../result.json", "a path that leads out of the folder"),
        ("checkpoints\\..\\outside", "a path that leads out of the folder"),
        ("checkpoints/step-00000016/ema.pt", "may be a pickle"),
        ("model.bin", "may be a pickle"),
        ("sitecustomize.py", "no file of a published run"),
        ("checkpoints/step-00000016/training.safetensors", "no file of a published run"),
    ],
)
def test_a_description_may_not_list_other_files(name: str, says: str, published: Repository, hub: ModelHub):
    tampered(published, name)
    with pytest.raises(CheckpointError, match=says) as caught:
        run_path(ADDRESS)
    assert caught.value.code == "K496"
    # Nothing but the description was fetched.
    assert {one.rpartition("/")[2] for one in hub.asked("/resolve/")} == {"pixelwise.json"}


def test_a_description_that_is_none_is_refused(published: Repository):
    good = json.loads(published.files["pixelwise.json"])
    for content, code, says in (
        (b"[]", "K495", "cannot be read"),
        (json.dumps(good | {"format": 2}).encode(), "K495", "format 2"),
        (json.dumps(good | {"files": {}}).encode(), "K496", "lists no recipe.toml"),
    ):
        published.add({"pixelwise.json": content})
        with pytest.raises(CheckpointError, match=says) as caught:
            run_path(ADDRESS)
        assert caught.value.code == code


def test_files_that_differ_from_the_description_are_refused(published: Repository):
    recipe = published.files["recipe.toml"]
    published.add({"recipe.toml": recipe + b"\n"})
    with pytest.raises(
        CheckpointError, match=f"recipe.toml has {len(recipe) + 1} bytes, .* says {len(recipe)}"
    ) as caught:
        run_path(ADDRESS)
    assert caught.value.code == "K496"
    published.add({"recipe.toml": recipe.replace(b"0", b"1", 1)})
    with pytest.raises(CheckpointError, match=r"recipe.toml has SHA-256 [0-9a-f]{12}\.\.\., .* says"):
        run_path(ADDRESS)
    published.add({}, ("recipe.toml",))
    with pytest.raises(CheckpointError, match=r"recipe.toml, which pixelwise.json lists, is missing") as caught:
        run_path(ADDRESS)
    assert caught.value.code == "K496"


def test_a_download_that_was_damaged_on_the_disk_is_found(published: Repository):
    weights = next(run_path(ADDRESS).rglob("ema.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"ema\.safetensors has SHA-256") as caught:
        run_path(ADDRESS)
    assert caught.value.code == "K496"


def test_who_writes_gets_a_copy_and_the_cache_stays_as_it_is(published: Repository, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy = own_run_path(ADDRESS)
    assert copy == Path("runs") / f"tiny-{published.head[:8]}"
    source = run_path(ADDRESS)
    (copy / "recipe.toml").write_text("changed")
    (copy / "report.html").write_text("new")
    assert (source / "recipe.toml").read_bytes() == published.files["recipe.toml"]
    assert not (source / "report.html").exists()
    # It is made once: what was written to it stays.
    assert own_run_path(ADDRESS) == copy
    assert (copy / "report.html").read_text() == "new"
    assert not any(path.is_symlink() for path in copy.rglob("*"))


def test_a_training_keeps_the_commit_with_which_it_began(published: Repository):
    recipe = apply_overrides(find("unet-resnet18"), [f"initialize.run={ADDRESS}", f"distillation.teacher={ADDRESS}"])
    kept = with_pinned_runs(recipe)
    assert kept.initialize.run == kept.distillation.teacher == f"{ADDRESS}@{published.head}"
    several = msgspec.structs.replace(recipe.distillation, teacher=(ADDRESS, "runs/other"))
    kept = with_pinned_runs(msgspec.structs.replace(recipe, distillation=several))
    assert kept.distillation.teachers == (f"{ADDRESS}@{published.head}", "runs/other")
    plain = find("unet-resnet18")
    assert with_pinned_runs(plain) is plain


def test_what_cannot_go_on_is_said():
    with pytest.raises(CheckpointError, match="without the state with which it could go on") as caught:
        refuse_to_continue(ADDRESS)
    assert caught.value.code == "K497"
    assert f"--from {ADDRESS}" in caught.value.help


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str):
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(client.importlib, "import_module", missing)
    with pytest.raises(RecipeError, match="huggingface_hub, which is not installed") as caught:
        run_path(ADDRESS)
    assert caught.value.code == "R240"
    assert "pixelwise[hub]" in caught.value.help


@pytest.mark.heavy
def test_a_published_artefact_is_fetched_like_a_run(hub: ModelHub, tiny_run: Path, tmp_path: Path):
    exported = pixelwise.export(tiny_run, tmp_path / "exported", size=(48, 64))
    pixelwise.push(exported.path.parent, "me/exported", licence="mit")
    folder = run_path("hub://me/exported")
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "model.toml", "pixelwise.json"}
    assert (folder / "model.onnx").read_bytes() == exported.path.read_bytes()
    shutil.rmtree(tmp_path / "exported")
    assert pixelwise.load("hub://me/exported").classes == ("ground", "box", "ball")


PACKAGE = "model.mlpackage/Data/com.apple.CoreML"


@pytest.mark.parametrize(
    ("files", "listed"),
    [
        (("model.xml", "model.bin"), ("model.xml", "model.bin")),
        (("model.onnx", "model.onnx.data"), ("model.onnx", "model.onnx.data")),
        (("model.mlpackage/Manifest.json", f"{PACKAGE}/model.mlmodel", f"{PACKAGE}/weights/weight.bin"),
         ("model.mlpackage",)),
        (("model.tflite",), ("model.tflite",)),
    ],
)  # fmt: skip
def test_the_files_of_an_artefact_are_those_that_were_published_and_its_weights_no_links(
    files: tuple[str, ...], listed: tuple[str, ...], hub: ModelHub, tmp_path: Path
):
    folder = tmp_path / "exported"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    hashes = {name: (sha256_folder if (folder / name).is_dir() else sha256_file)(folder / name) for name in listed}
    described = {"recipe_name": "enet", "runtime": "onnx", "files": hashes, "classes": ["a"]}
    (folder / "model.toml").write_text(tomli_w.dumps(described))
    pixelwise.push(folder, "me/exported", licence="mit")

    found = run_path("hub://me/exported")

    assert {name: (found / name).read_bytes() for name in files} == {name: name.encode() for name in files}
    # A runtime follows a link to a graph, which is verified as it is read, but none to its weights.
    assert len(files) == 1 or not any(is_link(path) for path in found.rglob("*"))
    assert run_path("hub://me/exported") == found
    (found / files[-1]).chmod(0o600)
    if len(files) > 1:
        (found / files[-1]).write_bytes(b"damaged")
        assert (run_path("hub://me/exported") / files[-1]).read_bytes() == files[-1].encode()


TARGETS = {"openvino": "openvino", "executorch": "executorch", "litert": "litert_torch"}
"""Target of exports -> module that it needs."""


@pytest.mark.heavy
@pytest.mark.parametrize("target", TARGETS)
def test_an_artefact_of_every_kind_predicts_as_before_it_was_published(
    target: str, hub: ModelHub, tiny_run: Path, tmp_path: Path
):
    pytest.importorskip(TARGETS[target])
    exported = pixelwise.export(tiny_run, tmp_path / "exported", target=target, size=(48, 64))
    pixelwise.push(exported.path.parent, "me/exported", licence="mit")
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    before = pixelwise.load(exported.path).predict(image)
    shutil.rmtree(tmp_path / "exported")
    after = pixelwise.load("hub://me/exported").predict(image)
    assert np.array_equal(before.labels, after.labels)
