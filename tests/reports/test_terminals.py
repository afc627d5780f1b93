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


def said(text: str, *, terminal: bool = True, **options: int) -> list[str]:
    console = Console(file=io.StringIO(), width=30, force_terminal=terminal, no_color=True)
    console.say(text, **options)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_sentences_end_between_words_on_a_terminal_alone():
    text = "one two three four five six seven eight nine ten"
    assert said(text) == ["one two three four five six", "    seven eight nine ten"]
    assert said(text, terminal=False) == [text]
    assert said(f"  {text}", indent=2) == ["  one two three four five six", "  seven eight nine ten"]
    assert said(text, behind=20) == ["one two", "    three four five six seven", "    eight nine ten"]


def test_what_is_copied_stays_together():
    setting = "'data.input_range=[0, 3300]'"
    assert said(f"for example {setting}, which is more") == ["for example", f"    {setting},", "    which is more"]
    assert said("classes [1, 2, 3] of the data set [4, 5]") == ["classes [1, 2, 3] of the data", "    set [4, 5]"]
    command = "ready: pixelwise train photos -o runs/first --minutes 20"
    assert said(command) == [command]
    assert said("a_path_that_is_longer_than_any_line/of/the/terminal") == [
        "a_path_that_is_longer_than_any_line/of/the/terminal"
    ]


def test_text_of_others_is_escaped_in_lines_as_well():
    assert said("a\x1b[2Jb") == ["a\\u001b[2Jb"]
    assert said("") == [""]
