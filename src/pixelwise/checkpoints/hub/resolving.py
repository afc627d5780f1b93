"""The one place where `hub://OWNER/NAME[@REVISION]` becomes a folder: every function that takes a run asks here.

Runs are fetched into the cache of huggingface_hub, at one commit, and compared with the sizes and hashes of their
`pixelwise.json`. A commit that is there needs no network. Nothing is ever written into that cache: whoever writes into
a run folder gets a copy of it in `runs/`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.hub import client
from pixelwise.checkpoints.hub.addresses import HubAddress, hub_address, is_address
from pixelwise.checkpoints.hub.layout import (
    DESCRIPTION,
    SIDECAR,
    Description,
    no_run,
    read_description,
    refuse_differing,
    refused,
)
from pixelwise.errors import CheckpointError
from pixelwise.observer import Warn
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import building_folder, portable, printable, sha256_bytes
from pixelwise.storage.atomic import require_space
from pixelwise.storage.cache_kinds import HUB_ARTEFACTS
from pixelwise.storage.caches import building_entry, entry_path, intact_entry

_DIGITS = 8
"""Digits of a commit in the name of a copy."""
AnyPath = str | os.PathLike[str]


class Fetched(msgspec.Struct, frozen=True):
    """A run of the hub on this machine.

    Attributes:
        address: Its address, at the commit that was fetched.
        folder: Folder with its files, which must not be changed.
        described: Its description.
    """

    address: HubAddress
    folder: Path
    described: Description


def run_path(run: AnyPath, warn: Warn | None = None) -> Path:
    """The folder of a run: the path itself, or what an address of the hub leads to. It is only read.

    Args:
        run: A run folder, an exported artefact, or `hub://OWNER/NAME`, perhaps with `@REVISION`.
        warn: Receives a W490 if the hub does not answer and an earlier download is used.

    Raises:
        CheckpointError: K490, an address is malformed; K491, there is no such repository; K492, it is not open to this
            user; K493, it has no such revision; K494, the hub does not answer and nothing was downloaded before; K495,
            it holds no run; K496, its files are not what they should be.
        RecipeError: R240, huggingface_hub is not installed.
        ResourceError: S601, the disk of the cache is full.
    """
    address = hub_address(run)
    return Path(run) if address is None else fetch(address, warn).folder


def here(name: AnyPath, warn: Warn | None = None) -> AnyPath:
    """What an address of the hub leads to; anything else as it is, such as the name of a recipe.

    Args:
        name: What may be an address.
        warn: As for `run_path`.

    Raises:
        As `run_path`.
    """
    return run_path(name, warn) if is_address(name) else name


def own_run_path(run: AnyPath, warn: Warn | None = None) -> Path:
    """The folder of a run that is written to: the path itself, or a copy of a run of the hub in `runs/`.

    The copy of a commit is made once: `runs/NAME-COMMIT`, with the first digits of the commit.

    Args:
        run: As for `run_path`.
        warn: As there.

    Raises:
        As `run_path`; ResourceError: S602, the disk is too full for the copy.
    """
    address = hub_address(run)
    if address is None:
        return Path(run)
    fetched = fetch(address, warn)
    copy = Path("runs") / portable(f"{address.name}-{fetched.address.revision[:_DIGITS]}")
    if not copy.exists():
        needed = sum(one.bytes for one in fetched.described.files.values())
        require_space(copy, needed, f"a copy of {fetched.address}")
        with building_folder(copy, existing="keep", needed_bytes=needed) as folder:
            _copy(fetched.folder, fetched.described, folder)
    return copy


def pinned(run: str, warn: Warn | None = None) -> str:
    """An address of the hub at the commit to which it leads now; any other text as it is.

    Args:
        run: As for `run_path`.
        warn: As there.

    Raises:
        As `run_path`.
    """
    address = hub_address(run)
    return run if address is None else str(fetch(address, warn).address)


def with_pinned_runs(recipe: Recipe, warn: Warn | None = None) -> Recipe:
    """The recipe with every address of the hub that it begins with or learns from at its present commit.

    Args:
        recipe: The recipe of a run that begins.
        warn: As for `run_path`.

    Raises:
        As `run_path`.
    """
    start, taught = recipe.initialize, recipe.distillation
    if start.run is not None:
        start = msgspec.structs.replace(start, run=pinned(start.run, warn))
    start = msgspec.structs.replace(start, encoder=pinned(start.encoder, warn))
    if taught.teacher is not None:
        teachers = tuple(pinned(one, warn) for one in taught.teachers)
        taught = msgspec.structs.replace(taught, teacher=teachers if isinstance(taught.teacher, tuple) else teachers[0])
    if (start, taught) == (recipe.initialize, recipe.distillation):
        return recipe
    return msgspec.structs.replace(recipe, initialize=start, distillation=taught)


def refuse_to_continue(run: AnyPath) -> None:
    """Refuse an address of the hub where a training is to go on, which needs the state of the optimizer.

    Raises:
        CheckpointError: K490, the address is malformed; K497, it is an address.
    """
    address = hub_address(run)
    if address is not None:
        raise CheckpointError(
            "K497",
            f"{address} holds the weights of a finished training, without the state with which it could go on",
            f"begin a new training with them: pixelwise train RECIPE --data DATA --from {address}",
        )


def fetch(address: HubAddress, warn: Warn | None = None) -> Fetched:
    """Fetch a run from the hub, or find it in the cache of huggingface_hub, and verify it.

    Args:
        address: The run.
        warn: As for `run_path`.

    Raises:
        As `run_path`.
    """
    where = str(address)
    file = _description(address, warn)
    folder = file.parent
    commit = address.at(folder.name)
    described = read_description(file, where)
    with client.bars_on_a_terminal():
        for name in described.files:
            _fetch_listed(commit, name)
    refuse_differing(folder, described, where)
    return Fetched(commit, without_links(folder, described, where), described)


def without_links(folder: Path, described: Description, where: str) -> Path:
    """The folder of a run, or of an artefact whose files may be links; of any other artefact, one with copies of them.

    The cache of huggingface_hub holds links to files elsewhere. A run is read through them, but no runtime may follow
    one to the weights that belong to a graph.

    Args:
        folder: Folder with the files.
        described: Their description.
        where: Address of the repository, for messages.

    Raises:
        CheckpointError: K496, a file has changed meanwhile.
        ResourceError: S601, the disk of the cache is full; S606, the cache folder cannot be written.
    """
    further = [name for name in described.files if name != SIDECAR]
    if described.kind == "run" or (len(further) == 1 and "/" not in further[0]):
        return folder
    entry = entry_path(HUB_ARTEFACTS, sha256_bytes(msgspec.json.encode(described.files, order="sorted")))
    if not intact_entry(entry):
        needed = sum(one.bytes for one in described.files.values())
        with building_entry(HUB_ARTEFACTS, entry, needed_bytes=needed) as copy:
            _copy(folder, described, copy)
            refuse_differing(copy, described, where)
    return entry


def _copy(folder: Path, described: Description, target: Path) -> None:
    """Copy the listed files."""
    for name in described.files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name)


def _fetch_listed(commit: HubAddress, name: str) -> None:
    """Fetch a file that the description lists."""
    errors = client.library().errors
    try:
        _download(commit, name)
    except Exception as error:  # huggingface_hub passes on whatever its transport raises
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            raise refused(str(commit), f"{printable(name)}, which {DESCRIPTION} lists, is missing") from None
        raise client.explained(error, commit) from None


def _description(address: HubAddress, warn: Warn | None) -> Path:
    """The fetched `pixelwise.json` of the newest commit; of the last one that was seen if the hub does not answer."""
    errors = client.library().errors
    if address.is_pinned and (kept := _kept(address)) is not None:
        return kept
    try:
        return _download(address, DESCRIPTION, answered=True)
    except Exception as error:  # as above
        kept = _kept(address) if client.is_unreachable(error) else None
        if kept is not None:
            if warn is not None and client.is_temporary(error):
                warn(
                    "W490",
                    f"{address}: the hub at {client.endpoint()} does not answer; the download of commit "
                    f"{kept.parent.name[:_DIGITS]} is used, which may be older than what is there now",
                )
            return kept
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            raise no_run(str(address), _answered(lambda: _files(address), address)) from None
        raise client.explained(error, address) from None


def _download(address: HubAddress, name: str, *, answered: bool = False) -> Path:
    """Fetch a file of a repository; its folder has the name of the commit.

    Args:
        address: The repository and its revision.
        name: Path of the file in it.
        answered: Whether the hub has to answer, even if there is an earlier download.
    """
    hub = client.library()
    if answered:
        client.api().repo_info(address.repository, revision=address.revision, timeout=client.TIMEOUT)
    path = hub.hf_hub_download(
        address.repository,
        name,
        revision=address.revision,
        endpoint=client.endpoint(),
        cache_dir=client.downloads_folder(),
        library_name="pixelwise",
    )
    return Path(path)


def _kept(address: HubAddress) -> Path | None:
    """The `pixelwise.json` of an earlier download."""
    hub = client.library()
    found = hub.try_to_load_from_cache(
        address.repository, DESCRIPTION, cache_dir=client.downloads_folder(), revision=address.revision
    )
    return Path(found) if isinstance(found, str) else None


def _files(address: HubAddress) -> list[str]:
    """Paths of all files of a repository."""
    found = client.api().repo_info(address.repository, revision=address.revision, timeout=client.TIMEOUT)
    return sorted(one.rfilename for one in found.siblings or ())


def _answered(ask: Callable[[], Any], address: HubAddress) -> Any:
    """What the hub answers, with its errors explained."""
    try:
        return ask()
    except Exception as error:  # as above
        raise client.explained(error, address) from None
