import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "pixelwise"
HOUSE = (ROOT / "docs" / "house.md").read_text("utf-8")


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file's syntax tree, parsed once for all tests."""
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def shown_tree() -> dict[str, str]:
    """Path below the package -> what docs/house.md says of it."""
    block = HOUSE.split("## The tree")[1].split("```")[1]
    shown: dict[str, str] = {}
    parents: list[str] = []
    for line in block.splitlines():
        if row := re.match(r"((?:  )+)(\S+)\s{2,}(\S.*)", line):
            parents[len(row[1]) // 2 - 1 :] = [row[2].rstrip("/")]
            shown["/".join(parents)] = row[3]
    return shown


def test_the_tree_that_is_shown_exists():
    packages = {path.parent for path in SOURCE.rglob("__init__.py")} - {SOURCE}
    # Rooms that only sort their package by subject need no line of their own.
    unsaid = {SOURCE / "models" / "quantization", *(SOURCE / "reports").iterdir()}
    modules = {path for path in SOURCE.glob("*.py") if path.name != "__init__.py"}
    assert set(shown_tree()) == {path.relative_to(SOURCE).as_posix() for path in (packages - unsaid) | modules}


def test_every_dependency_has_a_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(one for name in ("train", "runtime", "dev") for one in extras[name])]
    section = HOUSE.split("## Dependencies and why")[1].split("\n## ")[0].lower()
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["recipes"],
        ["show", "enet-camvid"],
        ["train", "--help"],
        ["export", "--help"],
        ["quantize", "--help"],
        ["deploy", "--help"],
        ["profile", "--help"],
    ],
)
def test_light_verbs_load_nothing_heavy(arguments: list[str]):
    script = (
        "import sys; from pixelwise.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'timm', 'cv2', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules); "
        "print('heavy:', heavy, file=sys.stderr); sys.exit(code or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_metrics_are_listed_without_torch():
    script = (
        "import sys; from pixelwise.cli import main; code = main(['evaluate', '--help']); "
        "sys.exit(code or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def is_module(package: ModuleType, name: str) -> bool:
    return importlib.util.find_spec(f"{package.__name__}.{name}") is not None


@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_scripts_import_names_that_exist(folder: str):
    missing = []
    for path in (ROOT / folder).rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pixelwise":
                module = importlib.import_module(node.module or "")
                names = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                missing += [f"{path.name}: {module.__name__}.{name}" for name in names if not is_module(module, name)]
    assert missing == []


def test_registering_loads_nothing_heavy():
    # So that listing recipes stays fast where other packages add networks, encoders and importers.
    script = (
        "import sys; import pixelwise.models.building, pixelwise.backbones.building, "
        "pixelwise.checkpoints.importers.conversions; "
        "sys.exit(bool({'torch', 'timm', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_torch_load_which_may_run_code_is_never_called():
    # Files of torch.save are read by `checkpoints.files`, which runs nothing. Where an artefact is checked, only what
    # PyTorch itself would load without running anything may pass.
    calls = []
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                calls.append((path.relative_to(SOURCE).as_posix(), [ast.unparse(one) for one in node.keywords]))
    assert calls == [("runtimes/safety.py", ["weights_only=True"])]


def test_thread_pools_are_those_of_machine():
    # A pool whose threads are still ending when loader processes are forked can block these for ever.
    made = []
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Call) and re.search(r"\b(ThreadPoolExecutor|ThreadPool)$", ast.unparse(node.func)):
                made.append(path.relative_to(SOURCE).as_posix())
    assert made == ["machine/thread_pools.py"]


def test_every_error_code_is_explained():
    documented = set(re.findall(r"^### ([A-Z]\d{3})", (ROOT / "docs" / "errors.md").read_text("utf-8"), re.M))
    used = set()
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"[A-Z]\d{3}", node.value)
            ):
                used.add(node.value)
    assert used - documented == set()
    assert documented - used == set()


RUN_FILES = {
    "recipe.toml", "environment.json", "data.json", "log.jsonl", "log.csv", "problems.jsonl", "result.json",
    "per_class.csv", "per_image.csv", "status.json", "pictures.json",
}  # fmt: skip


def test_only_records_knows_the_files_of_a_run_folder():
    elsewhere = set()
    for path in SOURCE.rglob("*.py"):
        if path.parent.name != "records":
            for node in nodes(path):
                if isinstance(node, ast.Constant) and node.value in RUN_FILES:
                    elsewhere.add(f"{path.relative_to(SOURCE)}:{node.lineno}: {node.value}")
    assert elsewhere == set()


