"""Every exception a user can see.

::

    PixelwiseError
    ├── RecipeError        R...  exit 2   a recipe, an override or a command line is wrong
    ├── DataError          D...  exit 3   the user's images or masks are wrong
    ├── CheckpointError    K...  exit 4   weights or a checkpoint cannot be used
    ├── DivergedError      T...  exit 5   training produced non-finite values again and again
    ├── ResourceError      S...  exit 6   disk or memory is not enough
    ├── RunLockedError     L...  exit 7   another process works in the run folder
    └── StoppedError       I...  exit 75 or 130   asked to stop before the end; a run can be resumed

`PixelwiseWarning` is for what is wrong outside the work that was asked for, such as a broken plug-in.

Every code is explained in `docs/errors.md`. A message says where, what was found against what was
expected; `help` says what to do.
"""

from __future__ import annotations


class PixelwiseError(ValueError):
    """Base of all errors that are the user's to solve.

    Args:
        code: Stable identifier such as `D202`; `docs/errors.md` explains each.
        message: Where, and what was found against what was expected; one or two sentences.
        help: What to do about it; one sentence or a command.
    """

    exit_code = 1

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # The default would call the class with `args`, the message alone, when a worker process
        # hands the error over.
        return type(self), (self.code, self.message, self.help)

    def __str__(self) -> str:
        """The two lines that the command line prints."""
        lines = f"error[{self.code}]: {self.message}"
        return f"{lines}\nhelp: {self.help}" if self.help else lines


class PixelwiseWarning(UserWarning):
    """Something is not as it should be, and the work goes on without it.

    Args:
        code: Stable identifier such as `W240`; `docs/errors.md` explains each.
        message: Where, and what was found; one or two sentences.
        help: What to do about it; one sentence or a command.
    """

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help

    def __str__(self) -> str:
        """The lines that the command line prints."""
        lines = f"warning[{self.code}]: {self.message}"
        return f"{lines}\nhelp: {self.help}" if self.help else lines


class RecipeError(PixelwiseError):
    """A recipe, an override or a command line is wrong."""

    exit_code = 2


class DataError(PixelwiseError):
    """The user's images or masks are wrong, not our code."""

    exit_code = 3


class CheckpointError(PixelwiseError):
    """Weights or a checkpoint cannot be used."""

    exit_code = 4


class DivergedError(PixelwiseError):
    """Training produced non-finite values several times in a row."""

    exit_code = 5


class ResourceError(PixelwiseError):
    """Disk or memory is not enough."""

    exit_code = 6


class RunLockedError(PixelwiseError):
    """Another process works in the run folder."""

    exit_code = 7


class StoppedError(PixelwiseError):
    """Somebody asked the work to stop before its end; a run has saved its state and can be resumed.

    `exit_code` is 75 (EX_TEMPFAIL, what batch schedulers requeue) or 130 for Ctrl-C.
    """

    def __init__(self, code: str, message: str, help: str = "", exit_code: int = 75) -> None:
        super().__init__(code, message, help)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type, tuple[str, str, str, int]]:  # type: ignore[override]
        return type(self), (self.code, self.message, self.help, self.exit_code)
