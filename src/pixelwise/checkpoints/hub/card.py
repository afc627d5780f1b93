"""The model card: `README.md` of a repository, with the front matter that the hub reads.

Every number on it is from a `result.json`, with its split and protocol beside it. What is not known is said to be
unknown.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from pixelwise.checkpoints.hub.layout import CARD
from pixelwise.errors import PixelwiseError
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment, Licence
from pixelwise.records.result import Result
from pixelwise.records.showing import drawn_units
from pixelwise.storage.names import counted

_NAMED = ("auto", "folder", "")
"""Values of `data.dataset` that name no data set."""
_LICENCES = {
    "agpl-3.0": "agpl-3.0", "apache-2.0": "apache-2.0", "bsd-2-clause": "bsd-2-clause", "bsd-3-clause": "bsd-3-clause",
    "cc-by-4.0": "cc-by-4.0", "cc-by-nc-4.0": "cc-by-nc-4.0", "cc-by-nc-sa-4.0": "cc-by-nc-sa-4.0",
    "cc-by-sa-4.0": "cc-by-sa-4.0", "cc0-1.0": "cc0-1.0", "gpl-3.0": "gpl-3.0", "lgpl-3.0": "lgpl-3.0", "mit": "mit",
    "mpl-2.0": "mpl-2.0", "odbl-1.0": "odbl", "unknown": "unknown",
}  # fmt: skip
"""SPDX identifiers in lower case -> what the hub calls these licences; any other is `other`, with its name."""
_MARKDOWN = str.maketrans({letter: f"\\{letter}" for letter in "\\`*_{}[]<>#|!"})


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a card describes.

    Attributes:
        repository: `OWNER/NAME`.
        licence: Licences of the weights and of the code, and the networks that the weights were derived from.
        data_licence: Licence or terms of the data; empty if nobody has named them.
        recipe: Recipe of a run; None for an artefact.
        artefact: Content of the `model.toml` of an artefact; empty for a run.
        facts: The data of the run.
        environment: The environment of the run.
        scores: Scores of the run.
        pictures: Paths of pictures in the repository.
        step: Number of optimizer steps that the weights were trained for.
        weights_sha256: SHA-256 of the weights.
    """

    repository: str
    licence: Licence
    data_licence: str = ""
    recipe: Recipe | None = None
    artefact: dict[str, Any] = {}
    facts: DataFacts = DataFacts()
    environment: Environment = Environment()
    scores: tuple[Result, ...] = ()
    pictures: tuple[str, ...] = ()
    step: int = 0
    weights_sha256: str = ""

    @property
    def name(self) -> str:
        """Name of the recipe."""
        return self.recipe.name if self.recipe is not None else str(self.artefact.get("recipe_name", ""))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        found = self.recipe.data.class_names() if self.recipe is not None else self.artefact.get("classes")
        return tuple(found or ())

    @property
    def dataset(self) -> str:
        """Name of the data set; empty if it has none."""
        plain = self.artefact.get("recipe", {}).get("data", {}).get("dataset", "")
        named = self.facts.dataset or (self.recipe.data.dataset if self.recipe is not None else str(plain))
        return "" if named in _NAMED else named


def card_of(subject: Subject) -> str:
    """The text of `README.md`: front matter in YAML, then Markdown."""
    import yaml

    front = yaml.safe_dump(_front_matter(subject), sort_keys=False, allow_unicode=True, width=1000)
    sections = (_head(subject), _usage(subject), *_scores(subject), _training(subject), _data(subject))
    pictures = [_pictures(subject)] if subject.pictures else []
    return f"---\n{front}---\n\n" + "\n\n".join([*sections, *pictures, _licences(subject), _intended(subject)]) + "\n"


def _front_matter(subject: Subject) -> dict[str, Any]:
    licence = subject.licence.weights
    known = _LICENCES.get(licence.lower())
    front: dict[str, Any] = {"license": known or "other"}
    if known is None:
        front |= {"license_name": "-".join(licence.lower().split()), "license_link": f"{CARD}#licences"}
    front |= {
        "library_name": "pixelwise",
        "pipeline_tag": "image-segmentation",
        "tags": ["semantic-segmentation", "pixelwise", subject.name],
    }
    if subject.dataset:
        front["datasets"] = [subject.dataset]
    if subject.scores:
        front["metrics"] = ["mean_iou", "accuracy"]
        front["model-index"] = [
            {"name": subject.repository.partition("/")[2], "results": [_entry(subject, one) for one in subject.scores]}
        ]
    return front


