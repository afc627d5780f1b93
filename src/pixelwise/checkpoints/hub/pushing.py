"""`pixelwise.push`: a run on the Hugging Face Hub, sent in one commit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.hub import client
from pixelwise.checkpoints.hub.addresses import HubAddress, require_repository
from pixelwise.checkpoints.hub.contents import Contents, contents_of
from pixelwise.checkpoints.hub.layout import DESCRIPTION, is_ours
from pixelwise.checkpoints.hub.options import PushOptions
from pixelwise.checkpoints.hub.resolving import run_path
from pixelwise.errors import CheckpointError
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.storage import sha256_bytes

_ATTEMPTS = 4
_FIRST_WAIT = 1.0
_UNTOUCHED = (".gitattributes",)
"""Files that the hub puts into every repository."""


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent.

    Attributes:
        address: Its address, `hub://OWNER/NAME`.
        url: Its page.
        commit: The commit, 40 hexadecimal digits; empty after a dry run.
        created: Whether the repository was created.
        private: Whether it is private; None after a dry run, which asks nobody.
        weights_sha256: SHA-256 of the weights.
        files: Path in the repository -> size in bytes.
        removed: Files of the run that was replaced, which the new one does not have.
    """

    address: str
    url: str
    commit: str = ""
    created: bool = False
    private: bool | None = None
    weights_sha256: str = ""
    files: dict[str, int] = {}
    removed: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(self.files.values())


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """A repository before something is sent to it."""

    commit: str
    private: bool
    files: tuple[str, ...]
    created: bool = False


