"""Mutants of everything that Pixelwise reads from others end in a result or a refusal with a code.

The default run reads 8 mutants per format, always the same ones. `make fuzz` reads 2,000 (500 of two slow
ones) and writes the table `benchmarks/fuzz.md`. A mutant that failed is made again by `make_mutant` from its case
and its number.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from fuzz.cases import CASES
from fuzz.runner import BAD, Outcome, Worker, table

from pixelwise.datasets.format import FORMATS
from pixelwise.datasets.reading.decoding import SUFFIXES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by Linux's address space")
REPOSITORY = Path(__file__).resolve().parent.parent.parent
TABLE = REPOSITORY / "benchmarks" / "fuzz.md"
FEW, MANY = 8, 2000
# Reading the weights of a network, or a page with charts, takes longer than anything else.
# Data sets that consist of images only are read as others are.
FEWER = {
    **{"checkpoint": 10, "run-records": 10},
    **dict.fromkeys(
        ("data-kitti", "data-kitti-road", "data-mapillary-v1", "data-bdd100k", "data-bdd100k-drivable"), 10
    ),
}
FEWER_OF_MANY = {"checkpoint": 500, "run-records": 500}


def failures(name: str, outcomes: list[Outcome]) -> list[str]:
    return [f"{name} {one.number} ({one.file}): {one.verdict}: {one.detail}" for one in outcomes if one.verdict in BAD]


@pytest.mark.heavy
def test_few_mutants_of_every_format(tmp_path: Path):
    worker, failed = Worker(tmp_path), []
    try:
        for name in CASES():
            outcomes = worker.run(name, 0, FEWER.get(name, FEW))
            assert len(outcomes) == FEWER.get(name, FEW)
            failed += failures(name, outcomes)
    finally:
        worker.close()
    assert failed == []


@pytest.mark.fuzz
@pytest.mark.timeout(0)
def test_many_mutants_of_every_format(tmp_path: Path):
    """`FUZZ_MUTANTS` and `FUZZ_FORMATS` (beginnings of names, with commas) choose a part, without writing the table."""
    count = int(os.environ.get("FUZZ_MUTANTS", MANY))
    chosen = tuple(os.environ.get("FUZZ_FORMATS", "").split(","))
    worker, found = Worker(tmp_path), {}
    try:
        for name in CASES():
            if name.startswith(chosen):
                found[name] = worker.run(name, 0, min(count, FEWER_OF_MANY.get(name, count)))
    finally:
        worker.close()
    if count == MANY and chosen == ("",):
        TABLE.write_text(page(found), "utf-8", newline="\n")
    assert [line for name, outcomes in found.items() for line in failures(name, outcomes)] == []


def page(found: dict[str, list[Outcome]]) -> str:
    """The page of outcomes."""
    return (
        "# Mutants of files\n\n"
        "What became of damaged and hostile variants of every file that Pixelwise reads (`make fuzz`): truncated,\n"
        "bits flipped, lengths and other fields replaced by extremes, blocks removed, repeated and moved; in text\n"
        "also numbers, words, nesting, encodings and values of other types. Each was read within 10 seconds, 1 GiB\n"
        "of further memory and the permitted folders, or refused with a code that\n"
        "[errors.md](../docs/errors.md) explains.\n\n" + table(found)
    )


def test_every_data_format_and_kind_of_image_has_a_seed():
    names = set(CASES())
    assert {f"data-{name}" for name in FORMATS.own()} <= names
    read = {kind.lower() for kind in SUFFIXES.values()}
    assert read == {kind for kind in read if any(kind in name for name in names)}


def test_the_committed_table_has_every_format_and_no_failure():
    rows = [line.split("|")[1:-1] for line in TABLE.read_text("utf-8").splitlines() if line.startswith("|")][2:]
    assert {row[0].strip() for row in rows} == set(CASES())
    for row in rows:
        mutants, read, refused, *bad = (int(cell) for cell in row[1:9])
        assert bad == [0] * len(BAD), row[0]
        assert read + refused == mutants, row[0]


BROKEN = {
    "foreign exception": "raise KeyError('x')",
    "crash": "import os; os.abort()",
    "hang": "import time; time.sleep(60)",
    "memory": "bytearray(2 * 1024**3)",
    "outside": "open(folder.parents[3] / 'stray', 'w').close()",
    "refused": "from pixelwise.errors import DataError; raise DataError('D101', 'a', 'b')",
    "read": "pass",
}


@pytest.mark.parametrize("verdict", BROKEN)
def test_the_runner_sees_what_it_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: str):
    """A worker with one case, whose reader does harm to every mutant but reads the seed."""
    (tmp_path / "fuzz").mkdir()
    for name in ("__init__", "mutators", "watching", "worker"):
        source = Path(__file__).with_name(f"{name}.py")
        (tmp_path / "fuzz" / f"{name}.py").write_text(source.read_text("utf-8") if source.exists() else "", "utf-8")
    case = f"""
from types import SimpleNamespace
seen = []
def read(folder, number):
    seen.append(number)
    if len(seen) > 1:
        {BROKEN[verdict]}
    return []
def CASES():
    build = lambda folder: (folder / "a.txt").write_text("x", "utf-8")
    return {{"one": SimpleNamespace(name="one", build=build, read=read, mutates=bool, after=None, writes=lambda f: [])}}
"""
    (tmp_path / "fuzz" / "cases.py").write_text(case, "utf-8")
    monkeypatch.setattr("fuzz.runner.TESTS", tmp_path / "tests")
    monkeypatch.setattr("fuzz.runner.LONGEST", 1.0)
    (tmp_path / "tests").symlink_to(tmp_path)
    (tmp_path / "src").symlink_to(REPOSITORY / "src")
    worker = Worker(tmp_path / "work")
    try:
        outcomes = worker.run("one", 0, 2)
    finally:
        worker.close()
    assert [one.verdict for one in outcomes] == [verdict, verdict]


def test_the_targets_of_atheris_are_complete():
    """Each target reads its seed corpus; atheris itself need not be installed."""
    path = Path(__file__).with_name("atheris_parsers.py")
    spec = importlib.util.spec_from_file_location("atheris_parsers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert len(module.TARGETS) == 5
    for target in module.TARGETS.values():
        for content in (b"", b"{}", b"\xff\xfe", b"[" * 5000, *target.seeds()):
            target.read(content)
