"""`pixelwise.serve`: a run or an exported artefact as a server."""

from __future__ import annotations

import os
from typing import Any

from pixelwise.api.requests import check_serving
from pixelwise.checkpoints.hub.resolving import run_path
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.overrides import in_words
from pixelwise.serving.options import ServeOptions
from pixelwise.serving.server import serve_model


def serve(
    run: str | os.PathLike[str],
    options: ServeOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> None:
    """Serve a model over HTTP until Ctrl-C or SIGTERM; what was taken by then is finished.

    Worker processes decode the images and predict them, so that a damaged image cannot end the server. SIGHUP and
    `POST /model/reload` load the model again from the same place. docs/deployment.md describes what the server answers.

    Args:
        run: A run folder, or an exported artefact (its folder or its file), here or as `hub://OWNER/NAME`.
        options: Options of the server; None for the defaults.
        observer: Receives the address as a phase, and warnings.
        changes: Single fields of `ServeOptions`, such as `port=0`.

    Raises:
        CheckpointError: The folder is not a run or has no valid checkpoint, or the artefact is damaged.
        RecipeError: R240, the packages of a server are not installed; R260, an option is malformed; R290, other
            computers could reach the server without a token.
        ResourceError: S609, the port cannot be used; S613, a worker process cannot load the model.
    """
    wanted = in_words(chosen(ServeOptions, options, changes))
    folder = run_path(run, observer.warn)
    check_serving(folder, wanted)
    serve_model(folder, wanted, observer)
