"""Builds the package; everything else is in pyproject.toml."""

import os
import re
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DOCUMENT = Path("docs/errors.md")


class WithDocuments(build_py):
    """Also copies docs/errors.md into the package: `pixelwise explain D204` reads it."""

    def run(self) -> None:
        """Copy the modules, then the document."""
        super().run()
        if not self.editable_mode:  # which finds the document in the clone
            self.copy_file(str(DOCUMENT), str(Path(self.build_lib, "pixelwise", DOCUMENT.name)))


def repository() -> str:
    """Address of the repository whose workflow builds the package; empty anywhere else, where nobody knows it."""
    name = os.environ.get("GITHUB_REPOSITORY", "")
    return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}" if name else ""


def description(address: str) -> str:
    """The README as PyPI shows it: without the repository around it, where its links have to be whole addresses."""
    text = Path("README.md").read_text("utf-8")
    if not address:
        return text
    at = os.environ.get("GITHUB_REF_NAME", "main")
    text = re.sub(r"!\[([^]]*)\]\((?![a-z]+:|#)([^)\s]+)\)", rf"![\1]({address}/raw/{at}/\2)", text)
    return re.sub(r"(?<!!)\[([^]]*)\]\((?![a-z]+:|#)([^)\s]+)\)", rf"[\1]({address}/blob/{at}/\2)", text)


def addresses(address: str) -> dict[str, str]:
    """Pages of the project by their names on PyPI."""
    if not address:
        return {}
    at = f"{address}/blob/main"
    return {
        "Source": address,
        "Documentation": f"{at}/README.md#more",
        "Changelog": f"{at}/CHANGELOG.md",
        "Issues": f"{address}/issues",
        "Security": f"{address}/security/policy",
    }


setup(
    cmdclass={"build_py": WithDocuments},
    long_description=description(repository()),
    long_description_content_type="text/markdown",
    project_urls=addresses(repository()),
)
