from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from msgspec import Meta
from typer.testing import CliRunner

from pixelwise.cli.line.options import Verb, flags_of, takes, with_flags, with_names
from pixelwise.errors import RecipeError
from pixelwise.options import Options


class EveryKind(Options, frozen=True, kw_only=True):
    """One field of every kind that a verb can have.

    Attributes:
        target: Export format.
        argmax: Return class ids instead of logits.
        boundary: Add boundary IoU.
        size: Size that all images are resized to.
        threads: Numbers of threads, separated by commas.
        names: Names that may be repeated or separated by commas.
        drop: Largest accepted loss of mIoU, in points.
        folder: Folder to write to.
        kind: Format of the masks.
        stride: Output stride of the result.
        animal: Kind of animal.
    """

    target: Literal["onnx", "openvino"] = "onnx"
    argmax: bool = False
    boundary: bool = True
    size: tuple[int, int] | None = None
    threads: tuple[int, ...] = (1,)
    names: Annotated[tuple[str, ...], Meta(extra={"many": True, "flag": "--name"})] = ()
    drop: Annotated[float, Meta(ge=0, le=100)] | None = None
    folder: Path | None = None
    kind: Annotated[str, Meta(extra={"flag": "--format"})] = "ids"
    stride: Annotated[int | Literal["head"] | None, Meta(extra={"word": "head"})] = None
    animal: Annotated[str | None, Meta(extra={"names": "cli.line.test_options:animals"})] = None


def animals() -> list[str]:
    """The names that the help lists."""
    return ["cat", "dog"]


def parse(arguments: list[str]) -> tuple[EveryKind, dict]:
    app, caught = typer.Typer(), []

    @app.command()
    @takes(EveryKind)
    def run(
        source: str = typer.Argument(...),
        *,
        options: EveryKind,
        json: bool = typer.Option(False, "--json", help="Print JSON."),
    ) -> None:
        """Do it."""
        caught.append((options, {"source": source, "json": json}))

    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return caught[0] if caught else result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--target", "openvino"], {"target": "openvino"}),
        (["--argmax"], {"argmax": True}),
        (["--no-boundary"], {"boundary": False}),
        (["--size", "480x360"], {"size": (360, 480)}),
        (["--threads", "1,2, 4"], {"threads": (1, 2, 4)}),
        (["--name", "a", "--name", "b,c"], {"names": ("a", "b,c")}),
        (["--drop", "0.5"], {"drop": 0.5}),
        (["--folder", "x/y"], {"folder": Path("x/y")}),
        (["--format", "voc"], {"kind": "voc"}),
        (["--stride", "4"], {"stride": 4}),
        (["--stride", "head"], {"stride": "head"}),
    ],
)
def test_every_kind_of_field_is_read(arguments: list[str], expected: dict):
    options, rest = parse(["run-folder", *arguments])
    assert options == EveryKind(**expected)
    assert rest == {"source": "run-folder", "json": False}


@pytest.mark.parametrize(
    "arguments",
    [["--target", "tflite"], ["--drop", "-1"], ["--threads", "two"], ["--threads", ","], ["--stride", "half"]],
)
def test_an_invalid_value_is_a_usage_error(arguments: list[str]):
    app = typer.Typer()

    @app.command()
    @takes(EveryKind)
    def run(*, options: EveryKind) -> None:
        """Do it."""

    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_help_says_what_the_struct_says():
    shown = " ".join(parse(["--help"]).split())
    assert "Add boundary IoU." in shown
    assert "--json" in shown


def test_flags_are_named_after_fields():
    assert [flag.flags for flag in flags_of(EveryKind)] == [
        "--target", "--argmax", "--boundary/--no-boundary", "--size", "--threads", "--name", "--drop", "--folder",
        "--format", "--stride", "--animal",
    ]  # fmt: skip


def test_parameters_in_messages_become_flags():
    text = "`max_miou_drop` needs labels, and `images` has none; see `recipe`"
    shown = with_flags(text, {"max_miou_drop": "--max-miou-drop", "images": "--images"})
    assert shown == "--max-miou-drop needs labels, and --images has none; see `recipe`"


def test_help_lists_names_when_it_is_shown(monkeypatch: pytest.MonkeyPatch):
    app = typer.Typer()

    @app.command(cls=Verb)
    @takes(EveryKind)
    def run(*, options: EveryKind) -> None:
        """Do it."""

    monkeypatch.setattr("cli.line.test_options.animals", lambda: ["ape", "bee"])
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())
    assert "Kind of animal. One of: ape, bee." in shown
    assert with_names("none {such}") == "none {such}"


def test_an_error_names_the_flags_of_the_verb_that_ran():
    app = typer.Typer()

    @app.command(cls=Verb)
    @takes(EveryKind)
    def run(source: str = typer.Argument(...), *, options: EveryKind) -> None:
        """Do it."""
        raise RecipeError("R200", "`kind` and `source` of `unknown`", "leave `argmax` out")

    error = CliRunner().invoke(app, ["x"]).exception
    assert isinstance(error, RecipeError)
    assert (error.message, error.help) == ("--format and `source` of `unknown`", "leave --argmax out")
