"""Evaluation protocols: a single one, and a family whose names contain a number."""

from __future__ import annotations

from pixelwise.recipes.protocols import Protocol, register, register_family

register(
    Protocol(
        name="kitti-1242x375",
        summary="image resized to 1242x375, logits to the label file's own size",
        input_size=(375, 1242),
    )
)


@register_family("shorter-N")
def shorter(name: str) -> Protocol | None:
    """Protocols that resize every image so that its shorter side is N pixels, with its aspect ratio kept."""
    side = name.removeprefix("shorter-")
    if side == name or not side.isdecimal() or int(side) < 1:
        return None
    return Protocol(
        name=name,
        summary=f"image with its shorter side at {side}, logits to the label file's own size",
        fit=(int(side), None),
    )
