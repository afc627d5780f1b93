import json
from pathlib import Path

import pytest
from distributions import install, python

from pixelwise.plugins import missing_packages

GROUP = "pixelwise.plugins"
LOAD = (
    "import json, sys, warnings; from pixelwise.plugins import load_plugins\n"
    "with warnings.catch_warnings(record=True) as caught:\n"
    "    warnings.simplefilter('always')\n"
    f"    found = load_plugins('{GROUP}'); again = load_plugins('{GROUP}')\n"
    "print(json.dumps({'same': found is again, 'torch': 'torch' in sys.modules,\n"
    "    'found': [[p.name, p.package, p.version, getattr(v, '__name__', repr(v))] for p, v in found],\n"
    "    'warnings': [[w.message.code, w.message.message, w.message.help] for w in caught]}))\n"
)


def load(site: Path) -> dict:
    """What `load_plugins` gives in a new process, twice."""
    done = python("-c", LOAD, site=site)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def entry(value: str, name: str = "mine", group: str = GROUP) -> str:
    return f"[{group}]\n{name} = {value}\n"


def test_a_module_and_an_attribute_are_loaded_once(tmp_path: Path):
    install(tmp_path, "acme-models", entry("acme_models"), "print('imported', file=__import__('sys').stderr)")
    install(tmp_path, "other", entry("other:NUMBER", "number"), "NUMBER = 7", version="0.1")

    found = load(tmp_path)

    assert sorted(found["found"]) == [["mine", "acme-models", "1.2", "acme_models"], ["number", "other", "0.1", "7"]]
    assert (found["warnings"], found["same"], found["torch"]) == ([], True, False)


def test_entry_points_of_other_groups_are_not_imported(tmp_path: Path):
    install(tmp_path, "stranger", entry("stranger", group="console_scripts"), "raise SystemExit(1)")
    install(tmp_path, "similar", entry("similar", group=f"{GROUP}.more"), "raise SystemExit(1)")
    assert load(tmp_path)["found"] == []


