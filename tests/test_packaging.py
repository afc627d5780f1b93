"""What belongs to a package that people install: versions, licences of others, files that are part of it."""

import hashlib
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import yaml

import pixelwise

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "pixelwise"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def test_the_version_is_said_once_and_repeated_where_a_release_needs_it():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    headings = re.findall(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert (citation["version"], headings[0]) == (pixelwise.__version__, pixelwise.__version__)
    done = subprocess.run(
        [sys.executable, "-m", "pixelwise", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == pixelwise.__version__


def test_every_file_of_others_is_listed_with_its_licence():
    listed = {
        row[0]: (row[1], row[2], Path(re.sub(r".*\((.*)\)", r"\1", row[3])), re.sub(r".*\((.*)\)", r"\1", row[5]))
        for line in (ROOT / "NOTICE.md").read_text("utf-8").splitlines()
        if (row := [cell.strip() for cell in line.strip("|").split("|")]) and len(row) == 6 and ".toml" in row[5]
    }
    found = {}
    for file in SOURCE.rglob("VENDORED.toml"):
        for one in tomllib.loads(file.read_text("utf-8")).values():
            text = (file.parent / one["license_file"]).relative_to(ROOT)
            found[one["package"]] = (one["version"], one["license"], text, file.relative_to(ROOT).as_posix())
            for name, facts in one["files"].items():
                assert hashlib.sha256((file.parent / name).read_bytes()).hexdigest() == facts["sha256"], name
    web = SOURCE / "deployment" / "web"
    runtime = tomllib.loads((web / "runtime.toml").read_text("utf-8"))
    text, description = web / "static" / "onnxruntime.LICENSE.txt", web / "runtime.toml"
    found[runtime["package"]] = (
        runtime["version"],
        runtime["license"],
        text.relative_to(ROOT),
        description.relative_to(ROOT).as_posix(),
    )
    assert listed == found
    # Nothing of others lies elsewhere, and the licence of the package is that of all its files.
    texts = {path.relative_to(ROOT) for path in SOURCE.rglob("*LICEN*")}
    assert texts == {text for _, _, text, _ in found.values()}
    kinds = {licence for _, licence, _, _ in found.values()}
    assert set(PROJECT["project"]["license"].split(" AND ")) == {"Apache-2.0"} | kinds


def test_every_file_of_the_source_is_part_of_the_package():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["pixelwise"]
    other = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert {name for name in other if not any(fnmatch(name, pattern) for pattern in patterns)} == set()
    assert [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in other)] == []
    # Modules in a folder without __init__.py would be left out.
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_what_a_message_tells_to_install_exists():
    named = set()
    for path in [*SOURCE.rglob("*.py"), ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for extras in re.findall(r"pixelwise\[([\w,-]+)\]", path.read_text("utf-8")):
            named |= set(extras.split(","))
    assert named - set(EXTRAS) == set()


def test_every_dependency_has_a_lower_bound():
    # Without one, the oldest version that the tests see is not the oldest that a user may have.
    named = [*PROJECT["project"]["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
    named.remove("torchvision")  # each release of it asks for one release of PyTorch
    for one in named:
        assert re.fullmatch(r"pixelwise\[[\w,-]+\]|[\w.-]+(\[[\w,-]+\])?[>=]=[\d.]+(,[<!][\w.=]+)*(; .+)?", one), one


def test_the_classifiers_say_which_pythons_the_tests_run_on():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))
    tested = workflow["jobs"]["tests"]["strategy"]["matrix"]["python"]
    said = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert said == tested
    assert PROJECT["project"]["requires-python"] == f">={tested[0]}"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + tested[0].replace(".", "")
