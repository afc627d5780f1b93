"""The exceptions and warnings a user can see.

::

    PixelwiseError
    ├── RecipeError        R...  exit 2   a recipe, an override or a command line is wrong
    ├── DataError          D...  exit 3   the user's images or masks are wrong
    ├── CheckpointError    K...  exit 4   weights or a checkpoint cannot be used
    ├── DivergedError      T...  exit 5   training produced non-finite values several times in a row
    ├── ResourceError      S...  exit 6   not enough disk space or memory
    ├── RunLockedError     L...  exit 7   another process is using the run folder
    └── StoppedError       I...  exit 75 or 130   stopped on request before the end; a run can be resumed

`PixelwiseWarning` reports faults outside the requested work, such as a broken plug-in.

Every code is explained in `docs/errors.md`. A message says where the fault is and what was found against what was
expected; `help` says what to do.
"""

from __future__ import annotations

import unicodedata

# Control characters, invisible marks (which include those that turn text around), lone surrogates, line separators.
_HARMFUL = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Line breaks and tabs; the joiners of Persian, Indian scripts and emoji.
_KEPT = "\n\t\u200c\u200d"


def harmless(text: str) -> str:
    r"""The text with everything escaped that could control a terminal or disguise what is shown, such as `\u001b`.

    Names, messages and notes come from files of others. Line breaks and tabs are kept.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(letter) if _is_harmful(letter) else letter for letter in text)


def _is_harmful(letter: str) -> bool:
    return letter not in _KEPT and unicodedata.category(letter) in _HARMFUL


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if letter <= "\uffff" else f"\\U{ord(letter):08x}"


class PixelwiseError(ValueError):
    """Base class of all errors that the user can resolve.

    Args:
        code: Stable identifier such as `D202`, explained in `docs/errors.md`.
        message: One or two sentences: the place, and what was found against what was expected.
        help: The way out: one sentence or a command.
    """

    exit_code = 1

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # Unpickling an error from a worker process would by default call the class with `args`, the message alone.
        return type(self), (self.code, self.message, self.help)

    def __str__(self) -> str:
        """The two lines that the command line prints."""
        lines = f"error[{self.code}]: {self.message}"
        return harmless(f"{lines}\nhelp: {self.help}" if self.help else lines)


class PixelwiseWarning(UserWarning):
    """Something is wrong, and the work goes on without it.

    Args:
        code: Stable identifier such as `W240`, explained in `docs/errors.md`.
        message: One or two sentences: the place, and what was found.
        help: The way out: one sentence or a command.
    """

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help

    def __str__(self) -> str:
        """The lines that the command line prints."""
        lines = f"warning[{self.code}]: {self.message}"
        return harmless(f"{lines}\nhelp: {self.help}" if self.help else lines)


class RecipeError(PixelwiseError):
    """A recipe, an override or a command line is wrong."""

    exit_code = 2


class DataError(PixelwiseError):
    """The user's images or masks are wrong."""

    exit_code = 3


class CheckpointError(PixelwiseError):
    """Weights or a checkpoint cannot be used."""

    exit_code = 4


class DivergedError(PixelwiseError):
    """Training produced non-finite values several times in a row."""

    exit_code = 5


class ResourceError(PixelwiseError):
    """There is not enough disk space or memory."""

    exit_code = 6


class RunLockedError(PixelwiseError):
    """Another process is using the run folder."""

    exit_code = 7


class StoppedError(PixelwiseError):
    """The work was stopped on request before its end; a training run has saved its state and can be resumed.

    `exit_code` is 75 (EX_TEMPFAIL, which makes batch schedulers requeue a job), or 130 after Ctrl-C.
    """

    def __init__(self, code: str, message: str, help: str = "", exit_code: int = 75) -> None:
        super().__init__(code, message, help)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type, tuple[str, str, str, int]]:  # type: ignore[override]
        return type(self), (self.code, self.message, self.help, self.exit_code)


_OF_TRAINING = ("torch", "timm", "torchvision", "huggingface_hub")


def without_pytorch(error: ModuleNotFoundError, what: str = "this") -> RecipeError | None:
    """The error R240 that a user sees where PyTorch, or what comes with it, is not installed; None for other modules.

    Args:
        error: What an import raised.
        what: What was asked for, such as `pixelwise.train`.
    """
    package = (error.name or "").partition(".")[0]
    if package not in _OF_TRAINING:
        return None
    return RecipeError(
        "R240",
        f"{what} needs the package {package}, which is not installed",
        "install it: pip install 'pixelwise[train]'; checking data, and predicting with an exported ONNX file, do "
        "without",
    )


def explained(error: ModuleNotFoundError, what: str) -> Exception:
    """The error of `without_pytorch`, or `error` itself if it is about another module."""
    return without_pytorch(error, what) or error