def _entry(subject: Subject, result: Result) -> dict[str, Any]:
    """A score as the hub's index of models has it; undefined values are left out."""
    values = (("mean_iou", "mIoU", result.miou), ("accuracy", "pixel accuracy", result.pixel_accuracy))
    return {
        "task": {"type": "image-segmentation", "name": "Semantic segmentation"},
        "dataset": {
            "type": subject.dataset or "custom",
            "name": subject.dataset or "the owner's own data",
            "split": result.split,
            "args": {"protocol": result.protocol},
        },
        "metrics": [
            {"type": kind, "name": f"{name} ({result.split}, {result.protocol})", "value": value}
            for kind, name, value in values
            if math.isfinite(value)
        ],
    }


def _head(subject: Subject) -> str:
    name = subject.repository.partition("/")[2]
    said = f"{_text(subject.recipe.summary)} " if subject.recipe is not None and subject.recipe.summary else ""
    first = subject.scores[0] if subject.scores else None
    score = ""
    if first is not None and math.isfinite(first.miou):
        score = (
            f" Mean IoU {_percent(first.miou)} % on {counted(first.images, 'image')} of the split `{first.split}` "
            f"under the protocol `{first.protocol}`."
        )
    kind = "A network" if subject.recipe is not None else f"An exported network ({subject.artefact.get('runtime', '')})"
    return (
        f"# {_text(name)}\n\n{said}{kind} for semantic segmentation, trained with Pixelwise from the recipe "
        f"`{subject.name}`: {len(subject.classes)} classes.{score}"
    )


def _usage(subject: Subject) -> str:
    address = f"hub://{subject.repository}"
    extra = "train" if subject.recipe is not None else "runtime,hub"
    verbs = (
        f"pixelwise evaluate {address} --data DATA\npixelwise train RECIPE --data DATA --from {address}\n"
        if subject.recipe is not None
        else ""
    )
    return (
        "## Use it\n\n"
        f"```python\nimport pixelwise  # pip install 'pixelwise[{extra}]'\n"
        f'segmenter = pixelwise.load("{address}")\n'
        'segmenter.predict("photo.jpg").save("masks")\n```\n\n'
        f"```\npixelwise predict {address} photos --output masks\n{verbs}```\n\n"
        f"`@REVISION` behind the name keeps a branch, a tag or a commit: `{address}@main`."
    )


def _scores(subject: Subject) -> list[str]:
    if not subject.scores:
        score = subject.artefact.get("score")
        if isinstance(score, dict) and "miou" in score:
            return [
                f"## Scores\n\nThe run that was exported: mean IoU {_percent(score['miou'])} % on the split "
                f"`{score.get('split')}` under the protocol `{score.get('protocol')}`."
            ]
        return ["## Scores\n\nThis run has not been scored."]
    return [_score(one) for one in subject.scores]


def _score(result: Result) -> str:
    interval = ""
    if result.miou_interval is not None:
        low, high = result.miou_interval
        interval = f" (95 % interval over {drawn_units(result)}: {_percent(low)} to {_percent(high)})"
    lines = [
        f"## Scores: split `{result.split}`, protocol `{result.protocol}`",
        f"Mean IoU {_percent(result.miou)} %{interval}, pixel accuracy {_percent(result.pixel_accuracy)} %, over "
        f"{counted(result.images, 'image')}. {_protocol(result.protocol)}",
        "| class | IoU % | accuracy % | precision % | pixels | images |\n|---|---:|---:|---:|---:|---:|\n"
        + "\n".join(
            f"| {_text(one.name)} | {_percent(one.iou)} | {_percent(one.accuracy)} | {_percent(one.precision)} "
            f"| {one.pixels:,} | {one.images:,} |"
            for one in result.per_class
        ),
        f"Weights `{result.weights_sha256[:16]}`, data `{result.data_fingerprint[:16]}`, recipe "
        f"`{result.recipe_hash[:16]}` (SHA-256); measured on {_text(result.machine.gpu or result.machine.cpu)} with "
        f"Pixelwise {result.versions.get('pixelwise', 'unknown')}.",
    ]
    notes = [f"- {_text(note)}" for note in result.notes]
    return "\n\n".join([*lines, *(["\n".join(notes)] if notes else [])])


