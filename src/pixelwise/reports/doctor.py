"""Terminal output of the verb `doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pixelwise.installation.examination import Examination, Folder, Problem
from pixelwise.installation.packages import Extra
from pixelwise.machine.memory import SHARED
from pixelwise.reports.numbers import memory
from pixelwise.reports.standard_output import write_json
from pixelwise.reports.terminals import Console

Row = tuple[str, str]


def print_examination(found: Examination, *, as_json: bool = False) -> None:
    """Print what Pixelwise runs on and what is wrong with it, as text or as one JSON document."""
    if as_json:
        write_json(found)
        return
    console = Console(highlight=False)
    for title, rows in _blocks(found):
        console.print(Text(title, "bold"))
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=max(len(name) for name, _ in rows), no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in rows:
            grid.add_row(name, text)
        console.print(Padding(grid, (0, 0, 1, 2), expand=False))
    for problem in found.problems:
        _print_problem(console, problem)
    wrong = sum(one.wrong for one in found.problems)
    console.print("nothing is wrong" if not wrong else f"{wrong} thing{' is' if wrong == 1 else 's are'} wrong")


def _blocks(found: Examination) -> Iterator[tuple[str, Sequence[Row]]]:
    yield f"Pixelwise {found.version}", [("from", found.location), ("Python", f"{found.python}, {found.executable}")]
    yield "PyTorch", list(_torch(found))
    yield "Machine", list(_machine(found))
    yield "Folders", [(one.purpose, _folder(one)) for one in found.folders]
    if found.needed:
        named = [(one.name, one.version or "missing") for one in found.needed]
        yield "Packages", [("needed", ", ".join(f"{name} {version}" for name, version in named))]
        yield "Extras", [(one.name, _extra(one)) for one in found.extras]
    if found.plugins:
        yield "Plug-ins", list(found.plugins.items())


def _torch(found: Examination) -> Iterator[Row]:
    torch = found.torch
    yield "torch", f"{torch.version or 'missing'}, built for {torch.build}"
    if torch.driver is not None:
        cuda = f", CUDA up to {torch.driver.cuda}" if torch.driver.cuda else ""
        yield "driver", f"NVIDIA {torch.driver.version}{cuda}"
    for gpu in torch.gpus:
        yield "GPU", f"{gpu.name}, {memory(gpu.memory_bytes)}"
    if torch.mps:
        yield "GPU", "of this Mac (mps)"
    if not torch.gpus and not torch.mps:
        yield "GPU", "none that PyTorch can use"


def _machine(found: Examination) -> Iterator[Row]:
    processor, room = found.processor, found.memory
    yield "system", found.system
    features = f" ({', '.join(processor.features)})" if processor.features else ""
    yield "processor", f"{processor.name}{features}"
    quota = "no quota" if processor.quota is None else f"quota {processor.quota:g}"
    yield "cores", f"{processor.usable} of {processor.cores} usable (affinity {processor.scheduled}, {quota})"
    variable = "" if processor.omp_num_threads is None else f" (OMP_NUM_THREADS={processor.omp_num_threads})"
    yield "threads", f"{processor.threads}{variable}"
    limit = "no limit" if room.limit is None else f"limit {memory(room.limit)}"
    yield "memory", f"{memory(room.available)} of {memory(room.total)} available, {limit}"
    if room.between_processes is not None:
        yield str(SHARED), f"{memory(room.between_processes.free)} of {memory(room.between_processes.total)} free"


def _folder(folder: Folder) -> str:
    held = "" if folder.bytes is None else f"{memory(folder.bytes)}; "
    free = "" if folder.room is None else f"{memory(folder.room.free)} free"
    return f"{folder.path}: {held}{free}".rstrip(": ;")


def _extra(extra: Extra) -> str:
    present = [f"{one.name} {one.version}" for one in extra.packages if one.fits]
    missing = [one.name if one.version is None else f"{one.name} {one.version} (wants {one.wanted})"
               for one in extra.packages if not one.fits]  # fmt: skip
    if not missing:
        return ", ".join(present)
    return f"{', '.join([*present, ''])}missing: {', '.join(missing)}" if present else "not installed"


def _print_problem(console: Console, problem: Problem) -> None:
    word, style = ("wrong", "bold red") if problem.wrong else ("note", "bold")
    console.print(Text.assemble((f"{word}[{problem.name}]", style), f": {problem.found}"))
    console.print(Text(f"help: {problem.help}"))
    if problem.source:
        console.print(Text(f"see: {problem.source}"), soft_wrap=True)
    console.print()
