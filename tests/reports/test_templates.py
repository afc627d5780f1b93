from __future__ import annotations

import jinja2
import pytest

from pixelwise.reports.templates import commands, templates


def test_what_comes_from_data_cannot_become_markup() -> None:
    assert templates().from_string("{{ name }}").render(name="<b>") == "&lt;b&gt;"


def test_a_missing_value_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(jinja2.UndefinedError, match="name"):
        templates().from_string("{{ name }}").render()


def test_a_block_is_told_by_its_type() -> None:
    assert templates().from_string("{{ 1 is block('int') }} {{ 1 is block('str') }}").render() == "True False"


def test_commands_in_a_sentence_are_code_and_all_else_is_text():
    text = "run `pixelwise data split <PATH>`, or <b>remove</b> a ` file"
    assert commands(text) == (
        "run <code>pixelwise data split &lt;PATH&gt;</code>, or &lt;b&gt;remove&lt;/b&gt; a ` file"
    )