def _protocol(name: str) -> str:
    try:
        return f"Protocol: {find_protocol(name).summary}."
    except PixelwiseError:
        return ""


def _training(subject: Subject) -> str:
    recipe = subject.recipe
    if recipe is None:
        return "## Training\n\n`model.toml` holds the recipe, and how closely the artefact agrees with PyTorch."
    start = subject.environment.initial_weights
    begins = start.encoder if start.encoder != "none" else "random weights"
    if start.run is not None:
        begins = f"a run of `{start.run.recipe}` (step {start.run.step:,}, SHA-256 `{start.run.weights_sha256[:16]}`)"
    versions = ", ".join(f"{name} {version}" for name, version in subject.environment.versions.items())
    return (
        f"## Training\n\n{subject.step:,} steps from {begins}. `recipe.toml` holds every setting: `pixelwise train "
        "recipe.toml --data DATA` repeats the training."
        + (f" Versions: {versions}." if versions else "")
        + (f" Weights: SHA-256 `{subject.weights_sha256}`." if subject.weights_sha256 else "")
    )


def _data(subject: Subject) -> str:
    facts = subject.facts
    counts = ", ".join(f"{split} {number:,}" for split, number in facts.images.items())
    named = f"`{subject.dataset}`" if subject.dataset else "Data of the owner"
    more = f" and {counted(facts.unlabelled, 'image')} without labels" if facts.unlabelled else ""
    listed = ", ".join(_text(name) for name in subject.classes)
    return (
        f"## Data\n\n{named}"
        + (f", images per split: {counts}{more}" if counts else "")
        + f". Licence or terms of the data: {_text(subject.data_licence) or 'not stated by the owner'}."
        + f"\n\nClasses, in the order of their ids: {listed}."
    )


def _pictures(subject: Subject) -> str:
    shown = "\n\n".join(f"![photo, labels, prediction]({path})" for path in subject.pictures)
    return f"## Images\n\nPhoto, labels and prediction; the worst, middle and best images of the split.\n\n{shown}"


def _licences(subject: Subject) -> str:
    licence = subject.licence
    rows = [("weights", licence.weights), ("code of the original network", licence.code), ("Pixelwise", "Apache-2.0")]
    start = subject.environment.initial_weights
    if start.encoder != "none":
        stated = subject.recipe.initialize.licence if subject.recipe is not None else ""
        rows.append((f"initial weights of the encoder, {start.encoder}", stated or "unknown"))
    table = "\n".join(f"| {_text(what)} | {_text(name)} |" for what, name in rows)
    derived = "\n".join(f"- {_text(one.in_words)}" for one in licence.derived_from)
    learned = (
        "\n\nThe weights were derived from these networks by learning from them or beginning with them, whose licences "
        f"may extend to them:\n\n{derived}"
        if derived
        else ""
    )
    return f"## Licences\n\n| of | licence |\n|---|---|\n{table}{learned}"


def _intended(subject: Subject) -> str:
    where = f"`{subject.dataset}`" if subject.dataset else "the data above"
    return (
        "## Intended use and limits\n\n"
        f"For images like those of {where}. The scores hold for that data and that protocol; other cameras, places, "
        "seasons or classes can lower them without any sign of it in the masks. Score it on labelled images of your "
        "own before you rely on it, and do not rely on it alone where people can come to harm. It only knows the "
        "classes above: whatever else an image shows is given one of them."
    )


def _percent(value: float | None) -> str:
    return "n/a" if value is None or not math.isfinite(value) else f"{100 * value:.2f}"


def _text(text: str) -> str:
    """A text of others as one line of Markdown without any markup."""
    return " ".join(text.split()).translate(_MARKDOWN)
