from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from model_hub import READER, WRITER, ModelHub, Repository

import pixelwise
from pixelwise.checkpoints.hub import client
from pixelwise.checkpoints.hub.layout import is_ours
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.observer import Observer


class Listening(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def phase(self, text: str) -> None:
        self.said.append(text)

    def warn(self, code: str, message: str) -> None:
        self.warned.append(code)


def test_a_run_arrives_in_one_commit_in_a_private_repository(hub: ModelHub, tiny_run: Path):
    observer = Listening()
    pushed = pixelwise.push(tiny_run, "me/tiny", observer=observer)
    repository = hub.repositories["me/tiny"]
    assert repository.private
    assert pushed.private is True
    assert pushed.created
    assert list(repository.commits)[1:] == [pushed.commit]
    assert len([one for one in hub.asked("/commit/") if one.startswith("POST")]) == 1
    assert set(repository.files) - {".gitattributes"} == set(pushed.files)
    assert {name: len(content) for name, content in repository.files.items() if name in pushed.files} == pushed.files
    assert pushed.address == "hub://me/tiny"
    assert pushed.url == f"{hub.endpoint}/me/tiny"
    assert observer.warned == ["W491"]
    assert "sending" in observer.said[-1]


def test_what_is_sent_are_the_weights_that_are_scored_and_no_state_of_the_training(hub: ModelHub, tiny_run: Path):
    pixelwise.push(tiny_run, "me/tiny")
    files = hub.repositories["me/tiny"].files
    weights = [name for name in files if name.endswith(".safetensors")]
    assert [Path(name).name for name in weights] == ["ema.safetensors"]
    assert files[weights[0]] == (tiny_run / weights[0]).read_bytes()
    described = json.loads(files["pixelwise.json"])
    for name, record in described["files"].items():
        assert record == {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
    assert all(map(is_ours, set(files) - {".gitattributes"}))


def test_a_dry_run_asks_nobody(hub: ModelHub, tiny_run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_TOKEN")
    listed = pixelwise.push(tiny_run, "me/tiny", dry_run=True)
    assert hub.requests == []
    assert listed.commit == ""
    assert {"README.md", "pixelwise.json", "recipe.toml"} <= set(listed.files)
    monkeypatch.setenv("HF_TOKEN", WRITER)
    assert pixelwise.push(tiny_run, "me/tiny").files == listed.files


def test_a_repository_that_holds_a_run_is_replaced_only_on_request(hub: ModelHub, tiny_run: Path):
    first = pixelwise.push(tiny_run, "me/tiny")
    with pytest.raises(CheckpointError, match=f"already holds a run: .* at commit {first.commit[:12]}") as caught:
        pixelwise.push(tiny_run, "me/tiny")
    assert caught.value.code == "K498"
    repository = hub.repositories["me/tiny"]
    repository.add({"checkpoints/step-00000001/ema.safetensors": b"old", "notes.txt": b"by hand"})
    second = pixelwise.push(tiny_run, "me/tiny", replace=True, licence="apache-2.0")
    assert second.removed == ("checkpoints/step-00000001/ema.safetensors",)
    assert not second.created
    assert "checkpoints/step-00000001/ema.safetensors" not in repository.files
    assert repository.files["notes.txt"] == b"by hand"
    assert first.commit in repository.commits


def test_what_was_private_does_not_become_public_and_the_reverse(hub: ModelHub, tiny_run: Path):
    hub.repositories["me/open"] = Repository()
    with pytest.raises(CheckpointError, match="everybody can read hub://me/open") as caught:
        pixelwise.push(tiny_run, "me/open")
    assert caught.value.code == "K498"
    assert len(hub.repositories["me/open"].commits) == 1
    assert pixelwise.push(tiny_run, "me/open", public=True).private is False
    hub.repositories["me/closed"] = Repository(private=True)
    with pytest.raises(CheckpointError, match="is private, and `public` is given"):
        pixelwise.push(tiny_run, "me/closed", public=True)
    assert pixelwise.push(tiny_run, "me/new", public=True).private is False


def test_nothing_is_visible_of_a_push_that_fails(hub: ModelHub, tiny_run: Path):
    hub.interrupt = lambda method, path: 500 if "/commit/" in path else None
    with pytest.raises(CheckpointError, match=r"has failed \(HTTP status 500\); nothing of it is visible") as caught:
        pixelwise.push(tiny_run, "me/tiny")
    assert caught.value.code == "K499"
    assert set(hub.repositories["me/tiny"].files) == {".gitattributes"}
    assert len(hub.asked("/commit/")) == 4
    hub.interrupt = lambda method, path: None
    pixelwise.push(tiny_run, "me/tiny")
    # What has arrived is not sent again.
    assert len([one for one in hub.requests if one[:2] == ("files", "PUT")]) == 1


def test_temporary_trouble_is_waited_out(hub: ModelHub, tiny_run: Path):
    left = [503, 429]
    hub.interrupt = lambda method, path: left.pop() if left and "/commit/" in path else None
    assert pixelwise.push(tiny_run, "me/tiny").commit == hub.repositories["me/tiny"].head
    assert left == []


def test_a_commit_whose_answer_is_lost_is_found(hub: ModelHub, tiny_run: Path):
    hub.lose = True
    pushed = pixelwise.push(tiny_run, "me/tiny")
    assert pushed.commit == hub.repositories["me/tiny"].head
    assert len(hub.repositories["me/tiny"].commits) == 2


def test_somebody_else_who_changes_the_repository_meanwhile_is_not_overwritten(hub: ModelHub, tiny_run: Path):
    hub.repositories["me/tiny"] = repository = Repository(private=True)

    def change(method: str, path: str) -> None:
        if "/preupload/" in path and len(repository.commits) == 1:
            repository.add({"theirs.txt": b"theirs"})

    hub.interrupt = change
    with pytest.raises(CheckpointError, match="somebody else has changed hub://me/tiny") as caught:
        pixelwise.push(tiny_run, "me/tiny")
    assert caught.value.code == "K498"
    assert "pixelwise.json" not in repository.files


@pytest.mark.parametrize(
    ("token", "repository", "code", "says"),
    [
        ("", "me/tiny", "K492", "there is no token"),
        (READER, "me/tiny", "K492", "does not let the token on this machine write to it"),
        (WRITER, "them/tiny", "K492", "does not let the token on this machine write to it"),
        (WRITER, "me", "K490", "does not name a run"),
        (WRITER, "me/../them", "K490", "does not name a run"),
    ],
)
def test_who_may_not_write_is_told_what_to_do(
    token, repository, code, says, hub: ModelHub, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(CheckpointError, match=says) as caught:
        pixelwise.push(tiny_run, repository)
    assert caught.value.code == code
    assert caught.value.help
    assert token == "" or token not in str(caught.value)


def test_a_hub_that_does_not_answer_is_named(hub: ModelHub, tiny_run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match=r"the hub at http://127\.0\.0\.1:9 does not answer") as caught:
        pixelwise.push(tiny_run, "me/tiny")
    assert caught.value.code == "K494"
    monkeypatch.setattr(client.library().constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE") as caught:
        pixelwise.push(tiny_run, "me/tiny")
    assert caught.value.code == "K494"


def test_the_token_goes_to_the_hub_alone(hub: ModelHub, tiny_run: Path, tmp_path: Path):
    pushed = pixelwise.push(tiny_run, "me/tiny")
    pixelwise.load("hub://me/tiny")
    assert {token for host, _, _, token in hub.requests if host == "hub"} == {f"Bearer {WRITER}"}
    assert {token for host, _, _, token in hub.requests if host == "files"} == {None}
    kept = [*hub.repositories["me/tiny"].files.values(), msgspec.json.encode(pushed)]
    cache = Path(client.downloads_folder())
    kept += [path.read_bytes() for path in cache.rglob("*") if path.is_file()]
    assert not [content for content in kept if WRITER.encode() in content]


def test_samples_need_a_licence_of_the_data(hub: ModelHub, tiny_run: Path):
    with pytest.raises(RecipeError, match="nothing says that they may be") as caught:
        pixelwise.push(tiny_run, "me/tiny", samples=True)
    assert caught.value.code == "R251"
    assert hub.requests == []


def test_a_damaged_run_is_not_published(hub: ModelHub, tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    for weights in run.rglob("*.safetensors"):
        weights.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"none of .* checkpoints is intact"):
        pixelwise.push(run, "me/tiny")
    assert hub.requests == []


@pytest.mark.heavy
def test_a_push_that_is_killed_leaves_no_half_model_and_the_next_one_succeeds(hub: ModelHub, tiny_run: Path):
    reached, go_on = threading.Event(), threading.Event()

    def hang(method: str, path: str) -> None:
        if method == "PUT":
            reached.set()
            go_on.wait(60)

    hub.interrupt = hang
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "pixelwise", "push", os.fspath(tiny_run), "me/tiny", "--licence", "mit"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert reached.wait(60)
        process.kill()
    finally:
        _, said = process.communicate()
        go_on.set()
    assert WRITER not in said
    assert set(hub.repositories["me/tiny"].files) == {".gitattributes"}
    hub.interrupt = lambda method, path: None
    pixelwise.push(tiny_run, "me/tiny", licence="mit")
    assert "pixelwise.json" in hub.repositories["me/tiny"].files
