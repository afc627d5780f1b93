"""What an installation costs: packages and megabytes of the wheel with each extra, in an environment of its own.

    python -m venv light && light/bin/pip install --no-compile 'dist/pixelwise-0.1.0-py3-none-any.whl[runtime]'
    python benchmarks/install.py runtime=light [EXTRA=FOLDER]...

An environment without an extra is `=FOLDER`. Writes benchmarks/install.md and benchmarks/measurements/install.json. pip
itself and what Python compiles are not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "measurements" / "install.json"
EXTRAS = {
    "": "checking and converting data, reading results and reports",
    "runtime": "predicting with exported ONNX files",
    "train": "training, evaluating, predicting with runs",
}


def installed(environment: Path) -> dict[str, int]:
    """Packages and bytes of an environment."""
    (site,) = (path for path in environment.rglob("site-packages") if path.parent.name != "lib64")
    own = [path for path in site.iterdir() if path.name.partition("-")[0] not in ("pip", "_virtualenv.py")]
    files = [path for top in own for path in (top.rglob("*") if top.is_dir() else [top]) if path.is_file()]
    kept = [path for path in files if "__pycache__" not in path.parts and not path.is_symlink()]
    return {
        "packages": sum(path.name.endswith(".dist-info") for path in own),
        "bytes": sum(path.stat().st_size for path in kept),
    }


def page(figures: dict[str, dict[str, int]], where: str) -> str:
    """The figures as Markdown."""
    rows = [
        f"| `pip install 'pixelwise{f'[{extra}]' if extra else ''}'` | {EXTRAS[extra]} | {found['packages']} | "
        f"{found['bytes'] / 1e6:,.0f} |"
        for extra, found in figures.items()
    ]
    heading = f"`python benchmarks/install.py ...`, on {where}, for which PyPI has PyTorch with CUDA:"
    table = ["| | for | packages | MB on the disk |", "|---|---|---|---|", *rows]
    return "\n".join(["# Installing", "", heading, "", *table, ""])


def main() -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environments", nargs="+", metavar="EXTRA=FOLDER")
    named = dict(one.split("=", 1) for one in parser.parse_args().environments)
    figures = {extra: installed(Path(named[extra])) for extra in EXTRAS if extra in named}
    where = f"{platform.system()} {platform.machine()} with Python {platform.python_version()}"
    FIGURES.write_text(json.dumps({"machine": where, "extras": figures}, indent=2) + "\n", "utf-8")
    (HERE / "install.md").write_text(page(figures, where), "utf-8")


if __name__ == "__main__":
    main()
