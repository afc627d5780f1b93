import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "pixelwise"
README = (ROOT / "README.md").read_text("utf-8")


def shown_tree() -> dict[str, str]:
    block = README.split("## The tree")[1].split("```")[1]
    rows = (re.match(r"  (\S+)\s{2,}(\S.*)", line) for line in block.splitlines())
    return {row[1].rstrip("/"): row[2] for row in rows if row}


def test_the_readme_shows_the_tree_that_exists():
    existing = {path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert set(shown_tree()) == existing | {"errors.py", "plugins.py"}


def test_every_dependency_has_a_reason_in_the_readme():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    section = README.split("## Dependencies and why")[1].split("\n## ")[0].lower()
    missing = [name for name in named if re.split(r"[<>=\[;]", name)[0].lower() not in section]
    assert missing == []


def test_the_public_names_exist_and_are_documented():
    import pixelwise

    assert pixelwise.__all__ == sorted(pixelwise.__all__)
    for name in pixelwise.__all__:
        value = getattr(pixelwise, name)
        assert value.__doc__, name
        assert value.__module__.startswith("pixelwise."), name


def test_the_code_under_test_is_this_clones():
    import pixelwise

    assert Path(pixelwise.__file__).is_relative_to(ROOT)


def test_an_unknown_public_name_is_an_attribute_error():
    import pixelwise

    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        pixelwise.trian  # noqa: B018


@pytest.mark.parametrize("arguments", [["--help"], ["recipes"], ["show", "enet-camvid"], ["train", "--help"]])
def test_light_verbs_load_nothing_heavy(arguments: list[str]):
    script = (
        "import sys; from pixelwise.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'timm', 'cv2', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules); "
        "print('heavy:', heavy, file=sys.stderr); sys.exit(code or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_torch_load_is_called_with_weights_only():
    calls = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                calls.append({keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords})
    assert calls
    assert all(call.get("weights_only") == "True" for call in calls)


def test_every_error_code_is_explained():
    documented = set(re.findall(r"^### ([A-Z]\d{3})", (ROOT / "docs" / "errors.md").read_text("utf-8"), re.M))
    used = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"[A-Z]\d{3}", node.value)
            ):
                used.add(node.value)
    assert used - documented == set()
    assert documented - used == set()


def test_tests_mirror_the_source():
    strangers = []
    for test in (ROOT / "tests").glob("*/test_*.py"):
        package = test.parent.name
        if not (SOURCE / package).is_dir() or package == "cli":
            continue  # contracts/, faults/ and end_to_end/ look at several packages at once
        name = test.stem.removeprefix("test_")
        # Test file names are unique, so some carry their package's name or what they add to their module's.
        candidates = [path.stem for path in (SOURCE / package).glob("*.py")]
        if not any(name in (stem, f"{package}_{stem}") or name.startswith(f"{stem}_") for stem in candidates):
            strangers.append(str(test.relative_to(ROOT)))
    assert strangers == []


def test_names_of_test_files_are_unique():
    # Without packages pytest tells test files apart by their names alone.
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
