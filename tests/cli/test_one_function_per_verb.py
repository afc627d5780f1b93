"""Every verb parses, calls one public function and hands the result to `reports`; read from the source of the verbs."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator

import pytest

import pixelwise
from pixelwise.cli.line.verbs import VERBS as NAMES
from pixelwise.cli.line.verbs import module_of


def verbs() -> Iterator[tuple[str, Callable]]:
    """Name and function of every verb, those of groups such as `data` included."""
    for name in NAMES:
        module = importlib.import_module(f"pixelwise.cli.{module_of(name)}")
        if not hasattr(module, "app"):
            yield name, module.run
            continue
        for command in module.app.registered_commands:
            yield f"{name} {command.name or command.callback.__name__}", command.callback


VERBS = dict(verbs())


def definition(verb: Callable) -> ast.FunctionDef:
    """The function as its module defines it, without what decorators make of it."""
    module = ast.parse(inspect.getsource(sys.modules[verb.__module__]))
    [found] = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == verb.__name__]
    return found


def calls(node: ast.AST) -> list[str]:
    """Names of the public functions that are called anywhere in a node: `train` for `pixelwise.train(...)`."""
    called = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return [name.attr for name in called if isinstance(name, ast.Attribute) and ast.unparse(name.value) == "pixelwise"]


def ways(statements: list[ast.stmt]) -> list[tuple[list[str], bool]]:
    """Every way through a block: the public functions it calls, and whether it leaves the function."""
    found: list[tuple[list[str], bool]] = [([], False)]
    for statement in statements:
        if isinstance(statement, ast.If):
            test = calls(statement.test)
            nexts = [
                (test + called, left) for branch in (statement.body, statement.orelse) for called, left in ways(branch)
            ]
        elif isinstance(statement, ast.With):
            entered = [name for item in statement.items for name in calls(item)]
            nexts = [(entered + called, left) for called, left in ways(statement.body)]
        elif isinstance(statement, ast.For | ast.While | ast.Try):
            raise AssertionError(f"a verb holds logic: {ast.unparse(statement)}")
        elif isinstance(statement, ast.Raise):
            nexts = []  # a usage error calls nothing
        else:
            nexts = [(calls(statement), isinstance(statement, ast.Return))]
        done = [way for way in found if way[1]]
        going = [way for way in found if not way[1]]
        found = done + [(a + b, left) for (a, _), (b, left) in itertools.product(going, nexts)]
    return found


def test_all_verbs_are_walked():
    assert {"train", "data prepare", "data cache", "models search", "import-weights"} <= VERBS.keys()
    assert len(VERBS) >= 21


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_calls_exactly_one_public_function(name: str):
    found = ways(definition(VERBS[name]).body)
    assert found
    for called, _ in found:
        assert len(called) == 1, called
        assert called[0] in pixelwise.__all__


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_takes_from_the_product_only_public_functions_displays_and_options(name: str):
    for node in ast.walk(definition(VERBS[name])):
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").startswith("pixelwise.reports."), ast.unparse(node)
        if isinstance(node, ast.Import):
            assert [alias.name for alias in node.names] == ["pixelwise"], ast.unparse(node)


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_hands_everything_it_parsed_to_its_function_or_its_display(name: str):
    verb = definition(VERBS[name])
    parameters = {argument.arg for argument in (*verb.args.args, *verb.args.kwonlyargs)}
    read = {node.id for node in ast.walk(ast.Module(verb.body, [])) if isinstance(node, ast.Name)}
    assert parameters - read == set()


@pytest.mark.parametrize("name", VERBS)
def test_the_struct_of_a_verbs_options_is_what_its_function_takes(name: str):
    verb = definition(VERBS[name])
    kinds = [ast.unparse(arg.annotation) for arg in verb.args.kwonlyargs if arg.arg == "options" and arg.annotation]
    [function, *_] = [way[0] for way, _ in reversed(ways(verb.body))]
    taken = [
        str(parameter.annotation) for parameter in inspect.signature(getattr(pixelwise, function)).parameters.values()
    ]
    assert all(any(kind in annotation for annotation in taken) for kind in kinds), (kinds, taken)


def test_ways_are_counted():
    body = ast.parse(
        "if a:\n    pixelwise.one()\n    return\nwith b as c:\n    d = pixelwise.two(pixelwise.three)\n"
        "if e:\n    raise ValueError\nelif f:\n    pixelwise.four()\ng()"
    ).body
    assert sorted(way for way, _ in ways(body)) == [["one"], ["two"], ["two", "four"]]
