"""Search for recipes by score and cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.suggestions import did_you_mean
from pixelwise.zoo.counting import count_recipe
from pixelwise.zoo.options import SearchOptions
from pixelwise.zoo.queries import (
    FIELDS,
    LARGEST_FIRST,
    Candidate,
    Condition,
    bad_query,
    field_named,
    meets,
    parse_query,
    same_text,
)
from pixelwise.zoo.results import read_results, results_folders, summarize


class SearchResult(NamedTuple):
    """Matches of a search.

    Attributes:
        matches: The recipes that meet all conditions, sorted.
        searched: Number of recipes searched.
        reasons: One line per condition with the number of recipes it excludes; empty if there are matches.
    """

    matches: tuple[Candidate, ...]
    searched: int
    reasons: tuple[str, ...]


def search(
    query: str, options: SearchOptions | None = None, *, observer: Observer = SILENT, **changes: Any
) -> SearchResult:
    """Find the recipes that meet a query, such as `gmacs<5 miou>65 dataset=cityscapes`.

    Args:
        query: Conditions, each a field, an operator and a value, or a part of the name such as `unet`; all of them have
            to hold. The fields are those of `pixelwise.zoo.queries.FIELDS`, the operators < <= > >= = != and ~
            (contains); texts may contain * and ?.
        options: Sort order and paths of results.
        observer: Receives the number of recipes searched so far.
        **changes: Single options by keyword.

    Raises:
        RecipeError: R208, the query cannot be read or asks for a value that no recipe has; R209, there is no such page.
        DataError: D240, a path given for results holds none.
    """
    options = chosen(SearchOptions, options, changes)
    conditions = parse_query(query)
    if options.sort is not None:
        field_named(options.sort)
    found = read_results(results_folders(options.results))
    names = list_recipes()
    candidates = []
    observer.phase("searching recipes")
    for done, entry in enumerate(map(find_recipe, names), start=1):
        measured = summarize(entry, found)
        percent = measured.percent if measured is not None and measured.kind != "other" else None
        candidates.append(Candidate(entry, percent, _count))
        observer.progress(done, len(names))
    check_values(conditions, candidates)
    matches = sort(select(candidates, conditions), options.sort)
    reasons = () if matches else explain_nothing(candidates, conditions)
    return SearchResult(tuple(matches), len(candidates), tuple(reasons))


def _count(recipe: Recipe) -> tuple[int | None, float | None]:
    counted = count_recipe(recipe)
    return counted.parameters, counted.gmacs


def check_values(conditions: Iterable[Condition], candidates: Sequence[Candidate]) -> None:
    """Refuse a value that no candidate has: that is a typing error, not a search without matches.

    Raises:
        RecipeError: R208; the message suggests the nearest values, the help lists all of them.
    """
    for condition in conditions:
        if not FIELDS[condition.field].choices or condition.sign == "~":
            continue
        known = sorted({str(value) for one in candidates if (value := one[condition.field]) is not None})
        if not any(same_text(value, condition.value) for value in known):
            nearest = did_you_mean(condition.value, known)
            raise bad_query(
                f"'{condition.text}': no recipe has the {condition.field} '{condition.value}'{nearest}",
                f"the values are {', '.join(known)}",
            )


def select(candidates: Sequence[Candidate], conditions: Sequence[Condition]) -> list[Candidate]:
    """The candidates that meet all conditions, in their given order."""
    # Counting is slow: conditions that need it come last, so that it is done for as few candidates as possible.
    ordered = sorted(conditions, key=lambda condition: condition.field in ("params", "gmacs"))
    return [one for one in candidates if all(meets(one, condition) for condition in ordered)]


def sort(candidates: Sequence[Candidate], field: str | None = None) -> list[Candidate]:
    """Sort by a field, scores in descending and everything else in ascending order; None: by `miou`, then `gmacs`.

    Candidates without the field come last.

    Raises:
        RecipeError: R208, there is no such field.
    """
    fields = ("miou", "gmacs") if field is None else (field_named(field), "miou", "gmacs")
    return sorted(candidates, key=lambda one: (*(_sort_key(one, name) for name in fields), one.recipe.name))


def _sort_key(candidate: Candidate, field: str) -> tuple[bool, Any]:
    value = candidate[field]
    if value is None:
        return True, 0
    if isinstance(value, tuple):
        return False, math.prod(value)
    return False, -value if field in LARGEST_FIRST and isinstance(value, float) else value


def explain_nothing(candidates: Sequence[Candidate], conditions: Sequence[Condition]) -> list[str]:
    """Explain an empty result: how many candidates each condition excludes, and how many would match without it."""
    lines = []
    for condition in conditions:
        excluded = sum(not meets(one, condition) for one in candidates)
        without = len(select(candidates, [other for other in conditions if other is not condition]))
        rest = f"; without it {without} would match" if len(conditions) > 1 else ""
        lines.append(f"{condition.text} excludes {excluded} of {len(candidates)}{rest}")
    return lines
