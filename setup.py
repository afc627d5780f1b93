"""Builds the package; everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithDocuments(build_py):
    """Also copies docs/errors.md into the package: `pixelwise explain D204` reads it."""

    def run(self) -> None:
        """Copy the modules, then the document."""
        super().run()
        if not self.editable_mode:  # which finds the document in the clone
            self.copy_file("docs/errors.md", str(Path(self.build_lib, "pixelwise", "errors.md")))


setup(cmdclass={"build_py": WithDocuments})
