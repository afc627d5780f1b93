"""Prints the oldest versions that pyproject.toml allows, as constraints for pip: what users with old packages get."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(__file__).parent.with_name("pyproject.toml").read_text("utf-8"))["project"]
named = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
oldest = {found[1]: found[2] for one in named if (found := re.fullmatch(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)", one))}
sys.stdout.write("\n".join(f"{name}=={version}" for name, version in sorted(oldest.items(), key=str)) + "\n")