def push(
    run: str | os.PathLike[str],
    repository: str,
    options: PushOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Pushed:
    """Publish a run, or an exported artefact, on the Hugging Face Hub; others load it as `hub://OWNER/NAME`.

    The weights that `evaluate` takes are sent, the recipe, the scores and a model card, without commands, folders and
    names of files; not the state of the training, nor images of the data unless `samples` asks for some. Everything
    arrives in one commit: a push that is stopped leaves what was there before.

    Args:
        run: A run folder, or an exported artefact.
        repository: `OWNER/NAME`; a private repository is created if there is none.
        options: What is published, and for whom.
        observer: Receives phases and warnings.
        changes: Single fields of `options`, such as `public=True`.

    Returns:
        What was sent; with `dry_run`, what would be.

    Raises:
        CheckpointError: K490, `repository` is no such name; K412, K420 to K423, the run cannot be read; K491 to K494,
            the hub cannot be reached or refuses; K498, the repository holds something else, or others can read it
            although `public` is not given; K499, sending has failed.
        RecipeError: R240, huggingface_hub is not installed; R251, samples are asked for without a licence of the data.
    """
    wanted = chosen(PushOptions, options, changes)
    wanted.refuse_contradictions()
    address = HubAddress(require_repository(repository.removeprefix("hub://")))
    observer.phase(f"collecting what is published of {os.fspath(run)}")
    contents = contents_of(run_path(run, observer.warn), address.repository, wanted, observer.warn)
    url = f"{client.endpoint()}/{address.repository}"
    if wanted.dry_run:
        return Pushed(address=str(address), url=url, weights_sha256=contents.weights_sha256, files=contents.sizes)
    place = _place(address, wanted)
    removed = tuple(name for name in place.files if is_ours(name) and name not in contents.files)
    size = sum(contents.sizes.values())
    observer.phase(f"sending {len(contents.files)} files ({size / 1e6:.1f} MB) to {address}")
    with client.bars_on_a_terminal():
        commit = _send(address, place, contents, removed, wanted)
    return Pushed(
        address=str(address),
        url=url,
        commit=commit,
        created=place.created,
        private=place.private,
        weights_sha256=contents.weights_sha256,
        files=contents.sizes,
        removed=removed,
    )


def _place(address: HubAddress, wanted: PushOptions) -> _Place:
    """The repository, which is created if there is none.

    Raises:
        CheckpointError: K498, it holds something, or others can read it, and the options do not say so.
    """
    hub = client.library()
    try:
        place = _attempted(lambda: _found(address))
    except hub.errors.GatedRepoError as error:
        raise client.explained(error, address, writing=True) from None
    except hub.errors.RepositoryNotFoundError:
        _create(address, wanted)
        return msgspec.structs.replace(_asked(lambda: _found(address), address), created=True)
    except Exception as error:  # huggingface_hub passes on whatever its transport raises
        raise client.explained(error, address, writing=True) from None
    _refuse_surprises(address, place, wanted)
    return place


def _create(address: HubAddress, wanted: PushOptions) -> None:
    _asked(
        lambda: client.api().create_repo(address.repository, private=not wanted.public, exist_ok=True),
        address,
    )


def _found(address: HubAddress) -> _Place:
    found = client.api().repo_info(address.repository, timeout=client.TIMEOUT)
    return _Place(
        commit=found.sha or "",
        private=bool(found.private),
        files=tuple(sorted(one.rfilename for one in found.siblings or ())),
    )


def _refuse_surprises(address: HubAddress, place: _Place, wanted: PushOptions) -> None:
    if not place.private and not wanted.public:
        raise CheckpointError(
            "K498",
            f"everybody can read {address}",
            "publish it for everybody with `public`, or make the repository private on its page first",
        )
    if place.private and wanted.public:
        raise CheckpointError(
            "K498",
            f"{address} exists and is private, and `public` is given",
            f"leave `public` out, and make it public at {client.endpoint()}/{address.repository}/settings afterwards",
        )
    held = [name for name in place.files if name not in _UNTOUCHED]
    if held and not wanted.replace:
        what = "a run" if DESCRIPTION in held else "other files"
        raise CheckpointError(
            "K498",
            f"{address} already holds {what}: {len(held)} files at commit {place.commit[:12]}",
            "replace it with `replace`: earlier commits stay on the hub, and are loaded with @REVISION; or name "
            "another repository",
        )


def _send(address: HubAddress, place: _Place, contents: Contents, removed: Iterable[str], wanted: PushOptions) -> str:
    """Send everything in one commit, and return it."""
    hub = client.library()
    message = wanted.message or f"{contents.recipe}, weights {contents.weights_sha256[:12]}"

    def commit() -> str:
        operations = [
            *(hub.CommitOperationAdd(name, str(one) if isinstance(one, Path) else one)
              for name, one in contents.files.items()),
            *(hub.CommitOperationDelete(name) for name in removed),
        ]  # fmt: skip
        made = client.api().create_commit(
            address.repository,
            operations,
            commit_message=message,
            revision=address.revision,
            parent_commit=place.commit or None,
        )
        return made.oid

    try:
        return _attempted(commit)
    except Exception as error:  # as above
        arrived = _arrived(address, contents)
        if arrived:
            return arrived
        raise _failed(error, address) from None


def _arrived(address: HubAddress, contents: Contents) -> str:
    """The newest commit if it holds exactly what was sent: its answer was lost; empty otherwise."""
    sent = contents.files[DESCRIPTION]
    try:
        found = _found(address)
        path = client.library().hf_hub_download(
            address.repository,
            DESCRIPTION,
            revision=found.commit,
            endpoint=client.endpoint(),
            cache_dir=client.downloads_folder(),
        )
        same = isinstance(sent, bytes) and sha256_bytes(Path(path).read_bytes()) == sha256_bytes(sent)
    except Exception:  # whatever has failed before has failed again
        return ""
    return found.commit if same else ""


def _failed(error: Exception, address: HubAddress) -> Exception:
    status = client.status_of(error)
    if status == 412:
        return CheckpointError(
            "K498",
            f"somebody else has changed {address} meanwhile",
            "look at what is there now, and push again with `replace`",
        )
    shown = client.explained(error, address, writing=True)
    if isinstance(shown, CheckpointError) and shown.code in ("K494", "K499"):
        reason = f"HTTP status {status}" if status else type(error).__name__
        return CheckpointError(
            "K499",
            f"sending to {address} has failed ({reason}); nothing of it is visible there",
            "push again: what has arrived is not sent twice",
        )
    return shown


def _asked(ask: Callable[[], Any], address: HubAddress) -> Any:
    try:
        return _attempted(ask)
    except Exception as error:  # as above
        raise client.explained(error, address, writing=True) from None


def _attempted(ask: Callable[[], Any]) -> Any:
    """What the hub answers, asked again where the trouble may be temporary."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return ask()
        except Exception as error:  # as above
            if not client.is_temporary(error):
                raise
        time.sleep(_FIRST_WAIT * 2**attempt)
    return ask()
