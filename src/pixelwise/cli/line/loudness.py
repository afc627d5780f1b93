"""The options -q and -v, which every verb has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from pixelwise.reports.verbosity import Verbosity, saying

_QUIET = typer.Option(False, "--quiet", "-q", help="Show no progress: only results, warnings and errors.")
_VERBOSE = typer.Option(False, "--verbose", "-v", help="Write a line for every phase of the work.")


def with_loudness(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The same verb with the options -q and -v, unless it has one of that name itself; they set what displays say."""
    own = inspect.signature(verb, eval_str=True)
    if "quiet" in own.parameters:
        return verb
    added = {name: option for name, option in (("quiet", _QUIET), ("verbose", _VERBOSE)) if name not in own.parameters}

    @functools.wraps(verb)
    def run(**given: Any) -> Any:
        asked = {name: given.pop(name) for name in added}
        if asked.get("quiet") and (asked.get("verbose") or given.get("verbose")):
            raise typer.BadParameter("-q and -v exclude each other; leave one out")
        level = (
            Verbosity.QUIET if asked.get("quiet") else Verbosity.VERBOSE if asked.get("verbose") else Verbosity.NORMAL
        )
        with saying(level):
            return verb(**given)

    parameters = [
        *(one.replace(kind=one.KEYWORD_ONLY) for one in own.parameters.values()),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=bool)
            for name, option in added.items()
        ),
    ]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    del run.__wrapped__  # type: ignore[attr-defined]  # Typer would read its annotations instead
    return run
