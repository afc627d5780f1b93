"""What an installation costs: packages and megabytes of the wheel with each extra, in an empty environment.

    python benchmarks/install.py dist/pixelwise-*.whl

Writes benchmarks/install.md and benchmarks/measurements/install.json. Files are counted as they lie on the disk, before
Python compiles them.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "measurements" / "install.json"
EXTRAS = {
    "": "checking and converting data, reading results and reports",
    "runtime": "predicting with exported ONNX files",
    "train": "training, evaluating, predicting with runs",
}


def installed(wheel: Path, extra: str) -> dict[str, object]:
    """Packages and bytes of an empty environment into which the wheel was installed with an extra."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=False)
        (python,) = (path for path in Path(folder).glob("*/python*") if path.stem == "python")
        wanted = f"{wheel}[{extra}]" if extra else str(wheel)
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile", wanted], check=True
        )
        (site,) = Path(folder).glob("[Ll]ib/**/site-packages")
        files = [path for path in site.rglob("*") if path.is_file() and not path.is_symlink()]
        return {
            "packages": len(list(site.glob("*.dist-info"))),
            "bytes": sum(path.stat().st_size for path in files),
            "torch": (site / "torch").is_dir(),
        }


def page(figures: dict[str, dict[str, object]]) -> str:
    """The figures as Markdown."""
    rows = [
        f"| `pip install pixelwise{f'[{extra}]' if extra else ''}` | {EXTRAS[extra]} | {found['packages']} | "
        f"{int(str(found['bytes'])) / 1e6:,.0f} | {'yes' if found['torch'] else 'no'} |"
        for extra, found in figures["extras"].items()
        if isinstance(found, dict)
    ]
    machine, version = (figures["machine"][key] for key in ("system", "python"))
    return "\n".join(
        [
            "# Installing",
            "",
            f"`python benchmarks/install.py WHEEL`, on {machine} with Python {version}, for which PyPI has "
            "PyTorch with CUDA:",
            "",
            "| | for | packages | MB on the disk | PyTorch |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    figures: dict[str, dict[str, object]] = {
        "machine": {"system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()},
        "extras": {extra: installed(wheel, extra) for extra in EXTRAS},
    }
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    (HERE / "install.md").write_text(page(figures), "utf-8")


if __name__ == "__main__":
    main()
