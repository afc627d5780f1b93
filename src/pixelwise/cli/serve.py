"""`pixelwise serve RUN`: a model as a server."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_serving
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import images
from pixelwise.serving.options import ServeOptions

EXAMPLES = (
    "pixelwise serve exported/model.onnx  # then: curl --data-binary @photo.jpg localhost:8000/predict -o mask.png",
    "pixelwise serve runs/unet-1 --host 0.0.0.0  # with a secret in the environment variable PIXELWISE_TOKEN",
)
"""Shown at the end of the help."""
TOKEN = "PIXELWISE_TOKEN"
"""Environment variable with the token, which the list of processes does not show."""


@takes(ServeOptions)
def run(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder, hub://OWNER/NAME, or an exported model.onnx."),
    words: list[str] = typer.Argument(
        None,
        metavar="[FIELD=VALUE]...",
        help="Settings for reading images that differ from those of the training, such as input_range=[0,65535].",
    ),
    *,
    options: ServeOptions,
) -> None:
    """Answer images with masks over HTTP, until Ctrl-C ends it.

    POST /predict takes the bytes of an image and answers a PNG mask, or with ?output= run lengths, polygons, an
    overlay or probabilities. Clients of the open inference protocol (KServe, Triton) work, too; /openapi.json describes
    it all. Only this computer reaches the server unless --host says otherwise, which needs a token.
    """
    asked = images(words or [])
    if asked.names:
        raise typer.BadParameter(f"'{asked.names[0]}' is not a setting; expected FIELD=VALUE")
    token = options.token or os.environ.get(TOKEN) or None
    options = msgspec.structs.replace(options, overrides=asked.settings, token=token)
    check_serving(run, options)
    import pixelwise
    from pixelwise.reports.displays import display

    with display(phases=True) as observer:
        pixelwise.serve(run, options, observer=observer)
