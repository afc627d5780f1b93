"""What the shell offers for a word that is being typed: recipes, folders, settings, protocols and other names.

Each function takes the beginning of the word. Where it offers nothing, the shell offers files. Everything but the
standard library is imported when a word is completed, which happens in a process of its own.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Callable

Offer = str | tuple[str, str]
"""A word, or a word and what it means."""


def recipes(incomplete: str) -> list[Offer]:
    """Names of recipes with their summaries, those for the user's own images first, and recipe files."""
    from pixelwise.recipes.catalog import list_recipes, recipe

    found = sorted(map(recipe, list_recipes()), key=lambda one: (one.data.dataset != "auto", not one.planned))
    named = [(one.name, one.summary) for one in found if one.name.startswith(incomplete)]
    return [*named, *_entries(incomplete, ".toml")]


def folders(incomplete: str) -> list[Offer]:
    """Folders, with a slash at their end."""
    return [one for one in _entries(incomplete, "/") if one.endswith("/")]


def settings(incomplete: str) -> list[Offer]:
    """Fields as `augment.crop=`, by their whole paths or unique names; after the sign, the values that are accepted."""
    from pixelwise.recipes.fields import fields_of, find_fields

    path, equals, _ = incomplete.partition("=")
    if equals:
        return list(dict.fromkeys(f"{path}={choice}" for one in find_fields(path) for choice in one.choices))
    told = {one.path: one.text.partition(". ")[0] for one in fields_of() if not one.path.startswith("published.")}
    whole = {path: text for path, text in told.items() if path.startswith(incomplete)}
    if "." not in incomplete and incomplete:
        leaves = [path.rpartition(".")[2] for path in told]
        short = zip(leaves, told.values(), strict=True)
        whole |= {leaf: text for leaf, text in short if leaf.startswith(incomplete) and leaves.count(leaf) == 1}
    return [(f"{name}=", text) for name, text in whole.items()]


def training_words(incomplete: str) -> list[Offer]:
    """Recipes, folders, and settings once something is typed."""
    return [*folders(incomplete), *recipes(incomplete), *(settings(incomplete) if incomplete else ())]


def data_words(incomplete: str) -> list[Offer]:
    """Folders, and settings once something is typed."""
    return [*folders(incomplete), *(settings(incomplete) if incomplete else ())]


def image_words(incomplete: str) -> list[Offer]:
    """Settings for reading images, where something is typed that no file begins with; otherwise the shell's files."""
    if not incomplete or _entries(incomplete, ""):
        return []
    return [one for one in settings(incomplete) if (one if isinstance(one, str) else one[0]).startswith("data.")]


def recipes_and_runs(incomplete: str) -> list[Offer]:
    """Recipes and folders."""
    return [*folders(incomplete), *recipes(incomplete)]


def protocols(incomplete: str) -> list[Offer]:
    """Evaluation protocols with their summaries."""
    from pixelwise.recipes.protocols import PROTOCOLS

    return [(name, one.summary) for name, one in PROTOCOLS.all().items() if name.startswith(incomplete)]


def subjects(incomplete: str) -> list[Offer]:
    """Everything that `pixelwise explain` knows."""
    from pixelwise.reports.meanings import subjects as known

    return [name for name in known() if name.startswith(incomplete)]


def names_of(listing: str) -> Callable[[str], list[Offer]]:
    """A function that offers the names that `package.module:function` lists."""

    def names(incomplete: str) -> list[Offer]:
        return [name for name in pkgutil.resolve_name(listing)() if name.startswith(incomplete)]

    return names


def _entries(incomplete: str, ending: str) -> list[str]:
    """Files and folders that begin with what is typed: folders end with a slash, and files with `ending`."""
    place, begin = os.path.split(incomplete)
    try:
        with os.scandir(place or os.curdir) as listed:
            found = [
                os.path.join(place, f"{entry.name}/" if entry.is_dir() else entry.name)
                for entry in listed
                if entry.name.startswith(begin) and not entry.name.startswith(".")
            ]
    except OSError:
        return []
    return sorted(path for path in found if path.endswith(("/", ending)))
