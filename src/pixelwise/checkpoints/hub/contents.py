"""What `push` sends of a run or of an exported artefact."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.checkpoint import MANIFEST, STATE, Checkpoint, FileRecord, Manifest
from pixelwise.checkpoints.hub.card import Subject, card_of
from pixelwise.checkpoints.hub.cleaning import (
    clean_data,
    clean_environment,
    clean_recipe,
    clean_result,
    scrubbed,
    without_paths,
)
from pixelwise.checkpoints.hub.layout import CARD, DESCRIPTION, SIDECAR, Description, Kind, is_ours
from pixelwise.checkpoints.hub.options import PushOptions
from pixelwise.checkpoints.hub.pictures import sample_pictures
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.machine.facts import version_facts
from pixelwise.machine.files import is_link
from pixelwise.observer import Warn
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DATA, read_data_facts
from pixelwise.records.environment import ENVIRONMENT, Licence, read_environment
from pixelwise.records.evaluations import Evaluation, evaluation_folder, find_evaluation, read_evaluations
from pixelwise.records.history import HISTORY, read_history
from pixelwise.records.result import PER_CLASS, RESULT, save_result
from pixelwise.records.run_folder import CHECKPOINTS, PROVENANCE, RECIPE, is_run, read_recipe
from pixelwise.storage import json_text, printable, scratch_folder, sha256_bytes, sha256_file, sha256_folder
from pixelwise.storage.documents import is_regular, read_json, read_toml
from pixelwise.storage.names import is_plain_name

Content = bytes | Path
_REACHED = ("progress", "imported")
"""Parts of `state.json` that are sent: steps, seconds and scores, and where imported weights come from."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is sent.

    Attributes:
        kind: `run` or `artefact`.
        recipe: Name of the recipe.
        weights_sha256: SHA-256 of the weights.
        files: Path in the repository -> content, or the file that holds it.
    """

    kind: Kind
    recipe: str
    weights_sha256: str
    files: dict[str, Content]

    @property
    def sizes(self) -> dict[str, int]:
        """Path in the repository -> size in bytes."""
        return {name: _size(content) for name, content in self.files.items()}


def contents_of(folder: Path, repository: str, options: PushOptions, warn: Warn | None = None) -> Contents:
    """What is sent of a run folder or of an artefact.

    Args:
        folder: The run or the artefact.
        repository: `OWNER/NAME`, for the page.
        options: What is published.
        warn: Receives warnings about damaged checkpoints, and a W491 if the licence of the weights is not known.

    Raises:
        CheckpointError: K412, K420, K421 or K423, the run cannot be read; K462, a file of an artefact is missing,
            differs, or is a link; K498, an artefact is none of those that are fetched from the hub, or names folders of
            this computer.
        RecipeError: R251, samples are asked for of an artefact.
        DataError: D240, a score is damaged.
    """
    if not is_run(folder) and (folder / SIDECAR).is_file():
        return _artefact(folder, repository, options, warn)
    return _run(folder, repository, options, warn)


def _run(run: Path, repository: str, options: PushOptions, warn: Warn | None) -> Contents:
    from pixelwise.checkpoints.licences import licence_of_run  # imports PyTorch
    from pixelwise.checkpoints.trained import result_of

    recipe = read_recipe(run)
    checkpoint, weights = result_of(run, recipe, warn)
    cleaned, facts = clean_recipe(recipe), clean_data(read_data_facts(run))
    environment = clean_environment(read_environment(run))
    licence = _licence(licence_of_run(run, recipe), environment.derived_from, options, run, warn)
    files: dict[str, Content] = {RECIPE: to_toml(cleaned).encode()}
    for name, record in ((ENVIRONMENT, environment), (DATA, facts)):
        if (run / name).is_file():
            files[name] = json_text(record).encode()
    if (run / HISTORY).is_file():
        files[HISTORY] = json_text(scrubbed(msgspec.to_builtins(read_history(run)))).encode()
    if (run / PROVENANCE).is_file():
        files[PROVENANCE] = json_text(_provenance(run, licence)).encode()
    elif options.licence is not None:
        files[PROVENANCE] = json_text({"licence": licence.weights, "recipe": cleaned.name}).encode()
    files |= _weights(checkpoint, weights)
    scores = [one for one in read_evaluations(run) if _is_published(run, one)]
    for one in scores:
        files |= _score(one)
    described = _described("run", cleaned.name, files)
    pictures = _pictures(run, recipe, options)
    subject = Subject(
        repository=repository,
        recipe=cleaned,
        licence=licence,
        data_licence=options.data_licence or _terms(facts.dataset or recipe.data.dataset),
        facts=facts,
        environment=environment,
        scores=tuple(clean_result(one.result) for one in scores),
        pictures=tuple(pictures),
        step=checkpoint.step,
        weights_sha256=checkpoint.sha256(weights),
    )
    files[CARD] = card_of(subject).encode()
    return Contents(
        kind="run",
        recipe=cleaned.name,
        weights_sha256=checkpoint.sha256(weights),
        files=dict(sorted((files | pictures | {DESCRIPTION: described}).items())),
    )


def _weights(checkpoint: Checkpoint, weights: str) -> dict[str, Content]:
    """The weights that are scored and exported, how far the training was, and a manifest of these alone."""
    name = f"{weights}.safetensors"
    reached = {key: one for key, one in checkpoint.state().items() if key in _REACHED}
    state = json_text(scrubbed(reached)).encode()
    records = {name: checkpoint.manifest.files[name], STATE: FileRecord(sha256_bytes(state), len(state))}
    manifest = Manifest(step=checkpoint.step, miou=checkpoint.manifest.miou, files=records)
    folder = f"{CHECKPOINTS}/{checkpoint.path.name}"
    return {
        f"{folder}/{name}": checkpoint.path / name,
        f"{folder}/{STATE}": state,
        f"{folder}/{MANIFEST}": json_text(manifest).encode(),
    }


def _is_published(run: Path, one: Evaluation) -> bool:
    """Whether a score is of the run's own data: those of other folders are named after them."""
    usual = evaluation_folder(run, one.result.split, one.result.protocol)
    return one.folder.name == usual.name and one.result.own_data is not False and not one.result.variant


