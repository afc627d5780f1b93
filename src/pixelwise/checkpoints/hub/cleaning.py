"""Records of a run without what concerns only the machine and the person that made it.

Left out are commands, folders, findings with names of files, names of groups of images, the launcher, and the release
of the operating system, which some build themselves. Paths within any other text keep their last part. What remains is
what a stranger needs to repeat and to judge the training: versions, processor, settings, hashes, counts and scores.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from pixelwise.checkpoints.files.folders import ENDINGS
from pixelwise.checkpoints.hub.addresses import is_address
from pixelwise.machine.facts import Machine
from pixelwise.recipes.overrides import from_plain, to_plain
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Arguments, Environment
from pixelwise.records.result import Result

_NAME = r"[^\s/\\\"'`,;:|<>()\[\]{}]+"
# Two parts at least, or a home folder: `/` alone, `and/or` and the paths of addresses are words of a sentence.
_PATH = re.compile(
    rf"(?<![\w:/\\.@~])(?:file://)?(?:/{_NAME}(?=/)(?:/{_NAME})+/?"
    rf"|~[\w.-]*(?:/{_NAME})+/?"
    rf"|\.{{1,2}}(?:/{_NAME})+/?"
    rf"|[A-Za-z]:[/\\]{_NAME}(?:[/\\]{_NAME})*[/\\]?"
    rf"|\\\\{_NAME}(?:\\{_NAME})+\\?)"
)
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def without_paths(text: str) -> str:
    """The text with each path in it reduced to its last part: `begins with /home/me/runs/a` -> `begins with a`."""
    return _PATH.sub(lambda found: re.split(r"[/\\]", found[0].rstrip("/\\"))[-1], text)


def last_part(name: str) -> str:
    """The last part of the path of a run or of a file; an address of the hub as it is."""
    if is_address(name):
        return name
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] or name


def scrubbed(value: Any) -> Any:
    """Plain data with the paths in all its texts reduced to their last parts, keys included."""
    if isinstance(value, str):
        return without_paths(value)
    if isinstance(value, dict):
        return {scrubbed(key): scrubbed(one) for key, one in value.items()}
    return [scrubbed(one) for one in value] if isinstance(value, list | tuple) else value


def clean_recipe(recipe: Recipe) -> Recipe:
    """The recipe without the folders of the runs and files that it begins with and learns from."""
    plain = scrubbed(to_plain(recipe))
    start, taught = plain.get("initialize", {}), plain.get("distillation", {})
    for table, key in ((start, "run"), (taught, "teacher"), (taught, "teacher_encoder")):
        if isinstance(table.get(key), str):
            table[key] = last_part(table[key])
        elif isinstance(table.get(key), list):
            table[key] = [last_part(one) for one in table[key]]
    if isinstance(start.get("encoder"), str):
        start["encoder"] = _encoder(start["encoder"])
    return from_plain(plain, recipe.name)


def clean_environment(environment: Environment) -> Environment:
    """The record of the run without command, folders, launcher and trackers."""
    start = environment.initial_weights
    kept = msgspec.structs.replace(
        environment,
        command="",
        arguments=Arguments(device=environment.arguments.device, shard=environment.arguments.shard),
        begins_with=None,
        initial_weights=msgspec.structs.replace(start, encoder=_encoder(start.encoder)),
        machine=None if environment.machine is None else clean_machine(environment.machine),
        trackers=(),
        launch="",
        teachers=tuple(msgspec.structs.replace(one, encoder=_encoder(one.encoder)) for one in environment.teachers),
    )
    return msgspec.convert(scrubbed(msgspec.to_builtins(kept)), Environment)


def clean_machine(machine: Machine) -> Machine:
    """The hardware with the operating system and the architecture, without the release of the system."""
    words = machine.platform.split()
    kept = " ".join(dict.fromkeys((words[0], words[-1]))) if words else ""
    return msgspec.structs.replace(machine, platform=kept)


def clean_data(facts: DataFacts) -> DataFacts:
    """The counts of the data, without the names of its files."""
    kept = msgspec.structs.replace(facts, unusable={}, findings=None)
    return msgspec.convert(scrubbed(msgspec.to_builtins(kept)), DataFacts)


def clean_result(result: Result) -> Result:
    """The scores, without command, folder, groups of images, and scores and names of single images."""
    return msgspec.structs.replace(
        result,
        command="",
        data="",
        groups=(),
        per_image=(),
        per_class=tuple(
            msgspec.structs.replace(one, worst_image=None, worst_image_iou=math.nan) for one in result.per_class
        ),
        machine=clean_machine(result.machine),
        notes=tuple(map(without_paths, result.notes)),
        derived_from=tuple(msgspec.structs.replace(one, encoder=_encoder(one.encoder)) for one in result.derived_from),
    )


def _encoder(name: str) -> str:
    """The name of encoder weights as it is, or the last part of the path of a file with them."""
    looks = name.lower().endswith(ENDINGS) or name.startswith((".", "~", "/", "\\")) or name[1:3] in (":\\", ":/")
    several = ("/" in name or "\\" in name) and not _HUB_NAME.fullmatch(name)
    return last_part(name) if looks or several else name