@pytest.mark.parametrize(
    ("value", "code", "error"),
    [
        ("broken", "import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("missing_module", "", "ModuleNotFoundError: No module named 'missing_module'"),
        ("broken:RECIPES", "", "AttributeError: module 'broken' has no attribute 'RECIPES'"),
        ("broken", "def f(:", "SyntaxError: invalid syntax (broken.py, line 1)"),
        ("broken", "import sys; sys.exit('no licence')", "SystemExit: no licence"),
        ("broken", "raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("broken", "raise RuntimeError", "RuntimeError"),
        ("not a reference at all:", "", "AttributeError"),
    ],
)
def test_a_broken_one_is_a_warning_with_its_name_and_the_others_are_loaded(
    tmp_path: Path, value: str, code: str, error: str
):
    install(tmp_path, "broken", entry(value), code, version="3.0")
    install(tmp_path, "healthy", entry("healthy"))

    found = load(tmp_path)

    assert [row[1] for row in found["found"]] == ["healthy"]
    ((code, message, help),) = found["warnings"]
    assert code == "W240"
    assert message.startswith(f"entry point 'mine' of broken 3.0 ({value}) cannot be imported: {error}")
    assert "pip uninstall broken" in help


def test_a_list_of_entry_points_that_cannot_be_parsed_hides_no_others(tmp_path: Path):
    install(tmp_path, "garbled", f"[{GROUP}]\nno equals sign\n")
    install(tmp_path, "healthy", entry("healthy"))

    found = load(tmp_path)

    assert [row[1] for row in found["found"]] == ["healthy"]
    ((code, message, _),) = found["warnings"]
    assert code == "W240"
    assert "garbled 1.2 (entry_points.txt) cannot be read: " in message


def test_bytes_that_are_no_text_hide_no_others(tmp_path: Path):
    info = install(tmp_path, "binary", "")
    (info / "entry_points.txt").write_bytes(b"\xff\xfe" + entry("binary").encode("utf-16-le"))
    install(tmp_path, "healthy", entry("healthy"))
    assert [row[1] for row in load(tmp_path)["found"]] == ["healthy"]


def test_one_without_metadata_is_named_by_its_folder(tmp_path: Path):
    install(tmp_path, "nameless", entry("nameless:X"), metadata=False)
    ((_, message, help),) = load(tmp_path)["warnings"]
    assert str(tmp_path) in message
    assert "pip" not in help


def test_of_a_package_that_is_installed_twice_the_first_counts(tmp_path: Path):
    # Two versions on the path: Python imports the modules of the first.
    install(tmp_path / "user", "acme-models", entry("acme_models"), version="2.0")
    install(tmp_path / "system", "Acme_Models", entry("acme_models"), version="1.0")
    script = f"import sys; sys.path.append({str(tmp_path / 'system')!r})\n{LOAD}"
    done = python("-c", script, site=tmp_path / "user")
    assert [row[1:3] for row in json.loads(done.stdout)["found"]] == [["acme-models", "2.0"]]


HOST = """
from pixelwise.errors import DataError
from pixelwise.plugins import Registry, packages_in_use
COLOURS = Registry("colour", DataError, "D999", built_in=("own_colours",))
def colour(name):
    def register(function):
        COLOURS.add(name, function)
        return function
    return register
"""
OWN = "from host import colour\n@colour('red')\ndef red(): return 'ours'\n"
GREEN = "from host import colour\n@colour('green')\ndef green(): return 'theirs'\n"


def ask(site: Path, question: str, prelude: str = "") -> dict:
    """The value of an expression about `COLOURS` in a new process, or its error; and the warnings that were shown."""
    script = (
        "import json, sys, warnings\nfrom host import COLOURS, packages_in_use\nfrom pixelwise.errors import *\n"
        f"{prelude}\nwith warnings.catch_warnings(record=True) as caught:\n    warnings.simplefilter('always')\n"
        f"    try: answer = {question}\n"
        "    except PixelwiseError as error: answer = [error.code, error.message, error.help]\n"
        "print(json.dumps([answer, [[w.message.code, w.message.message] for w in caught]]))"
    )
    done = python("-c", script, site=site)
    assert done.returncode == 0, done.stderr
    answer, warned = json.loads(done.stdout)
    return {"answer": answer, "warnings": warned}


def host(site: Path) -> Path:
    site.mkdir(exist_ok=True)
    (site / "host.py").write_text(HOST, "utf-8")
    (site / "own_colours.py").write_text(OWN, "utf-8")
    return site


def test_our_own_are_found_without_importing_plug_ins(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    found = ask(tmp_path, "[COLOURS.find('red')(), 'acme' in sys.modules]")
    assert found == {"answer": ["ours", False], "warnings": []}


def test_a_plug_in_is_imported_for_a_name_that_is_not_ours(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    found = ask(tmp_path, "[COLOURS.find('green')(), COLOURS.module_of('green'), sorted(COLOURS), list(COLOURS.own())]")
    assert found == {"answer": ["theirs", "acme", ["green", "red"], ["red"]], "warnings": []}


def test_an_unknown_name_is_the_kinds_own_error_with_the_nearest_ones(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    code, message, help = ask(tmp_path, "COLOURS.find('gren', 'shirt.toml: ')")["answer"]
    assert (code, message) == ("D999", "shirt.toml: no colour is named 'gren'; did you mean 'green' or 'red'?")
    assert "green, red" in help
    assert ask(tmp_path, "COLOURS.look_up('gren')")["answer"] is None


def test_a_taken_name_is_refused_with_both_places_and_ours_stays(tmp_path: Path):
    # Although the module of ours that has the name was not needed, and so not imported, before.
    install(host(tmp_path), "acme", entry("acme"), GREEN.replace("green", "red"))
    found = ask(tmp_path, "[list(COLOURS.all()), COLOURS['red']()]")
    assert found["answer"] == [["red"], "ours"]
    ((code, message),) = found["warnings"]
    assert code == "W241"
    assert "'red'" in message
    assert "own_colours" in message
    assert "acme 1.2" in message


def test_of_two_plug_ins_with_one_name_the_first_keeps_it(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    install(tmp_path, "zenith", entry("zenith"), GREEN)
    found = ask(tmp_path, "COLOURS.module_of('green') or [COLOURS.find('green') and COLOURS.module_of('green')]")
    ((code, message),) = found["warnings"]
    assert code == "W241"
    assert "acme 1.2" in message
    assert "zenith 1.2" in message
    assert found["answer"][0] in ("acme", "zenith")


def test_what_a_plug_in_registered_before_it_failed_is_taken_out_again(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), f"{GREEN}\nraise RuntimeError('half way')")
    found = ask(tmp_path, "list(COLOURS.all())")
    assert found["answer"] == ["red"]
    assert [code for code, _ in found["warnings"]] == ["W240"]


def test_a_script_registers_without_being_installed(tmp_path: Path):
    prelude = "from host import colour\n@colour('mauve')\ndef mauve(): return 1"
    found = ask(host(tmp_path), "[COLOURS.find('mauve')(), packages_in_use()]", prelude)
    assert found["answer"] == [1, {}]


def test_a_definition_that_runs_again_replaces_the_former(tmp_path: Path):
    again = "\n".join(f"@colour('mauve')\ndef mauve(): return {number}" for number in (1, 2))
    found = ask(host(tmp_path), "COLOURS.find('mauve')()", f"from host import colour\n{again}")
    assert found["answer"] == 2


def test_another_thing_of_the_same_module_is_refused(tmp_path: Path):
    code = GREEN + GREEN.replace("def green", "def other")
    install(host(tmp_path), "acme", entry("acme"), code)
    found = ask(tmp_path, "list(COLOURS.all())")
    assert found["answer"] == ["red"]
    assert [code for code, _ in found["warnings"]] == ["W241"]


def test_the_packages_behind_what_is_registered_are_known(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    assert ask(tmp_path, "[packages_in_use(), len(COLOURS.all()), packages_in_use()]")["answer"] == [
        {},
        2,
        {"acme": "1.2"},
    ]


def test_a_plug_in_that_looks_for_a_name_while_it_is_imported_does_not_wait_for_itself(tmp_path: Path):
    install(
        host(tmp_path),
        "acme",
        entry("acme"),
        f"from host import COLOURS\nassert COLOURS.look_up('no') is None\n{GREEN}",
    )
    assert ask(tmp_path, "COLOURS.find('green')()") == {"answer": "theirs", "warnings": []}


def test_packages_of_a_run_that_are_not_installed_are_named():
    assert missing_packages({"msgspec": "0.1", "pixelwise-nobody": "1.5"}) == ["pixelwise-nobody==1.5"]
    assert missing_packages({}) == []