def _score(one: Evaluation) -> dict[str, Content]:
    with scratch_folder(Path(tempfile.gettempdir())) as folder:
        save_result(clean_result(one.result), (), folder)
        kept = {name: (folder / name).read_bytes() for name in (RESULT, PER_CLASS)}
    place = f"{one.folder.parent.name}/{one.folder.name}"
    return {f"{place}/{name}": content for name, content in kept.items()}


def _provenance(run: Path, licence: Licence) -> dict[str, Any]:
    """Where imported weights come from, with the licence that is published."""
    plain = scrubbed(read_json(run / PROVENANCE, dict[str, Any]))
    return plain | {"licence": licence.weights}


def _licence(
    recorded: Licence, derived_from: tuple[Any, ...], options: PushOptions, run: Path, warn: Warn | None
) -> Licence:
    weights = options.licence or recorded.weights
    if weights == "unknown" and warn is not None:
        warn(
            "W491",
            f"{printable(run)}: nothing says under which licence its weights are published; the page says `unknown`, "
            "so others may not use them: name one with `licence`",
        )
    return msgspec.structs.replace(recorded, weights=weights, derived_from=derived_from)


def _pictures(run: Path, recipe: Recipe, options: PushOptions) -> dict[str, Content]:
    if not options.samples:
        return {}
    found = find_evaluation(run, recipe.evaluation.split, recipe.evaluation.protocols[0])
    return {} if found is None else dict(sample_pictures(found.folder))


def _terms(dataset: str) -> str:
    """Terms of use of a public data set, as `data prepare` shows them; empty for own data."""
    from pixelwise.datasets.format import FORMATS

    known = FORMATS.look_up(dataset) if dataset != "auto" else None
    return known.publications[0].terms if known is not None and known.publications else ""


