"""huggingface_hub, imported when it is first needed, with its errors in the words of the user.

Its own variables apply: `HF_ENDPOINT` names another hub, `HF_TOKEN` or the file that `hf auth login` writes gives
access, `HF_HUB_CACHE` and `HF_HOME` say where downloads are kept, `HF_HUB_OFFLINE=1` asks for no network. No message or
file has the token, nor the texts of the library's errors, which hold addresses that give access for a while.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.checkpoints.hub.addresses import HubAddress
from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.storage.atomic import full_disk_behind

TIMEOUT = 15.0
"""Seconds to wait for an answer about a repository."""
_TEMPORARY = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
# Mistakes of this program, which must not look like trouble with the network.
_OURS = (AttributeError, NameError, TypeError, AssertionError, NotImplementedError)


def library() -> Any:
    """The package huggingface_hub.

    Raises:
        RecipeError: R240, it is not installed.
    """
    try:
        for part in ("constants", "errors", "utils"):  # which are attributes once they are imported
            importlib.import_module(f"huggingface_hub.{part}")
        return importlib.import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise RecipeError(
            "R240",
            f"runs on the Hugging Face Hub need the package {missing}, which is not installed",
            "install it: pip install 'pixelwise[hub]'",
        ) from error


def endpoint() -> str:
    """Address of the hub: that of `HF_ENDPOINT`, or `https://huggingface.co`."""
    return (os.environ.get("HF_ENDPOINT", "").strip() or library().constants.ENDPOINT).rstrip("/")


def api() -> Any:
    """The client of the hub's interface.

    Raises:
        OfflineModeIsEnabled: HF_HUB_OFFLINE asks for no network; older versions notice it in new connections alone.
    """
    hub = library()
    if hub.constants.HF_HUB_OFFLINE:
        raise hub.errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
    return hub.HfApi(endpoint=endpoint())


@contextlib.contextmanager
def bars_on_a_terminal() -> Iterator[None]:
    """Context in which the library draws its progress bars on a terminal and nowhere else.

    `HF_HUB_DISABLE_PROGRESS_BARS` decides if it is set.
    """
    utils = library().utils
    decided = library().constants.HF_HUB_DISABLE_PROGRESS_BARS is not None
    if decided or sys.stderr.isatty() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


def is_temporary(error: Exception) -> bool:
    """Whether an error of the hub may be gone at the next attempt: it did not answer, or is overloaded."""
    if isinstance(error, (*_OURS, PixelwiseError)) or _is_offline(error):
        return False
    status = status_of(error)
    return status in _TEMPORARY if status is not None else _is_of_the_network(error)


def is_unreachable(error: Exception) -> bool:
    """Whether an error says that the hub was not asked, does not answer, or is out of order."""
    return _is_offline(error) or is_temporary(error)


def status_of(error: BaseException | None) -> int | None:
    """HTTP status behind an error; None if there was no answer."""
    for one in _behind(error):
        status = getattr(getattr(one, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def explained(error: Exception, address: HubAddress, *, writing: bool = False) -> Exception:
    """What a user sees of an error of the hub.

    Args:
        error: What huggingface_hub raised.
        address: What was asked for.
        writing: Whether something was to be written.

    Returns:
        A `CheckpointError` K491 to K494 or K499, or a `ResourceError` S601; the error itself if it is a fault of this
        program.
    """
    if isinstance(error, (*_OURS, PixelwiseError)):
        return error
    if isinstance(error, OSError) and status_of(error) is None:
        full = full_disk_behind(error, Path(downloads_folder()), 1) if error.errno is not None else None
        if full is not None:
            return full
    errors = library().errors
    status = status_of(error)
    if isinstance(error, errors.GatedRepoError):
        return CheckpointError(
            "K492",
            f"{address} is open only to those whom its owner has let in",
            f"ask for access at {endpoint()}/{address.repository}, then set HF_TOKEN to a token of yours",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return CheckpointError(
            "K493",
            f"hub://{address.repository} has no revision '{address.revision}'",
            f"{endpoint()}/{address.repository}/commits/main lists the commits; without @REVISION, the newest is used",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return _not_found(address)
    if status in (401, 403) or isinstance(error, errors.LocalTokenNotFoundError):
        return _no_right(address, writing=writing)
    if is_unreachable(error):
        return unreachable(address, error)
    return CheckpointError(
        "K499",
        f"the hub refused what was asked about {address}"
        + (f" (HTTP status {status})" if status else f" ({type(error).__name__})"),
        "check the name, and pip install --upgrade huggingface_hub",
    )


def unreachable(address: HubAddress, error: Exception) -> CheckpointError:
    """The error K494: the hub cannot be asked, and there is no copy on this machine."""
    if _is_offline(error):
        return CheckpointError(
            "K494",
            f"{address} is not in the cache of huggingface_hub, and HF_HUB_OFFLINE asks for no network",
            "unset HF_HUB_OFFLINE once while there is a network: what was downloaded stays in the cache",
        )
    status = status_of(error)
    reason = f"answers with HTTP status {status}" if status else f"does not answer ({type(error).__name__})"
    return CheckpointError(
        "K494",
        f"{address}: the hub at {endpoint()} {reason}",
        "try again later, check the network and its proxies, or name another hub with HF_ENDPOINT; what was downloaded "
        "before needs no network",
    )


def downloads_folder() -> str:
    """The folder in which huggingface_hub keeps downloads."""
    constants = library().constants
    return os.environ.get("HF_HUB_CACHE", "").strip() or constants.HF_HUB_CACHE


def _has_token() -> bool:
    try:
        return bool(library().get_token())
    except OSError:
        return False


def _not_found(address: HubAddress) -> CheckpointError:
    return CheckpointError(
        "K491",
        f"there is no {address}, or it is private and the token here does not open it",
        "check the name and the rights of the token"
        if _has_token()
        else "check the name; for a private one, log in with `hf auth login`, or set HF_TOKEN to a token of yours",
    )


def _no_right(address: HubAddress, *, writing: bool) -> CheckpointError:
    if not _has_token():
        return CheckpointError(
            "K492",
            f"{address}: there is no token of the hub on this machine",
            f"make one at {endpoint()}/settings/tokens{' that may write' if writing else ''}, then log in with "
            "`hf auth login`, or set HF_TOKEN",
        )
    what = "write to" if writing else "read"
    return CheckpointError(
        "K492",
        f"{address}: the hub does not let the token on this machine {what} it",
        f"make a token that may {what} repositories of {address.repository.partition('/')[0]} at "
        f"{endpoint()}/settings/tokens, or name a repository of your own",
    )


def _is_offline(error: Exception) -> bool:
    return any(isinstance(one, library().errors.OfflineModeIsEnabled) for one in _behind(error))


def _is_of_the_network(error: Exception) -> bool:
    """Whether a transport raised an error: huggingface_hub has had several, whose errors have no common class."""
    errors = library().errors
    names = {base.__name__ for one in _behind(error) for base in type(one).__mro__}
    transports = {"TransportError", "RequestException", "ConnectionError", "TimeoutError", "RemoteProtocolError"}
    return bool(names & transports) or isinstance(error, errors.LocalEntryNotFoundError)


def _behind(error: BaseException | None) -> list[BaseException]:
    """An error and those that led to it."""
    found: list[BaseException] = []
    while error is not None and error not in found and len(found) < 10:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
