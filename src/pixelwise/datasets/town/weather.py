"""Weather and layout of a street: its light, and the arrangement of its two sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelwise.datasets.town.canvas import RGB, jitter, scale


@dataclass(frozen=True)
class Weather:
    """Light of a scene.

    Attributes:
        zenith: Colour of the sky overhead.
        haze: Colour of the sky at the horizon, to which distant things fade.
        visibility: Distance in metres at which a colour is about two thirds haze.
        gain: Per-channel factor on the finished image.
        shadow: Darkness of shadows, 0..1.
        noise: Standard deviation of the camera noise in grey levels.
        cloud: Cloud cover of the sky, 0..1.
    """

    zenith: RGB
    haze: RGB
    visibility: float
    gain: RGB
    shadow: float
    noise: float
    cloud: float


@dataclass(frozen=True)
class Side:
    """One side of the street.

    Attributes:
        sign: -1 for the left side, 1 for the right.
        kerb: Distance of the kerb from the camera's axis in metres.
        walk: Width of the pavement in metres.
        kind: Surroundings behind the pavement: `city`, `houses` or `park`.
        crossing: Near and far distance of a side street in metres; None without one.
    """

    sign: int
    kerb: float
    walk: float
    kind: str
    crossing: tuple[float, float] | None

    @property
    def edge(self) -> float:
        """Distance of the outer edge of the pavement from the camera's axis in metres."""
        return self.kerb + self.walk

    def is_open(self, near: float, far: float) -> bool:
        """Whether the stretch from `near` to `far` touches the side street."""
        return self.crossing is not None and near < self.crossing[1] and far > self.crossing[0]


def draw_weather(rng: np.random.Generator) -> Weather:
    """Draw random weather: clear, overcast, low sun, dusk or fog."""
    kind = rng.choice(5, p=(0.36, 0.28, 0.16, 0.12, 0.08))
    zenith, haze, visibility, gain, shadow, cloud = (
        ((96, 146, 206), (196, 212, 226), 170, (1.0, 1.0, 1.0), 0.45, 0.5),
        ((176, 182, 190), (204, 206, 208), 120, (0.92, 0.94, 0.97), 0.15, 0.9),
        ((118, 146, 186), (236, 206, 168), 110, (1.08, 0.97, 0.82), 0.55, 0.4),
        ((70, 88, 128), (170, 146, 140), 90, (0.68, 0.66, 0.74), 0.2, 0.6),
        ((188, 190, 192), (196, 198, 200), 34, (0.95, 0.96, 0.98), 0.05, 0.2),
    )[kind]
    exposure = rng.uniform(0.78, 1.18)
    return Weather(
        zenith=jitter(rng, zenith, 0.12),
        haze=jitter(rng, haze, 0.06),
        visibility=visibility * rng.uniform(0.7, 1.4),
        gain=scale(gain, exposure),
        shadow=shadow * rng.uniform(0.6, 1.1),
        noise=rng.uniform(2, 5) + (2.5 if kind == 3 else 0),
        cloud=cloud * rng.uniform(0.3, 1),
    )


def draw_side(rng: np.random.Generator, sign: int, kerb: float) -> Side:
    """Lay out one side of a street at random; `sign` is -1 for the left side, 1 for the right, `kerb` is in metres."""
    near = rng.uniform(9, 40)
    crossing = (near, near + rng.uniform(6, 10)) if rng.random() < 0.4 else None
    kind = ("city", "houses", "park")[int(rng.choice(3, p=(0.48, 0.32, 0.2)))]
    return Side(sign, kerb, rng.uniform(2.0, 5.2), kind, crossing)
