"""Requirements that are met or not, read from the metadata of made-up packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from foreign_site import add, torch_version

from pixelwise.installation import packages


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is looked into first."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_what_is_missing_or_too_old_is_found_through_what_others_need(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages, "OURS", "acme")
    add(site, "acme", "1.0", ["acme-mid>=2", "acme-none", "acme-none-here; sys_platform == 'nowhere'", "no(t valid"])
    add(site, "acme-mid", "2.1", ["acme_low (<3)", "acme-docs; extra == 'docs'", "acme>=0.5"])
    add(site, "Acme-Low", "3.0.post1")
    found = [(one.by, one.requirement, one.version) for one in packages.unmet()]
    assert found == [("acme", "acme-none", None), ("acme-mid", "acme_low<3", "3.0.post1")]


def test_extras_are_listed_with_versions_and_without_those_of_developers(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages, "OURS", "acme")
    asked = ["base>=1", "shapes>=2; extra == 'maps'", "gone; extra == 'maps'", "pytest; extra == 'dev'"]
    add(site, "acme", "1.0", asked)
    metadata = site / "acme-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text("utf-8") + "Provides-Extra: dev\nProvides-Extra: maps\n", "utf-8")
    add(site, "base", "1.5rc1")
    add(site, "shapes", "1.9")
    assert [(one.name, one.version, one.fits) for one in packages.needed()] == [("base", "1.5rc1", True)]
    [extra] = packages.extras()
    assert extra.name == "maps"
    facts = [(one.name, one.version, one.wanted, one.fits) for one in extra.packages]
    assert facts == [("shapes", "1.9", ">=2", False), ("gone", None, "", False)]
    assert not extra.is_complete


def test_an_extra_has_the_packages_of_the_extras_that_it_brings(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages, "OURS", "acme")
    add(site, "acme", "1.0", ["acme[maps]; extra == 'all'", "more; extra == 'all'", "shapes>=2; extra == 'maps'"])
    metadata = site / "acme-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text("utf-8") + "Provides-Extra: all\nProvides-Extra: maps\n", "utf-8")
    assert {one.name: [two.name for two in one.packages] for one in packages.extras()} == {
        "all": ["shapes", "more"],
        "maps": ["shapes"],
    }


def test_a_folder_that_is_not_installed_needs_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages, "OURS", "acme-that-nobody-installs")
    assert (packages.needed(), packages.extras(), packages.unmet()) == ((), (), ())
    assert packages.installed(packages.OURS) is None


@pytest.mark.parametrize(
    ("name", "text", "cuda"),
    [
        ("torch", torch_version("2.10.0+cu128", "12.8"), "12.8"),
        ("torch", torch_version("2.10.0+cpu", None), None),
        ("torchvision", "__version__ = '0.25.0+cu118'\n", "11.8"),
        ("torchvision", "__version__ = '0.25.0+cpu'\n", None),
        ("torchvision", "", None),
    ],
)
def test_wheels_say_what_they_were_built_for(site: Path, name: str, text: str, cuda: str | None):
    add(site, name, "2.10.0", files={f"{name}/version.py": text})
    assert packages.cuda_of(name) == cuda
    assert packages.rocm_of(name) is None


def test_a_wheel_for_rocm(site: Path):
    text = "__version__ = '2.10.0+rocm6.4'\ncuda: Optional[str] = None\nhip: Optional[str] = '6.4.43482-0f2d60242'\n"
    add(site, "torch", "2.10.0", files={"torch/version.py": text})
    assert (packages.cuda_of("torch"), packages.rocm_of("torch")) == (None, "6.4.43482")


def test_installed_names_are_normalised(site: Path):
    add(site, "Acme_Base.Kit", "1")
    assert "acme-base-kit" in packages.installed_names()
