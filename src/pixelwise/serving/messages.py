"""What the server and its worker processes say to each other, in MessagePack.

A decoder of a stranger's bytes may have been taken over, and whoever unpickled its words would be, too.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Answer = Literal["mask", "rle", "polygons", "overlay", "probabilities"]
"""What a client may ask for: `mask`, a PNG file whose pixel values are class ids; `rle` and `polygons`, JSON;
`overlay`, the image with the class colours, a JPEG file; `probabilities`, a TIFF file with one band per class."""
Form = Literal["mask", "rle", "polygons", "overlay", "probabilities", "arrays"]
"""`arrays`: the bytes of the class ids, and on request of the probabilities, for the open inference protocol."""


class Order(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An image to predict.

    Attributes:
        number: Number of the order, which its reply repeats.
        content: Bytes of an image file; or uint8 values of an image (H, W, C), if `shape` is given.
        shape: Shape of the values; empty for a file.
        form: What the reply holds.
        tolerance: Distance in pixels by which simplified polygons may differ.
        scores: Whether `arrays` include the probabilities.
    """

    number: int
    content: bytes
    shape: tuple[int, ...] = ()
    form: Form = "mask"
    tolerance: float = 0.0
    scores: bool = False


class Model(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a worker says of the model that it has loaded.

    Attributes:
        classes: Class names; the position is the class id.
        palette: Colour of each class, `#rrggbb`.
        multilabel: Whether a pixel may belong to several classes.
        gives_scores: Whether there are probabilities.
        channels: Number of channels of an image.
        batch: Number of images that suit a batch on its device.
        device: Where it computes: `cpu` or `cuda`.
        runtime: `pytorch`, or the target that the artefact was exported to.
        recipe: Name of the recipe.
        hashes: SHA-256 of `weights` and `recipe`, and of the files of an artefact.
        licence: Licences of `weights` and `code`: SPDX identifiers, `unknown` or `none`; `derived_from` lists the
            networks that the weights were derived from, if there are any.
        preprocessing: Everything between an image file and its mask, as `model.toml` of an export describes it.
    """

    classes: tuple[str, ...]
    palette: tuple[str, ...]
    multilabel: bool
    gives_scores: bool
    channels: int
    batch: int
    device: str
    runtime: str
    recipe: str
    hashes: dict[str, str]
    licence: dict[str, Any]
    preprocessing: dict[str, Any]

    @property
    def version(self) -> str:
        """Version of the model: the beginning of the SHA-256 of its weights; `1` for random ones."""
        return self.hashes["weights"][:12] or "1"


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The answer to an order.

    Attributes:
        number: Number of the order.
        media: Media type of the content.
        content: The answer; of `arrays` the class ids uint8, and after them the probabilities float32, little-endian.
        size: (height, width) of the image.
        model: Version of the model that answered.
    """

    number: int
    media: str
    content: bytes
    size: tuple[int, int]
    model: str = ""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An error: of an order, or of loading the model.

    Attributes:
        number: Number of the order; -1 if the model cannot be loaded.
        code: Code of the error.
        message: Its message.
        help: The way out.
    """

    number: int
    code: str
    message: str
    help: str


class Warned(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A warning.

    Attributes:
        code: Its code.
        message: Its message.
    """

    code: str
    message: str


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All orders of a batch are answered."""


Reply = Model | Done | Failed | Warned | Finished

encode = msgspec.msgpack.Encoder().encode
decode_orders = msgspec.msgpack.Decoder(list[Order]).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