def _artefact(folder: Path, repository: str, options: PushOptions, warn: Warn | None) -> Contents:
    """An exported network as it is: its description is within its files, too, and cannot be changed."""
    if options.samples:
        raise RecipeError("R251", "an artefact has no `samples`", "push the run itself, or leave `samples` out")
    described = read_toml(folder / SIDECAR)
    files: dict[str, Content] = {SIDECAR: folder / SIDECAR}
    files |= _exported_files(folder, described)
    hidden = [text for text in _texts(described) if without_paths(text) != text]
    if hidden:
        raise CheckpointError(
            "K498",
            f"{printable(folder / SIDECAR)} names folders of this computer, such as {printable(hidden[0])}, and so "
            "does the description within the artefact",
            "push the run instead, from which others export it themselves; or export again from a run whose recipe "
            "names no folders",
        )
    recipe = str(described.get("recipe_name", ""))
    found = msgspec.convert(described.get("licence", {"weights": "unknown", "code": "unknown"}), Licence, strict=False)
    licence = _licence(found, found.derived_from, options, folder, warn)
    subject = Subject(
        repository=repository, artefact=described, licence=licence, data_licence=options.data_licence or ""
    )
    files[DESCRIPTION] = _described("artefact", recipe, files)
    files[CARD] = card_of(subject).encode()
    return Contents(
        kind="artefact",
        recipe=recipe,
        weights_sha256=str(described.get("weights_sha256", "")),
        files=dict(sorted(files.items())),
    )


def _exported_files(folder: Path, described: dict[str, Any]) -> dict[str, Content]:
    """Path in the repository -> file of an artefact; one that is a folder, as for Core ML, is sent file by file.

    Only what the artefact itself says that it holds is sent: its maker may be somebody else, whose links lead anywhere.
    """
    listed: list[str] = []
    for name, sha256 in described.get("files", {}).items():
        file = folder / name
        whole = is_plain_name(name) and file.is_dir()
        within = sorted(file.rglob("*")) if whole else []
        inner = [path.relative_to(folder).as_posix() for path in within if not path.is_dir()]
        if link := next((path for path in within if is_link(path)), None):
            raise _not_as_exported(folder, f"{printable(link.relative_to(folder))} is a link to another file")
        if more := next((path for path in inner if not is_ours(path)), None):
            raise _not_as_exported(folder, f"{printable(more)} is no part of it", "remove it, or ")
        if is_ours(name) or whole:
            if not (whole or is_regular(file)):
                raise _not_as_exported(folder, f"{printable(name)} is missing")
            if (found := sha256_folder(file) if whole else sha256_file(file)) != sha256:
                what = f"{printable(name)} has SHA-256 {found[:12]}..., {SIDECAR} says {str(sha256)[:12]}..."
                raise _not_as_exported(folder, what)
        listed += inner if whole else [name]
    if strange := next((name for name in listed if not is_ours(name)), None):
        raise CheckpointError(
            "K498",
            f"{printable(folder)} holds {printable(strange)}, which is not fetched from the hub: opening it may run "
            "code, or it needs this computer",
            "export for ONNX, OpenVINO, ExecuTorch, LiteRT or Core ML: pixelwise export RUN --target onnx --output DIR",
        )
    return {name: folder / name for name in listed}


def _not_as_exported(folder: Path, reason: str, instead: str = "") -> CheckpointError:
    return CheckpointError(
        "K462",
        f"{printable(folder)} is not as it was exported: {reason}",
        f"{instead}export it again: pixelwise export RUN --output DIR",
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from (key, *_texts(one))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _described(kind: Kind, recipe: str, files: dict[str, Content]) -> bytes:
    records = {
        name: FileRecord(sha256_bytes(content) if isinstance(content, bytes) else sha256_file(content), _size(content))
        for name, content in sorted(files.items())
    }
    return json_text(
        Description(kind=kind, recipe=recipe, pixelwise=version_facts().get("pixelwise", ""), files=records)
    ).encode()


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
