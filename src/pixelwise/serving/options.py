"""Options of `pixelwise.serve` and of the verb `serve`; never imports torch."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.options import Options
from pixelwise.recipes.sizes import Size

LOCALHOST = "localhost"
SHORTEST_TOKEN = 16
"""Fewest characters of a token."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""What a bearer token may consist of (RFC 6750)."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class ServeOptions(Options, frozen=True, kw_only=True):
    """Options of `serve`.

    Attributes:
        port: Port to listen at; 0 takes a free one.
        host: Address to listen at. The default is for programs of this computer alone; any other address needs a
            `token`.
        token: Secret that clients have to send, as in `Authorization: Bearer TOKEN`; 16 characters or more. The
            environment variable PIXELWISE_TOKEN hides it from the list of processes.
        name: Name of the model in the paths of the open inference protocol. Left out, that of the run or artefact.
        workers: Number of processes that decode images and predict. Left out, one for each core, or two on a GPU.
        batch: Most images that a worker is given at a time. Left out, as many as suit the device.
        queue: Most requests that are taken at a time, those being worked on included; further ones are told to come
            back (429).
        max_bytes: Largest body of a request in bytes.
        max_pixels: Most pixels of an image; its header is looked at before anything is decoded.
        timeout: Seconds that an image may take, from its bytes to its answer, before its worker is killed; also, the
            seconds that a client may take to send a request.
        window: Size of overlapping sliding windows for prediction, for example 1024x1024. Left out, the protocol
            decides.
        device: Device to run on: `auto` (a GPU if there is one, else `cpu`), `cpu`, `cuda` or `cuda:N`. Artefacts
            always run on the CPU.
        overrides: Settings for reading images that differ from those of the training, such as
            `data.input_range=[0, 65535]`.
        trust: Open an artefact even if its format lets whoever made it run code here (`torch-export`).
    """

    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    host: str = "127.0.0.1"
    token: str | None = None
    name: str | None = None
    workers: Annotated[int, Meta(ge=1, le=1024)] | None = None
    batch: Annotated[int, Meta(ge=1, le=1024)] | None = None
    queue: Annotated[int, Meta(ge=1, le=100_000)] = 64
    max_bytes: Annotated[int, Meta(ge=1)] = 32 * 1024**2
    max_pixels: Annotated[int, Meta(ge=1)] = 50_000_000
    timeout: Annotated[float, Meta(ge=0.01, le=86400)] = 60.0
    window: Annotated[Size | None, Meta(extra={"metavar": "WIDTHxHEIGHT"})] = None
    device: str = "auto"
    overrides: Annotated[tuple[str, ...], Meta(extra={"hidden": True})] = ()
    trust: bool = False

    @property
    def is_local(self) -> bool:
        """Whether only programs of this computer reach the server."""
        if self.host == LOCALHOST:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def refuse_open_doors(self) -> None:
        """Refuse to serve strangers without a token, and a token that is easily guessed or cannot be sent.

        Raises:
            RecipeError: R260, the token or the name is malformed; R290, a token is needed.
        """
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise RecipeError(
                "R260",
                f"`name` is {self.name!r}; expected up to 100 letters, digits, dots, hyphens and underscores",
                "change `name`",
            )
        if self.token is None:
            if not self.is_local:
                raise RecipeError(
                    "R290",
                    f"`host` {self.host} can be reached by other computers, and there is no `token`",
                    "set `token`, or PIXELWISE_TOKEN in the environment, to a secret such as the output of "
                    "`openssl rand -hex 32`, or leave `host` out",
                )
        elif len(self.token) < SHORTEST_TOKEN or not _TOKEN.fullmatch(self.token):
            raise RecipeError(
                "R260",
                f"`token` has {len(self.token)} characters; expected {SHORTEST_TOKEN} or more letters, digits and "
                "signs among . _ ~ + / = -",
                "take the output of `openssl rand -hex 32`",
            )
