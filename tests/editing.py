"""A data folder with three small images, for the label editor."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("sky", "road", "car")


def edited_data(root: Path, size: tuple[int, int] = (6, 8)) -> Path:
    """A folder of three grey images, all of whose pixels are sky except for the first, which is ignored."""
    values = np.zeros(size, np.uint8)
    values[0, 0] = 255
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), ord(name), np.uint8)).save(root / "images" / split / f"{name}.png")
        (root / "masks" / split / f"{name}.png").write_bytes(grey_png(values))
    (root / "dataset.toml").write_text(f"classes = {list(CLASSES)}\nignore = 255\n".replace("'", '"'))
    return root


def grey_png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def serve(data: Path, port: int) -> None:
    """Serve the pages for editing, with the token `t`, until the process ends."""
    import uvicorn

    from pixelwise.pages.app import application

    app = application([], "t", "pixelwise", data=[data], edit=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
