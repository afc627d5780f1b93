"""The guides: every command of every block runs where the names that it uses exist, or has a reason why it cannot.

Commands run as they are printed, but for three things: a training takes an epoch, servers choose a free port, and
`/shared` is a folder of the test.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path
from typing import IO

import pytest
from documentation.guides import (
    AFTERWARDS,
    GUIDES,
    KINDS_NOT_HERE,
    NOT_HERE,
    OTHERWISE,
    PROVIDED,
    Block,
    blocks,
    why_not,
)
from documentation.pages import PAGES, ROOT
from documentation.test_commands_on_pages import words_of
from living_stores import give_access
from object_stores import KEY, KEY_ID, ObjectStore, serving_objects

BLOCKS = [block for block in blocks() if block.run]
LONG = re.compile(r"pixelwise (train|resume|distill|deploy|quantize|profile)\b")
SCHEDULED = re.compile(r"--(?:minutes|epochs) \S+|\bschedule\.epochs=\d+")
STAYING = {"ui", "serve"}
OUTPUTS = {"-o", "--output"}
MAY_FAIL = "pixelwise doctor"
"""The command whose status says what it found."""


def marks(block: Block) -> list[pytest.MarkDecorator]:
    """Trainings by the dozen are for `make fuzz`; the quick start and what takes seconds is for every change."""
    long = sum(bool(LONG.match(line)) for line in block.run) > 0 and block.page != "README.md"
    return [pytest.mark.fuzz if long else pytest.mark.heavy, pytest.mark.timeout(900)]


class Reader:
    """Somebody who types the commands of a block in a folder of their own.

    Args:
        page: The guide.
        folder: An empty folder.
        run_cli: Calls the command line in this process.
        patch: Sets variables of the environment until the reader is done.
    """

    def __init__(self, page: str, folder: Path, run_cli: Callable, patch: pytest.MonkeyPatch) -> None:
        self.page, self.folder, self.run_cli, self.patch = page, folder, run_cli, patch
        self.stack = contextlib.ExitStack()
        self.address = ""
        self.store: ObjectStore | None = None
        self.process: subprocess.Popen[str] | None = None

    def provide(self, words: list[str]) -> None:
        """Make what the words name and nobody has made, unless it is where a result goes."""
        for before, word in zip(["", *words], words, strict=False):
            parts = [word, word.partition("=")[2], *re.findall(r"^[^/]+/[^/]+", word), word.removeprefix("@")]
            for name in parts if before not in OUTPUTS else ():
                self.make(name)

    def make(self, name: str) -> None:
        """Make what goes by a name."""
        shared = name.replace(f"{self.folder}/shared/", "/shared/")
        how = OTHERWISE.get((self.page, name)) or PROVIDED.get(shared)
        path = Path(name)
        if how is None or path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("runs"):  # of which commands ask that their data is there
            self.make("photos")
        how(path)

    def type(self, line: str) -> str:
        """Run a command; what it printed."""
        line = line.replace("/shared/", f"{self.folder}/shared/")
        if "http://127.0.0.1:8000" in line:
            line = line.replace("http://127.0.0.1:8000", self.server())
        if line.startswith("export "):
            name, value = line.removeprefix("export ").split("=", 1)
            said = subprocess.run(["bash", "-c", f"echo {value}"], capture_output=True, text=True, check=True).stdout
            self.patch.setenv(name, said.strip())
            return said
        if not line.startswith("pixelwise ") or line.startswith("pixelwise --"):
            self.provide(shlex.split(line))
            # With something after the command, bash stays its parent, by which a shell is recognised.
            ran = subprocess.run(["bash", "-ec", f"{line}\n:"], capture_output=True, text=True, check=False)
            assert ran.returncode == 0, f"{line}\n{ran.stdout}\n{ran.stderr}"
            return ran.stdout
        words = words_of(shortened(line))
        self.provide([*words, "runs"] if words[0] == "ui" else words)
        # As a shell does, which `shlex` is not.
        words = [path for word in words for path in (sorted(glob(word)) if re.match(r"runs/\S*\*", word) else [word])]
        if "s3://" in line:
            self.in_the_bucket(words)
        if words[0] in STAYING or (words[0] == "watch" and "--port" in words):
            self.serve(words)
            return ""
        code, stdout, stderr = self.run_cli(words)
        assert code == 0 or (code == 1 and line.startswith(MAY_FAIL)), f"{line}\n{stdout}\n{stderr}"
        if (target := re.search(r"> (\S+)$", line)) is not None:
            Path(target[1]).write_text(stdout, "utf-8")
        return stdout

    def in_the_bucket(self, words: list[str]) -> None:
        """Put the photos into the bucket, unless the command is about to."""
        if self.store is None:
            self.store = self.stack.enter_context(serving_objects(ObjectStore()))
            self.store.page = 1000
            keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "us-east-1"}
            give_access(self.patch, keys | {"AWS_ENDPOINT_URL": self.store.endpoint})
        for before, word in zip(["", *words], words, strict=False):
            wanted = word.startswith("s3://") and before not in OUTPUTS and words[:2] != ["data", "shard"]
            if wanted and not any(name.startswith(word.removeprefix("s3://bucket/")) for name in self.store.objects):
                self.make("photos")
                assert self.run_cli(["data", "shard", "photos", word])[0] == 0

    def server(self) -> str:
        """Where the server is that the commands ask; one is started if none before them has."""
        if not self.address:
            self.provide(["exported/model.onnx"])
            self.serve(["serve", "exported/model.onnx"])
        return self.address

    def serve(self, words: list[str]) -> None:
        """Start a server, and leave it for the commands after it."""
        self.stop()
        words = re.sub(r" --port \d+", "", shlex.join(words)).split()
        command = [sys.executable, "-m", "pixelwise", *words, "--port", "0"]
        environment = os.environ | {"BROWSER": "true"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.stack.callback(self.stop)
        self.address = address_in(self.process.stdout)

    def stop(self) -> None:
        """End the server as a system does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=60)


