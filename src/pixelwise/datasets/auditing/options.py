"""Options of `pixelwise.check`, in Python and on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.options import Options


class CheckOptions(Options, frozen=True, kw_only=True):
    """Options of `pixelwise.check`.

    Attributes:
        recipe: Name of a recipe, or a recipe file, whose classes and splits the data is checked against. Without it,
            the folder is read as a custom data set.
        fresh: Examine every file again, even those that have not changed since the last check.
        html: HTML file to write a page with overlays to; the page works offline.
        write: Recipe file (.toml) to write for this data: classes, colours, splits, normalisation.
        engine: Who examines the files: this process (`here`), or the workers of Ray (`ray`), which are restarted when
            they die. What is found is the same.
        workers: Number of workers of Ray. Left out, one for each core but one.
        address: Address of a Ray cluster, such as `auto` or `ray://host:10001`. Left out, Ray is started on this
            machine.
    """

    recipe: str | None = None
    fresh: bool = False
    html: Path | None = None
    write: Path | None = None
    engine: Annotated[Literal["here", "ray"], Meta(extra={"late": True})] = "here"
    workers: Annotated[int | None, Meta(ge=1, extra={"late": True})] = None
    address: Annotated[str | None, Meta(extra={"late": True})] = None

    @property
    def gpus_per_worker(self) -> float:
        """Number of GPUs of a worker: files are examined without."""
        return 0.0

    def refuse_contradictions(self) -> None:
        """Check that options for Ray are given together with it.

        Raises:
            RecipeError: R251, they are given without it.
        """
        if self.engine == "here" and (self.workers is not None or self.address is not None):
            raise RecipeError("R251", "`workers` and `address` are for Ray", "add `engine` ray, or leave them out")