def modules() -> set[str]:
    """Every module of the source, as a path below the package without its suffix."""
    return {path.relative_to(SOURCE).with_suffix("").as_posix() for path in SOURCE.rglob("*.py")}


def test_tests_mirror_the_source():
    strangers, sources = [], modules()
    for test in (ROOT / "tests").rglob("test_*.py"):
        folder = test.parent.relative_to(ROOT / "tests")
        if not folder.parts or not (SOURCE / folder).is_dir() or folder.parts[0] == "cli":
            continue  # contracts/, faults/ and end_to_end/ look at several packages at once
        name = (folder / test.stem.removeprefix("test_")).as_posix()
        # Some add a subject of their own to their module's name.
        if not any(name == module or name.startswith(f"{module}_") for module in sources):
            strangers.append(str(test.relative_to(ROOT)))
    assert strangers == []


BRANCHES = (
    ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.Match, ast.BoolOp,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
LOGIC = 3
"""A module with so many branches is tested by itself."""
TESTED_AS = {
    # Files of packages themselves, whose tests go by what they offer.
    "cli/__init__": "cli/test_command_line.py",
}
"""Module -> the file that tests it, where that cannot have its name."""


def branches(module: str) -> int:
    """How many places of a module may go one way or another."""
    return sum(isinstance(node, BRANCHES) for node in nodes(SOURCE / f"{module}.py"))


def test_every_module_that_holds_logic_has_a_test_file_of_its_own():
    known, tested = modules(), set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        name = path.relative_to(ROOT / "tests").with_name(path.stem.removeprefix("test_")).as_posix()
        # The longest name that fits: test_unet_lite.py would be of `unet_lite`, if there is one, and not of `unet`.
        tested.add(max((module for module in known if f"{name}_".startswith(f"{module}_")), key=len, default=""))
    logic = {module for module in known if branches(module) >= LOGIC}
    assert sorted(logic - tested - set(TESTED_AS)) == []
    assert set(TESTED_AS) <= logic - tested
    assert [file for file in TESTED_AS.values() if not (ROOT / "tests" / file).is_file()] == []


# One file per family, however many there are.
ROOMS = {"models"}
LONGEST_FILE = 400
# The training loop is read from top to bottom: stepping, saving and evaluating in their order.
LONGEST_FUNCTIONS = {"train_loop": 120}
LONGEST_FUNCTION = 60
MOST_PARAMETERS = 8
FULLEST_FOLDER = 20


def test_no_file_is_longer_than_a_reader_wants():
    lengths = {
        str(path.relative_to(SOURCE)): len(path.read_text("utf-8").splitlines()) for path in SOURCE.rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(SOURCE)}: {node.name}", node


def test_no_function_is_longer_than_a_reader_wants():
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    allowed = {name: LONGEST_FUNCTIONS.get(name.rpartition(" ")[2], LONGEST_FUNCTION) for name in lengths}
    assert {name: length for name, length in lengths.items() if length > allowed[name]} == {}


def test_no_function_takes_more_parameters_than_a_caller_keeps_in_mind():
    crowded = {}
    for name, node in functions():
        taken = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len([argument for argument in taken if argument not in {"self", "cls"}])
        if count > MOST_PARAMETERS:
            crowded[name] = count
    assert crowded == {}


def test_no_folder_holds_more_than_a_reader_oversees():
    folders = Counter(path.parent for path in SOURCE.rglob("*.py") if path.name != "__init__.py")
    crowded = {str(folder.relative_to(SOURCE)): count for folder, count in folders.items() if count > FULLEST_FOLDER}
    assert set(crowded) <= ROOMS


@pytest.mark.parametrize(
    "page",
    [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))],
    ids=lambda page: page.name,
)
def test_links_lead_to_files(page: Path):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link.partition("#")[0]).exists()]
    assert missing == []


def test_paths_in_commands_are_quoted():
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if not isinstance(node, ast.JoinedStr):
                continue
            before = ""
            for part in node.values:
                if isinstance(part, ast.Constant):
                    before += str(part.value)
                    continue
                bare = isinstance(part, ast.FormattedValue) and ast.unparse(part.value).startswith("printable(")
                if bare and re.search(r"pixelwise [a-z]+ [^`\"';:]*$", before):
                    found.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
                before += "X"
    assert found == [], "a path with a space breaks these commands: shlex.quote(printable(...))"
