"""What a name of Pixelwise means, as Markdown: an error code, a field of recipes, a metric, a protocol or a recipe."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.metrics.metric import METRICS, Metric
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.fields import Field, accepted, fields_of, find_fields, paths, sections
from pixelwise.recipes.overrides import default_of, toml_value
from pixelwise.recipes.protocols import PROTOCOLS, Protocol, known_protocol
from pixelwise.recipes.schema.planning import PLANNABLE
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.reports.codes import codes, explanation_of
from pixelwise.suggestions import did_you_mean
from pixelwise.training.options import SHORTHANDS

_CODE = re.compile(r"[A-Za-z]\d{3}")
_KINDS = {
    "D": "data, exit status 3", "W": "warning", "R": "recipe or command line, exit status 2",
    "K": "weights or checkpoint, exit status 4", "T": "training, exit status 5", "S": "disk or memory, exit status 6",
    "L": "folder in use, exit status 7", "I": "stopped, exit status 75 or 130",
}  # fmt: skip
_FLAGS = {field: f"--{'from' if option == 'begin' else option}" for option, field in SHORTHANDS.items()}
_START = {"none": "random", "default": "the best pretrained ones that this machine can get"}


def describe(subject: str) -> str:
    """What a name means: an error code, a field or section of recipes, a metric, a protocol or a recipe.

    Upper and lower case are the same. A name with several meanings, such as `precision`, is described with all of them.

    Args:
        subject: Such as `D204`, `schedule.warmup_iterations`, `lr`, `mIoU`, `native` or `unet`.

    Returns:
        Markdown.

    Raises:
        RecipeError: R263, nothing has this name; the message gives similar names.
    """
    name = subject.strip()
    found = [*_code(name), *_recipes(name), *_protocols(name), *_metrics(name), *_fields(name)]
    if not found:
        raise RecipeError(
            "R263",
            f"nothing is called '{subject}'{did_you_mean(name, subjects())}",
            "name an error code (D204), a field of recipes (schedule.epochs), a metric (mIoU), a protocol or a recipe",
        )
    return "\n\n".join(found) + "\n"


def subjects() -> list[str]:
    """Every name that can be described."""
    leaves = dict.fromkeys(path.rpartition(".")[2] for path in paths())
    titles = [metric.title for metric in METRICS.all().values()]
    fields = [*sections(), *paths(), *leaves]
    return list(dict.fromkeys([*codes(), *list_recipes(), *METRICS, *titles, *PROTOCOLS.all(), *fields]))


def _code(name: str) -> list[str]:
    code = name.upper()
    text = explanation_of(code) if _CODE.fullmatch(name) else None
    return [] if text is None else [f"# {code} ({_KINDS.get(code[0], 'error')})\n\n{text}"]


def _recipes(name: str) -> list[str]:
    return [_recipe(find_recipe(one)) for one in list_recipes() if one.lower() == name.lower()]


def _start(recipe: Recipe) -> str:
    start = recipe.initialize
    frozen = ", the encoder frozen" if start.keeps_encoder else ""
    adapters = f" but for adapters of rank {start.adapter.rank}" if start.adapter.rank else ""
    return _START.get(start.encoder, f"`{start.encoder}`") + frozen + adapters


def _recipe(recipe: Recipe) -> str:
    model, published = recipe.model, recipe.published
    encoder = f" over {model.encoder_name}" if model.encoder_name else ""
    scored = ", ".join(f"`{one}`" for one in recipe.evaluation.protocols)
    facts = [
        ("network", f"`{model.family}`{encoder}"),
        ("data", _data(recipe)),
        ("initial weights", _start(recipe)),
        ("length", _length(recipe)),
        ("batch", f"{recipe.sampling.batch_size * recipe.sampling.accumulate} images" + _crop(recipe)),
        ("scored on", f"`{recipe.evaluation.split}`, by {scored}"),
    ]
    if recipe.planned:
        facts.append(("planned from the data", ", ".join(f"`{one}`" for one in recipe.planned)))
    if recipe.stages:
        facts.append(("stages before", ", ".join(one.name for one in recipe.stages)))
    if published is not None:
        score = "" if published.miou_percent is None else f"{published.miou_percent:.2f} % mIoU; "
        where = f"{published.split}, by `{published.protocol}`; {published.title}, {published.source}"
        facts.append(("published", f"{score}{where}"))
        facts.append(("licence", f"code {published.code_licence}, weights {published.weights_licence}"))
    data = "" if recipe.data.dataset == "town" else " PHOTOS"
    lines = [
        f"# {recipe.name} (recipe)", recipe.summary[:1].upper() + recipe.summary[1:] + ".",
        "\n".join(f"- {what}: {text}" for what, text in facts),
    ]  # fmt: skip
    if recipe.notes:
        lines.append(recipe.notes)
    lines.append(f"    pixelwise train {recipe.name}{data}\n    pixelwise show {recipe.name} --explain")
    return "\n\n".join(lines)


def _data(recipe: Recipe) -> str:
    return "any folder of images and masks" if recipe.data.dataset == "auto" else f"`{recipe.data.dataset}`"


def _length(recipe: Recipe) -> str:
    schedule = recipe.schedule
    return f"{schedule.epochs} epochs" if schedule.epochs is not None else f"{schedule.iterations} steps"


def _crop(recipe: Recipe) -> str:
    size = recipe.augment.crop or recipe.augment.resize
    return "" if size is None else f" of {size[1]}x{size[0]}"


def _protocols(name: str) -> list[str]:
    found = known_protocol(name)
    return [] if found is None else [_protocol(found)]


def _protocol(protocol: Protocol) -> str:
    plain = msgspec.to_builtins(protocol)
    changed = [
        f"- {field.name}: {toml_value(plain[field.name])}"
        for field in msgspec.structs.fields(protocol)
        if not field.required and getattr(protocol, field.name) != field.default
    ]
    facts = "\n".join(changed) or "- every setting at its default"
    return (
        f"# {protocol.name} (evaluation protocol)\n\n{protocol.summary}\n\n{facts}\n\n"
        f"    pixelwise evaluate RUN --protocol {protocol.name}"
    )


def _metrics(name: str) -> list[str]:
    wanted = name.lower()
    named = [(one, (one.name, one.title.lower(), one.class_title.lower())) for one in METRICS.all().values()]
    return [_metric(one) for one, names in named if wanted in names]


def _metric(metric: Metric) -> str:
    unit = (
        "a fraction: 0..1 in files and in Python, percent where people read it" if metric.unit == "%" else metric.unit
    )
    single = "" if metric.multilabel else "\n- for pixels of exactly one class"
    return (
        f"# {metric.title} (metric `{metric.name}`)\n\n{metric.summary}\n\n- unit: {unit}{single}\n\n"
        f"    pixelwise evaluate RUN --metric {metric.name}"
    )


def _fields(name: str) -> list[str]:
    own = sections()
    described = [_section(name, own[name])] if name in own else []
    by_path: dict[str, list[Field]] = {}
    for field in find_fields(name):
        by_path.setdefault(field.path, []).append(field)
    return [*described, *(_field(path, fields) for path, fields in by_path.items())]


def _section(path: str, text: str) -> str:
    inside = dict.fromkeys(one.path for one in fields_of() if one.path.rpartition(".")[0] == path)
    return f"# {path} (section of recipes)\n\n{text}\n\n- fields: {', '.join(f'`{one}`' for one in inside)}"


def _field(path: str, fields: Sequence[Field]) -> str:
    """A field, which may have another sentence and default in each model family."""
    parts = [f"# {path} (field of recipes)"]
    groups: dict[tuple[str, str, str], list[str]] = {}
    for field in fields:
        groups.setdefault((field.text, accepted(field.kind), default_of(field.default)), []).append(field.family)
    for (text, values, default), families in groups.items():
        where = f"In {', '.join(f'`{one}`' for one in families)}: " if len(groups) > 1 else ""
        parts += [f"{where}{text}", f"- values: {values}\n- default: {default}"]
    if path in PLANNABLE:
        parts.append(f"The recipe `unet` plans it from {PLANNABLE[path]}, unless it is set.")
    if path in _FLAGS:
        parts.append(f"`pixelwise train` has an option for it: `{_FLAGS[path]}`.")
    parts.append(f"    pixelwise train PHOTOS {_example(path, fields[0])}")
    return "\n\n".join(parts)


def _example(path: str, field: Field) -> str:
    """An override that sets the field, quoted for a shell where it has to be."""
    if field.choices:
        value = field.choices[-1]
    elif field.default in (msgspec.NODEFAULT, None, "", ()):
        value = "..."
    else:
        value = toml_value(msgspec.to_builtins(field.default)).strip('"')
    return shlex.quote(f"{path}={value}")
