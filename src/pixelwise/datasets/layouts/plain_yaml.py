"""Reads untrusted YAML files as nodes: every value is the text in the file, with its line number.

PyYAML only parses; no objects are constructed. So aliases are never expanded, tags create no objects, long numbers are
not converted, and the class `no` stays `no`, which YAML 1.1 would turn into False.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.documents import DocumentError, read_text

LARGEST_FILE = 256 * 1024
"""Maximum size of a file in bytes; ten thousand class names need less."""
DEEPEST = 32
"""Maximum nesting depth of lists and mappings; PyYAML composes recursively."""
MOST_NODES = 50_000
"""Maximum number of values, lists and mappings in a file."""
# libyaml's loader is ten times as fast, but PyYAML may be built without it.
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Node = yaml.Node


def read_yaml(file: Path) -> Node | None:
    """Parse the single document of a file; None if there is none.

    Raises:
        DataError: D230, the file cannot be read, is not valid YAML, or is too large or too deep to describe data.
    """
    try:
        text = read_text(file, LARGEST_FILE, errors="replace")
    except DocumentError as error:
        raise DataError("D230", error.message, "save it as UTF-8, with only what describes the data") from error
    try:
        depth = nodes = 0
        for event in yaml.parse(text, Loader=_LOADER):
            nodes += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise wrong(file, event, f"lists and mappings are nested more than {DEEPEST} levels deep")
            if isinstance(event, yaml.ScalarEvent) and "\ufffd" in event.value:
                raise wrong(file, event, "a text is not UTF-8", "save the file as UTF-8")
            if nodes > MOST_NODES:
                raise wrong(file, event, f"the file holds more than {MOST_NODES} values")
        return yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _no_yaml(file, mark.line + 1 if mark else 1, error.problem or str(error)) from error
    except yaml.reader.ReaderError as error:
        # libyaml gives an offset in bytes, PyYAML's own reader one in characters.
        by_bytes = _LOADER is not yaml.SafeLoader
        before = text.encode()[: error.position].decode("utf-8", "ignore") if by_bytes else text[: error.position]
        line = before.count("\n") + 1
        raise _no_yaml(file, line, f"{error.reason}: {error.character!r}") from error
    except DataError:
        raise
    except (ValueError, RecursionError, MemoryError, yaml.YAMLError) as error:
        # PyYAML converts the numbers of directives, however long.
        raise _no_yaml(file, 1, str(error) or type(error).__name__) from error


def entries(file: Path, node: Node | None) -> dict[str, Node]:
    """Key -> value of a mapping; empty for all other nodes.

    Raises:
        DataError: D230, a key is given twice or is not text.
    """
    found: dict[str, Node] = {}
    lines: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            raise wrong(file, key, "a key is a list or a mapping; expected text")
        if key.value in found:
            raise wrong(file, key, f"'{printable(key.value[:40])}' is already given in line {lines[key.value]}")
        found[key.value], lines[key.value] = value, line_of(key)
    return found


def items(node: Node) -> list[Node] | None:
    """The values of a list; None for all other nodes."""
    return node.value if isinstance(node, yaml.SequenceNode) else None


def text_of(node: Node) -> str | None:
    """The text of a scalar as one line, stripped; None for lists and mappings."""
    return (
        " ".join(line.strip() for line in node.value.splitlines()).strip()
        if isinstance(node, yaml.ScalarNode)
        else None
    )


def line_of(node: Node | yaml.Event) -> int:
    """The line on which a node begins, counted from 1."""
    return node.start_mark.line + 1


def wrong(file: Path, node: Node | yaml.Event, reason: str, help: str = "correct this line") -> DataError:
    """The error D230 about one line of a file."""
    return DataError("D230", f"{printable(file)}, line {line_of(node)}: {reason}", help)


def _no_yaml(file: Path, line: int, reason: str) -> DataError:
    return DataError("D230", f"{printable(file)}, line {line}: not valid YAML: {reason}", "correct this line")
