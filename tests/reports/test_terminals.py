import io

from rich.table import Table
from rich.text import Text

from pixelwise.reports.terminals import Console

NASTY = "[red]x[/red] \x1b]8;;http://evil\x1b\\ \x9b2J \u202e :smile: \x07"
SHOWN = "[red]x[/red] \\u001b]8;;http://evil\\u001b\\ \\u009b2J \\u202e :smile: \\u0007"


def printed(*objects: object, **options: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200, **options).print(*objects)
    return stream.getvalue()


def test_text_neither_controls_nor_decorates():
    assert printed(NASTY) == f"{SHOWN}\n"
    # Text itself drops the bell.
    assert printed(Text(NASTY)).rstrip() == SHOWN.removesuffix(" \\u0007")


def test_cells_and_headings_of_tables_are_text():
    table = Table(box=None)
    table.add_column(NASTY)
    table.add_row(NASTY)
    assert printed(table).count(SHOWN) == 2
    assert "\x1b" not in printed(table)


def test_styles_of_our_own_are_kept():
    shown = printed(Text("bold", style="bold"), force_terminal=True, color_system="standard")
    assert shown == "\x1b[1mbold\x1b[0m\n"