def address_in(stream: IO[str] | None) -> str:
    """The first address that a server says."""
    said = ""
    for line in stream or ():
        said += line
        if (found := re.search(r"http://[\w.]+:\d+", said)) is not None:
            return found[0]
    raise AssertionError(said)


def shortened(line: str) -> str:
    """A command whose training takes an epoch."""
    if not re.match(r"pixelwise (train|distill)\b", line):
        return line
    line = SCHEDULED.sub("", line) if SCHEDULED.search(line) else line
    return f"{line} schedule.epochs=1"


@pytest.fixture
def reader(request: pytest.FixtureRequest, tmp_path: Path, run_cli: Callable) -> Iterator[Reader]:
    block: Block = request.param
    shims = tmp_path / "bin"
    shims.mkdir()
    (shims / "pixelwise").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pixelwise "$@"\n', "utf-8")
    (shims / "pixelwise").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{shims}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("HOME", str(tmp_path))
        patch.chdir(tmp_path)
        someone = Reader(block.page, tmp_path, run_cli, patch)
        with someone.stack:
            yield someone


@pytest.mark.parametrize(
    ("reader", "block"),
    [pytest.param(block, block, marks=marks(block), id=block.key) for block in BLOCKS],
    indirect=["reader"],
)
def test_a_block_works_to_its_last_command(reader: Reader, block: Block):
    said = []
    for line in block.run:
        said.append(reader.type(line))
        AFTERWARDS.get(line, list)()
    if block.answer:
        assert "".join(said[-1].split()) == "".join(block.answer.split())


def test_what_cannot_run_is_on_a_page_and_its_replacement_exists():
    shown = {line for block in blocks() for line in block.lines}
    assert sorted(set(NOT_HERE) - shown) == []
    assert [kind for kind in KINDS_NOT_HERE if not any(line.startswith(kind) for line in shown)] == []
    named = re.findall(
        r"(?:tests|benchmarks|docs|\.ci)/[\w/.-]*\w", " ".join([*NOT_HERE.values(), *KINDS_NOT_HERE.values()])
    )
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_with_commands_is_a_guide_or_a_tutorial():
    others = {page.relative_to(ROOT).as_posix() for page in PAGES} - set(GUIDES)
    with_commands = {
        page
        for page in others
        if re.search(r"^```(?:|sh|bash|console)\n\s*(?:\$ )?pixelwise ", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    }
    assert {page for page in with_commands if not page.startswith("docs/tutorials/")} == set()


def test_blocks_of_guides_hold_commands_alone():
    first = {line.split()[0] for block in blocks() for line in block.lines}
    assert first <= {
        "pixelwise", "pip", "make", "python", "torchrun", "curl", "export", "eval", "npx", "cp", "ffmpeg", "trtexec",
    }  # fmt: skip


def test_a_long_training_takes_an_epoch_and_nothing_else_changes():
    assert shortened("pixelwise train photos --minutes 20 -o a").split() == [
        "pixelwise", "train", "photos", "-o", "a", "schedule.epochs=1",
    ]  # fmt: skip
    assert shortened("pixelwise predict a photos") == "pixelwise predict a photos"


def test_reasons_belong_to_commands_as_they_are_typed():
    assert why_not("pip install 'pixelwise[serve]'")
    assert why_not("make demo")
    assert why_not("pixelwise check photos") is None
