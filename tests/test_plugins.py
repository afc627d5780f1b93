import json
from pathlib import Path

from distributions import install, python

from pixelwise.plugins import missing_packages


def entry(value: str, name: str = "mine") -> str:
    return f"[pixelwise.plugins]\n{name} = {value}\n"


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


def test_built_in_names_are_found_without_importing_plug_ins(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    found = ask(tmp_path, "[COLOURS.find('red')(), 'acme' in sys.modules]")
    assert found == {"answer": ["ours", False], "warnings": []}


def test_a_plug_in_is_imported_for_a_name_that_is_not_built_in(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    found = ask(tmp_path, "[COLOURS.find('green')(), COLOURS.module_of('green'), sorted(COLOURS), list(COLOURS.own())]")
    assert found == {"answer": ["theirs", "acme", ["green", "red"], ["red"]], "warnings": []}


def test_an_unknown_name_is_the_kinds_own_error_with_the_nearest_ones(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    code, message, help = ask(tmp_path, "COLOURS.find('gren', 'shirt.toml: ')")["answer"]
    assert (code, message) == ("D999", "shirt.toml: no colour is named 'gren'; did you mean 'green' or 'red'?")
    assert "green, red" in help
    assert ask(tmp_path, "COLOURS.look_up('gren')")["answer"] is None


def test_a_taken_name_is_refused_with_both_places_and_the_built_in_one_stays(tmp_path: Path):
    # Although the module of ours that has the name was not needed, and so not imported, before.
    install(host(tmp_path), "acme", entry("acme"), GREEN.replace("green", "red"))
    found = ask(tmp_path, "[list(COLOURS.all()), COLOURS['red']()]")
    assert found["answer"] == [["red"], "ours"]
    ((code, message),) = found["warnings"]
    assert code == "W241"
    assert "'red'" in message
    assert "own_colours" in message
    assert "acme 1.2" in message


def test_a_heavy_registry_compares_names_with_built_in_ones_on_look_up(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN + GREEN.replace("green", "red"))
    (tmp_path / "host.py").write_text(HOST.replace('("own_colours",)', '("own_colours",), heavy=True'), "utf-8")
    question = "[COLOURS.look_up('no'), 'own_colours' in sys.modules, COLOURS.find('green')(), COLOURS.find('red')()]"
    found = ask(tmp_path, question, "import acme; assert 'own_colours' not in sys.modules")
    assert found["answer"] == [None, True, "theirs", "ours"]
    ((code, message),) = found["warnings"]
    assert code == "W241"
    assert "'red' of acme" in message
    assert "own_colours" in message


def test_of_two_plug_ins_with_one_name_the_first_keeps_it(tmp_path: Path):
    install(host(tmp_path), "acme", entry("acme"), GREEN)
    install(tmp_path, "zenith", entry("zenith"), GREEN)
    found = ask(tmp_path, "COLOURS.module_of('green') or [COLOURS.find('green') and COLOURS.module_of('green')]")
    ((code, message),) = found["warnings"]
    assert code == "W241"
    assert "acme 1.2" in message
    assert "zenith 1.2" in message
    assert found["answer"][0] in ("acme", "zenith")


def test_what_a_plug_in_registered_before_it_failed_is_removed(tmp_path: Path):
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


def test_a_plug_in_uses_names_of_others_in_any_order_of_entry_points(tmp_path: Path):
    # `aaa` needs `zzz`, which needs a function of `aaa` that exists by then; `mid` needs one that does not yet.
    code = "EARLY = 1\nfrom host import COLOURS\nassert COLOURS.find('green')() == 'theirs'\nLATE = 2\n"
    info = install(host(tmp_path), "acme", entry("aaa", "aaa") + "mid = mid\nzzz = zzz\n")
    assert info.is_dir()
    (tmp_path / "aaa.py").write_text(code, "utf-8")
    (tmp_path / "mid.py").write_text("from aaa import LATE\n" + GREEN.replace("green", "blue"), "utf-8")
    (tmp_path / "zzz.py").write_text("from aaa import EARLY\n" + GREEN, "utf-8")
    assert ask(tmp_path, "sorted(COLOURS.all())") == {"answer": ["blue", "green", "red"], "warnings": []}


def test_a_module_that_was_imported_by_one_that_failed_keeps_what_it_registered(tmp_path: Path):
    install(host(tmp_path), "acme", entry("aaa", "aaa") + "green = green\n")
    (tmp_path / "aaa.py").write_text("import green\n" + GREEN.replace("green", "blue") + "1 / 0", "utf-8")
    (tmp_path / "green.py").write_text(GREEN, "utf-8")
    found = ask(tmp_path, "sorted(COLOURS.all())")
    assert found["answer"] == ["green", "red"]
    assert [code for code, _ in found["warnings"]] == ["W240"]


def test_a_thread_waits_for_the_built_in_module_that_another_one_imports(tmp_path: Path):
    (host(tmp_path) / "own_colours.py").write_text(f"import time; time.sleep(0.2)\n{OWN}", "utf-8")
    prelude = "from concurrent.futures import ThreadPoolExecutor"
    question = "list(ThreadPoolExecutor(4).map(lambda _: COLOURS.find('red')(), range(4)))"
    assert ask(tmp_path, question, prelude) == {"answer": ["ours"] * 4, "warnings": []}


def test_packages_of_a_run_that_are_not_installed_are_named():
    assert missing_packages({"msgspec": "0.1", "pixelwise-nobody": "1.5"}) == ["pixelwise-nobody==1.5"]
    assert missing_packages({}) == []
