"""The notebooks of examples/: committed without output, and run from the first cell to the last on a small town."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
NAMES = ("own_data", "errors_of_a_run", "exported_model")


def cells(name: str) -> list[dict[str, Any]]:
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text("utf-8"))["cells"]


def test_all_notebooks_are_run():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_without_output(name: str):
    for cell in cells(name):
        assert set(cell["metadata"]) <= {"tags"}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            ast.parse("".join(cell["source"]))
    document = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text("utf-8"))
    assert set(document["metadata"]) == {"kernelspec", "language_info"}
    assert len({cell["id"] for cell in document["cells"]}) == len(document["cells"])


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_notebook_lead_to_files(name: str):
    text = "".join("".join(cell["source"]) for cell in cells(name) if cell["cell_type"] == "markdown")
    missing = [
        link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not (NOTEBOOKS / link.partition("#")[0]).exists()
    ]
    assert missing == []


def executed(name: str, recipe: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The cells with their output, after the parameters were replaced by those of a training of seconds."""
    import nbformat
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from nbclient import NotebookClient

    class ThisPython(KernelSpecManager):
        """The kernel of this interpreter, whatever kernels are installed."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name=kernel_name, language="python")

    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
    nbformat.validate(notebook)
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source += f"\nIMAGES = [6, 3, 3]\nTRAINING = {{'recipe': {str(recipe)!r}}}\nROUNDS = 2"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, sys.path)))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.create_kernel_manager().kernel_spec_manager = ThisPython()
    client.execute()
    return notebook.cells


SHOWN = {
    "own_data": ("fix", "optimizer.lr", "mIoU", "<img"),
    "errors_of_a_run": ("mIoU", "sign_symbol", "<img"),
    "exported_model": ("mIoU", "<img"),
}


@pytest.mark.heavy
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    done = executed(name, tiny_recipe, tmp_path, monkeypatch)
    outputs = [output for cell in done if cell.cell_type == "code" for output in cell.outputs]
    assert [output.evalue for output in outputs if output.output_type == "error"] == []
    pages = "".join(output.data.get("text/html", "") for output in outputs if output.output_type == "execute_result")
    assert [words for words in SHOWN[name] if words not in pages] == []
