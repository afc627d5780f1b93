"""The published pages as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec

from pixelwise.recipes.published.pages import Code, Heading, Listing, Paragraph, pieces
from pixelwise.storage import json_text
from pixelwise.storage.cells import cell
from pixelwise.zoo.results import separated
from pixelwise.zoo.rows import EXPLANATION, LEGEND, OUR_COLUMNS, ZooClasses, ZooPage, ZooRow, ZooTable, our_cells

TITLE = "Published models and their verification"
INTRODUCTION = (
    "Five published pages, word for word; beside each row stands what was counted and measured here. Columns in "
    "italics and lettered footnotes are ours; everything else is the page's own."
)
COMPILED_TITLE = "Modern models and their verification"
COMPILED_INTRODUCTION = (
    "Published results of several publications, each with its source; beside each row stands what was counted and "
    "measured here. Columns in italics and lettered footnotes are measured here or say how the recipe differs; "
    "everything else is quoted from the source."
)
_ALIGN = {"l": ":--", "c": ":-:", "r": "--:"}


def render_markdown(pages: Sequence[ZooPage]) -> str:
    """The pages as one document in GitHub-flavoured Markdown."""
    title, introduction = title_and_introduction(pages)
    parts = [f"# {title}", introduction, "\n".join(f"- **{state}**: {meaning}" for state, meaning in LEGEND)]
    parts += [EXPLANATION, _overview(pages)]
    for page in pages:
        parts += _markdown_page(page)
    return "\n\n".join(parts) + "\n"


def title_and_introduction(pages: Sequence[ZooPage]) -> tuple[str, str]:
    """The title and the first paragraph of a document of these pages."""
    compiled = all(page.page.compiled for page in pages)
    return (COMPILED_TITLE, COMPILED_INTRODUCTION) if compiled else (TITLE, INTRODUCTION)


def _overview(pages: Sequence[ZooPage]) -> str:
    states = [state for state, _ in LEGEND]
    lines = [_line(["page", "rows", *states]), _line([":--", *["--:"] * (1 + len(states))])]
    for page in pages:
        rows = [row for row in page.rows() if row.on_page]
        counts = [sum(row.state == state for row in rows) for state in states]
        title = f"[{page.page.page}](#{_anchor(page)}) {page.page.title}"
        lines.append(_line([title, str(len(rows)), *(str(number) if number else "" for number in counts)]))
    return "\n".join(lines)


def _anchor(page: ZooPage) -> str:
    return f"page-{page.page.page}"


def _markdown_page(page: ZooPage) -> list[str]:
    parts = [
        f'<a id="{_anchor(page)}"></a>\n\n## {page.page.heading}',
        f"*{page.page.source}*",
    ]
    for block in page.blocks:
        match block:
            case Heading():
                parts.append(f"{'#' * (block.level + 2)} {_markdown(block.text)}")
            case Paragraph():
                parts.append(_markdown(block.text))
            case Listing():
                parts.append("\n".join(f"- {_markdown(item)}" for item in block.items))
            case Code():
                parts.append(f"```\n{block.text.strip(chr(10))}\n```")
            case ZooTable():
                parts.append(_markdown_table(page, block))
            case ZooClasses():
                parts.append(_markdown_classes(block))
    if page.extra is not None:
        parts += ["*Not on the page, from the same code base:*", _markdown_table(page, page.extra)]
    if page.footnotes:
        parts.append("\n".join(f"- <sup>{letter}</sup> {_escape(text)}" for letter, text in page.footnotes))
    return parts


def _markdown_table(page: ZooPage, table: ZooTable) -> str:
    head = [*map(_markdown, table.columns), *(f"*{column}*" for column in OUR_COLUMNS)]
    lines = [_line(head), _line([*(_ALIGN[letter] for letter in table.align), ":--", "--:", "--:", "--:", ":--"])]
    for row in table.rows:
        if isinstance(row, str):
            group = row if row == "-" else f"**{_markdown(row)}**"
            lines.append(_line([group, *[""] * (len(head) - 1)]))
            continue
        ours = [f"`{row.recipe.name}`", *our_cells(row)[1:]]
        marked = [_marked(cell, page.marks(row, column)) for cell, column in zip(ours, OUR_COLUMNS, strict=True)]
        lines.append(_line([*map(_markdown, row.cells), *marked]))
    return "\n".join(lines)


def _markdown_classes(block: ZooClasses) -> str:
    rows = block.row.per_class
    lines = [_line(["", *(_markdown(name) for name, _, _ in rows)]), _line([":--", *[":-:"] * len(rows)])]
    lines.append(_line([block.label, *(value for _, value, _ in rows)]))
    if any(measured is not None for *_, measured in rows):
        ours = ["-" if measured is None else f"{measured:.1f}" for *_, measured in rows]
        lines.append(_line(["*measured*", *ours]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _marked(text: str, marks: str) -> str:
    return f"{text} <sup>{marks}</sup>" if marks else text


def _markdown(text: str) -> str:
    made = []
    for piece in pieces(text):
        match piece.kind:
            case "link":
                made.append(f"[{_escape(piece.text)}]({piece.address})")
            case "raised":
                made.append(f"<sup>{piece.text}</sup>")
            case _:
                made.append(_escape(piece.text))
    return "".join(made)


def _escape(text: str) -> str:
    for character in ("\\", "*", "|", "<"):
        text = text.replace(character, f"\\{character}")
    return text


def render_json(pages: Sequence[ZooPage]) -> str:
    """The pages as JSON: their content in order, and one record per row."""
    plain = {
        "states": dict(LEGEND),
        "pages": [
            {
                "page": page.page.page,
                "title": page.page.title,
                "source": page.page.source,
                "content": [_content(block) for block in page.blocks],
                "rows": [record(row) for row in page.rows()],
            }
            for page in pages
        ],
    }
    return json_text(plain)


def _content(block: Any) -> Any:
    if isinstance(block, ZooTable):
        rows = [row if isinstance(row, str) else {"recipe": row.recipe.name} for row in block.rows]
        return {"kind": "table", "columns": [plain_text(column) for column in block.columns], "rows": rows}
    if isinstance(block, ZooClasses):
        return {"kind": "per_class", "label": block.label, "recipe": block.row.recipe.name}
    return msgspec.to_builtins(block)


def record(row: ZooRow) -> dict[str, Any]:
    """Everything known about a row as plain data; None for a missing value."""
    recipe, published, counted = row.recipe, row.recipe.published, row.counted
    original = published.original if published else None
    fields: dict[str, Any] = {
        "page": row.page,
        "section": " / ".join(plain_text(heading) for heading in row.section),
        "group": row.group,
        "on_page": row.on_page,
        "printed": [plain_text(cell) for cell in row.cells],
        "links": [piece.address for cell in row.cells for piece in pieces(cell) if piece.kind == "link"],
        "recipe": recipe.name,
        "summary": recipe.summary,
        "family": recipe.model.family,
        "encoder": recipe.model.encoder_name,
        "dataset": recipe.data.dataset,
    }
    for name in (
        "miou_percent", "split", "protocol", "gmacs", "gpu_memory_gib", "train_hours", "source", "note",
        "code_licence", "weights_licence",
    ):  # fmt: skip
        fields[f"published_{name}"] = getattr(published, name, None)
    for name in ("outputs", "parameters", "gmacs", "tolerance", "note"):
        fields[f"original_{name}"] = getattr(original, name, None)
    fields |= {
        "counted_outputs": counted.outputs,
        "counted_height": counted.size[0] if counted.size else None,
        "counted_width": counted.size[1] if counted.size else None,
        "counted_parameters": counted.parameters,
        "counted_gmacs": counted.gmacs,
    }
    fields |= _measured(row)
    fields["state"] = row.state
    fields["remarks"] = [text for _, text in row.remarks]
    fields["per_class"] = [
        {"class": name, "published_percent": float(value), "measured_percent": measured}
        for name, value, measured in row.per_class
    ]
    return fields


def _measured(row: ZooRow) -> dict[str, Any]:
    measured = row.measured
    low, high = measured.interval if measured and measured.interval else (None, None)
    score = measured.runs[0].result if measured else None
    size = score.input_size if score else None
    return {
        "measured_miou_percent": measured.percent if measured else None,
        "measured_interval_low_percent": low,
        "measured_interval_high_percent": high,
        "measured_separated": separated(row.recipe, measured),
        "measured_kind": measured.kind if measured else None,
        "measured_runs": len(measured.runs) if measured else 0,
        "measured_split": score.split if score else None,
        "measured_protocol": score.protocol if score else None,
        "measured_input_height": size[0] if size else None,
        "measured_input_width": size[1] if size else None,
        "measured_sources": [run.source for run in measured.runs] if measured else [],
    }


def render_csv(pages: Sequence[ZooPage]) -> str:
    """The pages as CSV, one line per row: the page's own columns (`printed: ...`), then the fields of `record`."""
    printed: dict[str, None] = {}
    lines: list[dict[str, Any]] = []
    for page in pages:
        for table in (*page.blocks, page.extra):
            if not isinstance(table, ZooTable):
                continue
            names = [f"printed: {name}" for name in _distinct([plain_text(column) for column in table.columns])]
            printed |= dict.fromkeys(names)
            for row in table.rows:
                if isinstance(row, ZooRow):
                    fields = record(row)
                    lines.append({**dict(zip(names, fields.pop("printed"), strict=True)), **fields})
    rest = [name for name in dict.fromkeys(name for line in lines for name in line) if name not in printed]
    first = rest.index("recipe")
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rest[:first], *printed, *rest[first:]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _csv_cell(value) for name, value in line.items()} for line in lines)
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, list):
        value = "; ".join(_csv_item(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else cell(value)


def _csv_item(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    measured = item["measured_percent"]
    return f"{item['class']} {item['published_percent']}" + ("" if measured is None else f" ({measured:.2f})")


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number added to repeated ones: `model`, `model (2)`."""
    return [
        name if name not in names[:index] else f"{name} ({names[: index + 1].count(name)})"
        for index, name in enumerate(names)
    ]


def plain_text(text: str) -> str:
    """A page's text without footnote marks and link addresses."""
    return "".join(piece.text for piece in pieces(text) if piece.kind != "raised").strip()
