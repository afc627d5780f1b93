import json
from pathlib import Path

import pytest
from distributions import install, python

GROUP = "pixelwise.plugins"
LOAD = (
    "import json, sys, warnings; from pixelwise.entry_points import load_plugins\n"
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
