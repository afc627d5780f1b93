"""The command line: one file per verb; heavy packages are imported only by the verbs that need them."""

from __future__ import annotations

import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from pixelwise import __version__
from pixelwise.cli.line.verbs import MARKUP, Verbs
from pixelwise.errors import (
    PixelwiseError,
    PixelwiseWarning,
    RecipeError,
    ResourceError,
    StoppedError,
    harmless,
    without_pytorch,
)
from pixelwise.machine.console import print_anything
from pixelwise.machine.ending import end_process
from pixelwise.machine.launched import is_first, local_rank, world_size

app = typer.Typer(
    name="pixelwise",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From labelled images to a measured, deployable semantic-segmentation model.",
    epilog="pixelwise check photos  # a folder with images/ and masks/\npixelwise train photos\n"
    "pixelwise predict runs/unet-1 more/photos",
)


INTERRUPTED = 130
"""Exit status after Ctrl-C."""
LOST = "S610"
"""Code of the error that another process is gone."""
_debug = False
"""Whether errors print a traceback; set by `--debug`, which stands before the verb."""


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    debug: bool = typer.Option(False, "--debug", help="Print a traceback with errors."),
) -> None:
    global _debug
    _debug = debug
    if version:
        print(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Args:
        arguments: Arguments without the program's name; None: those of `sys.argv`.
    """
    with warnings.catch_warnings():
        # Problems that Pillow warns about are reported as findings or errors with a code.
        warnings.filterwarnings("ignore", module="PIL")
        warnings.showwarning = functools.partial(_show_warning, warnings.showwarning)
        return _run(arguments)


def _show_warning(
    plainly: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any, **options: Any
) -> None:
    """Print Pixelwise's own warnings like errors, without the line of code that raised them."""
    if isinstance(message, PixelwiseWarning):
        print(message, file=sys.stderr)
    else:
        plainly(message, category, *where, **options)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(list(sys.argv[1:] if arguments is None else arguments), prog_name="pixelwise")
    except SystemExit as finished:
        return finished.code if isinstance(finished.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except PixelwiseError as error:
        return _show(error)
    except Exception as error:
        return _show(_foreign(error))
    return 0


def _show(error: PixelwiseError) -> int:
    """Print an error and return its exit status."""
    if _debug:
        traceback.print_exc()
    # What a user stopped is no error.
    wished = isinstance(error, StoppedError) and error.exit_code == INTERRUPTED
    # If the host of the first process is lost, somebody else has to say so: one process of every host.
    if is_first() or (error.code == LOST and local_rank() == 0):
        print(harmless(f"{error.message}; {error.help}") if wished else error, file=sys.stderr)
    # A launcher would start processes again that fail; the run folder says that it was stopped (exit.json).
    return 0 if isinstance(error, StoppedError) and world_size() > 1 else error.exit_code


def _foreign(error: Exception) -> PixelwiseError:
    """The error that a user sees instead of one that nothing has explained."""
    if isinstance(error, MemoryError):
        return ResourceError("D151", "there is not enough memory", "close other programs, or use smaller images")
    if isinstance(error, OSError):
        from pixelwise.machine.files import is_disk_full
        from pixelwise.storage.atomic import disk_full

        if is_disk_full(error):
            return disk_full(Path(os.fsdecode(error.filename or ".")))
    if isinstance(error, OSError) and error.filename is not None:
        return RecipeError("R281", f"{error.filename}: {error.strerror or error}", "check the path and its permissions")
    if world_size() > 1:
        from pixelwise.ranks.joining import has_lost_others

        if has_lost_others(error):
            return ResourceError(
                LOST,
                "another process that this one works with is gone, or can no longer be reached",
                "see its own messages, and those of its host; `pixelwise resume` goes on with a training",
            )
    if isinstance(error, ModuleNotFoundError) and (lacking := without_pytorch(error)) is not None:
        return lacking
    text = str(error).strip().partition("\n")[0] or "without a message"
    return PixelwiseError(
        "R280",
        f"unexpected {type(error).__name__}: {text}",
        "a fault of Pixelwise or of a plug-in: run it again as `pixelwise --debug ...` and report the traceback",
    )


def entry() -> None:
    """Entry point of the `pixelwise` script."""
    print_anything()
    status = main()
    if status == INTERRUPTED:
        end_process(status)
    sys.exit(status)
