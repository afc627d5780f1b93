"""A synthetic town: street scenes with exact labels in CamVid's 11 classes, generated from a seed.

Tests, the demonstration and first experiments need images without a download. Every scene depends on
(seed, index, size) alone. Light, weather, clutter and occlusion vary enough that a network has to learn, and thin or
rare objects (poles, signs, bicyclists) stay hard.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.layouts.description import write_description
from pixelwise.datasets.town.canvas import LABEL, Camera, Canvas
from pixelwise.datasets.town.street import draw_street
from pixelwise.datasets.town.weather import Weather, draw_weather
from pixelwise.errors import DataError
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import building_folder, printable, sha256_bytes
from pixelwise.storage.cache_kinds import TOWN
from pixelwise.storage.caches import building_entry, entry_path, intact_entry
from pixelwise.storage.locks import writing_alone

SPLITS = ("train", "val", "test")
# Offset between the scene indices of the splits, so that a different number of images in one split changes no other.
_SPLIT_STRIDE = 1_000_000
_OVERSAMPLING = 2
# Roughness of surfaces by raw id, as a standard deviation in grey levels.
_TEXTURE = np.zeros(256, np.float32)
for _name, _deviation in (("building", 5), ("road", 4), ("pavement", 6), ("tree", 15), ("fence", 7), ("void", 8)):
    _TEXTURE[LABEL[_name]] = _deviation


def draw_scene(seed: int, index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one street scene.

    Args:
        seed: Seed of the town.
        index: Index of the scene, 0 or more.
        size: (height, width), each 16 or more.

    Returns:
        uint8 (H, W, 3) RGB and uint8 (H, W) raw ids 0..11 (11 = void); identical for identical arguments and versions
        of NumPy and OpenCV.
    """
    rng = np.random.default_rng([seed, index])
    height, width = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    weather = draw_weather(rng)
    camera = Camera(
        horizon=height * rng.uniform(0.4, 0.56),
        center=width * rng.uniform(0.36, 0.64),
        focal=max(height, width) * rng.uniform(0.75, 1.1),
        eye=rng.uniform(1.25, 1.9),
        bend=rng.normal(0, 0.0007),
    )
    canvas = Canvas((height, width), camera, haze=weather.haze, visibility=weather.visibility)
    draw_street(canvas, rng, weather)
    image = cv2.resize(canvas.image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    labels = np.ascontiguousarray(canvas.labels[1::_OVERSAMPLING, 1::_OVERSAMPLING])
    return _develop(image, labels, rng, weather), labels


def write_town(root: Path, data: Data, *, observer: Observer = SILENT) -> Path:
    """Draw a town into the folder `root`, completely or not at all.

    Writes `images/{split}/NNNN.png`, palette masks `masks/{split}/NNNN.png` with raw ids 0..11, and a `dataset.toml`,
    so that the folder also opens as custom data.

    Args:
        root: Folder to create; it must not exist.
        data: Data section of a recipe, of which `town_images`, `town_size` and `town_seed` are used.
        observer: Receives the number of drawn scenes.

    Returns:
        `root`.

    Raises:
        DataError: D225, `root` exists.
        RunLockedError: L701, another process writes to `root`.
        ResourceError: S601, the disk is full.
    """
    with writing_alone(root):
        if root.exists():
            raise DataError("D225", f"{printable(root)}: already exists", "choose a folder that does not exist")
        with building_folder(root, needed_bytes=_needed_bytes(data)) as unfinished:
            _write_scenes(unfinished, data, observer)
    return root


def cached_town(data: Data) -> Path:
    """The town's folder in the cache; the town is drawn if it is missing or incomplete."""
    options = msgspec.json.encode((TOWN.version, data.town_images, data.town_size, data.town_seed))
    folder = entry_path(TOWN, sha256_bytes(options)[:16])
    if not intact_entry(folder):
        with building_entry(TOWN, folder, needed_bytes=_needed_bytes(data)) as unfinished:
            _write_scenes(unfinished, data, SILENT)
    return folder


def _needed_bytes(data: Data) -> int:
    return sum(data.town_images) * data.town_size[0] * data.town_size[1] * 4


def _write_scenes(root: Path, data: Data, observer: Observer) -> None:
    """Write the images and masks of all splits, then the description, into a folder."""
    observer.phase("drawing the town")
    palette = np.array([*CAMVID.palette, CAMVID.unlabelled_color], np.uint8)
    for number, (split, count) in enumerate(zip(SPLITS, data.town_images, strict=True)):
        images, masks = root / "images" / split, root / "masks" / split
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for index in range(count):
            image, labels = draw_scene(data.town_seed, number * _SPLIT_STRIDE + index, data.town_size)
            Image.fromarray(image).save(images / f"{index:04d}.png", compress_level=1)
            mask = Image.fromarray(labels)
            mask.putpalette(palette.tobytes())
            mask.save(masks / f"{index:04d}.png", optimize=False)
            observer.progress(sum(data.town_images[:number]) + index + 1, sum(data.town_images))
    write_description(root, CAMVID.names, CAMVID.palette, ignore=LABEL["void"])


def _develop(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator, weather: Weather) -> np.ndarray:
    """Turn the flat colours into a photograph: surface texture, light, lens and sensor."""
    height, width = labels.shape
    fine = rng.standard_normal((height, width), np.float32)
    coarse = cv2.resize(rng.standard_normal((height // 6 + 2, width // 6 + 2), np.float32), (width, height))
    photo = image.astype(np.float32)
    photo += ((0.75 * fine + 0.8 * coarse) * _TEXTURE[labels])[..., None]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    slope = rng.uniform(-0.12, 0.12)
    light = 1 + slope * across - rng.uniform(0, 0.14) * (across**2 + down**2)
    photo *= light[..., None] * np.array(weather.gain, np.float32)
    photo = cv2.GaussianBlur(photo, (3, 3), rng.uniform(0.3, 0.8))
    photo += rng.standard_normal((height, width, 1), np.float32) * weather.noise
    photo += rng.standard_normal((height, width, 3), np.float32) * (0.4 * weather.noise)
    return np.clip(photo + 0.5, 0, 255).astype(np.uint8)
