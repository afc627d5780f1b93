"""Options of `profile`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.options import Options
from pixelwise.recipes.sizes import Size


class ProfileOptions(Options, frozen=True, kw_only=True):
    """What to measure, and how.

    Attributes:
        train: Time the parts of training steps instead of a forward pass.
        runtimes: Compare the latency of a forward pass in these runtimes, interleaved, each in its own process; for
            runtimes other than PyTorch the network is exported first.
        data: Data set folder for the training steps; by default the run's, or the synthetic town.
        size: Size of the image, or of the training crop: (height, width) in Python, WIDTHxHEIGHT on the command
            line; by default the recipe's input size.
        steps: Number of timed images (default 20) or training steps (default 5).
        device: `auto`, `cpu` or `cuda`.
        threads: Number of CPU threads; by default OMP_NUM_THREADS or one per usable core. With runtimes one number or
            several; by default 1.
        batch: Number of images per pass, with runtimes.
        rounds: Number of timed passes in each runtime.
        num_classes: Number of classes of a network with random weights; by default the recipe's, or 19.
        output: Chart of the training steps to write, a file that ends in .png, .svg or .pdf.
        trust: Open an artefact even if its format lets whoever made it run code here (`torch-export`).
    """

    train: bool = False
    runtimes: Annotated[
        tuple[str, ...], Meta(extra={"flag": "--runtime", "names": "pixelwise.profiling.runtimes:runtime_names"})
    ] = ()
    data: str | os.PathLike[str] | None = None
    size: Size | None = None
    steps: Annotated[int | None, Meta(ge=1)] = None
    device: str = "auto"
    threads: tuple[Annotated[int, Meta(ge=1)], ...] = ()
    batch: Annotated[int, Meta(ge=1)] = 1
    rounds: Annotated[int, Meta(ge=1)] = 30
    num_classes: Annotated[int | None, Meta(ge=1, extra={"flag": "--classes"})] = None
    output: str | os.PathLike[str] | None = None
    trust: bool = False

    def refuse_contradictions(self, overrides: Sequence[str] = ()) -> None:
        """Check that all options apply to the kind of profile that they choose.

        Args:
            overrides: Changes to the recipe.

        Raises:
            RecipeError: R251, an option does not apply.
        """
        if self.runtimes:
            kind, foreign = "`runtimes`", ("train", "data", "steps", "device", "output")
            if overrides:
                raise _contradiction("changes to the recipe do", kind, "put them into a recipe file and profile that")
        elif self.train:
            kind, foreign = "`train`", ("batch", "rounds", "num_classes", "trust")
        else:
            kind, foreign = "the profile of one image", ("data", "batch", "rounds", "output", "trust")
        for field in foreign:
            if getattr(self, field) != getattr(_DEFAULTS, field):
                raise _contradiction(f"`{field}` does", kind, f"leave `{field}` out")
        if len(self.threads) > 1 and not self.runtimes:
            raise _contradiction("several values of `threads` do", kind, "give one value, or add `runtimes`")


_DEFAULTS = ProfileOptions()


def _contradiction(what: str, kind: str, remedy: str) -> RecipeError:
    return RecipeError("R251", f"{what} not apply to {kind}", remedy)
