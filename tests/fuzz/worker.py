"""A child process that reads mutants of one case after the other and says what became of each.

It gets lines `NAME FIRST COUNT` on its standard input, and answers with a line of JSON before and after each mutant, so
that its parent notices a hang or a crash and knows which mutant to blame.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
import traceback
import zlib
from pathlib import Path
from typing import Any, TextIO

from fuzz.mutators import mutant
from fuzz.watching import watch, written_outside

GROWTH = 1024**3
"""Bytes of memory that a process may need for a mutant beyond what it has."""
TEXT_SUFFIXES = (".json", ".jsonl", ".toml", ".txt", ".csv", ".xml", ".yaml", ".lst")


def dice_of(name: str, number: int) -> random.Random:
    """The random generator of a mutant: a function of the case and the mutant's number alone."""
    return random.Random(zlib.crc32(f"{name} {number}".encode()))


def make_mutant(case: Any, seed: Path, folder: Path, number: int) -> Path:
    """Copy a seed folder and change one of its files; returns the path of that file."""
    shutil.copytree(seed, folder)
    dice = dice_of(case.name, number)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    chosen = dice.choice([path for path in files if case.mutates(path.relative_to(folder))] or files)
    text = chosen.suffix.lower() in TEXT_SUFFIXES
    chosen.write_bytes(mutant(chosen.read_bytes(), dice, text=text))
    if case.after is not None:
        case.after(folder, chosen, dice)
    return chosen


def outcome(case: Any, folder: Path, number: int) -> tuple[str, str]:
    """(verdict, detail) of reading a mutant."""
    from pixelwise.errors import PixelwiseError

    try:
        codes = case.read(folder, number)
    except PixelwiseError as error:
        return ("refused", error.code) if error.message and error.help is not None else ("foreign exception", "no text")
    except MemoryError:
        return "memory", _last_frames()
    except Exception as error:
        return "foreign exception", f"{type(error).__name__}: {str(error)[:100]} {_last_frames()}"
    return ("refused", codes[0]) if codes else ("read", "")


def _last_frames() -> str:
    frames = [f for f in traceback.extract_tb(sys.exc_info()[2]) if "pixelwise" in f.filename]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[-3:][::-1])


def serve(work: Path, answers: TextIO) -> None:
    """Answer requests until the input ends."""
    from fuzz.cases import CASES

    for folder in ("seeds", "cases", "cache", "tmp"):
        (work / folder).mkdir(exist_ok=True)
    cases = CASES()
    for request in sys.stdin:
        name, first, count = request.split()
        case, seed = cases[name], work / "seeds" / name
        # Always the same path, because caches hold paths.
        folder = work / "cases" / name / "data"
        _limit_memory(None)
        if not seed.exists():
            folder.mkdir(parents=True)
            case.build(folder)
            shutil.copytree(folder, seed)
        shutil.rmtree(folder.parent, ignore_errors=True)
        # The seed itself is read first: the imports that it needs count neither as memory nor as time.
        shutil.copytree(seed, folder)
        print(json.dumps({"seed": outcome(case, folder, 0)}), file=answers, flush=True)
        shutil.rmtree(folder.parent)
        _limit_memory(GROWTH)
        for number in range(int(first), int(first) + int(count)):
            _answer(case, seed, folder, number, answers)
        print(json.dumps({"done": name}), file=answers, flush=True)


def _answer(case: Any, seed: Path, folder: Path, number: int, answers: TextIO) -> None:
    work = folder.parents[2]
    file = make_mutant(case, seed, folder, number)
    print(json.dumps({"begin": number}), file=answers, flush=True)
    start = time.monotonic()
    watch([str(work / "cache"), str(work / "tmp"), str(folder.parent / "written"), *map(str, case.writes(folder))])
    verdict, detail = outcome(case, folder, number)
    if written_outside():
        verdict, detail = "outside", written_outside()[0]
    watch([])
    seconds = time.monotonic() - start
    facts = {"end": number, "verdict": verdict, "detail": detail, "seconds": seconds, "file": file.name}
    print(json.dumps(facts), file=answers, flush=True)
    shutil.rmtree(folder.parent, ignore_errors=True)
    if number % 50 == 49:
        shutil.rmtree(work / "cache", ignore_errors=True)
        (work / "cache").mkdir(exist_ok=True)


def _limit_memory(growth: int | None) -> None:
    """Let allocations fail that take more than `growth` bytes of address space from now on; None: no limit."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (most if growth is None else used + growth, most))


if __name__ == "__main__":
    # What the code under test prints must not be taken for an answer.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    serve(Path(sys.argv[1]), channel)
