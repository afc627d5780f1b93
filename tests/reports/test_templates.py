from __future__ import annotations

import json

import jinja2
import pytest

from pixelwise.reports.templates import commands, script_data, script_hash, source, templates


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


def test_data_for_a_script_cannot_end_its_element_and_reads_back():
    value = {"name": "</script><b>", "turned": "\u202eabc", "number": None}
    text = script_data(value)
    assert "<" not in text
    assert "\u202e" not in text
    assert json.loads(text) == value


def test_a_policy_allows_a_script_by_its_hash():
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    assert script_hash("alert(1)") == "bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="


def test_a_source_is_read_as_it_is():
    assert source("live_script.html").lstrip().startswith('"use strict";')
