"""Procedural street scenes with exact masks: seeded, made on the CPU in a fraction of a second, free of any licence.

A scene is laid out in metres along a bending street, painted far to near at twice its size, then looked at through a
plain camera: haze, glow, softness, noise, JPEG. Colour and class come from the same draw calls.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from seglab.data.scenes.canvas import Canvas, Image
from seglab.data.scenes.description import describe
from seglab.data.scenes.ground import paint_ground
from seglab.data.scenes.layout import place_furniture, place_lots, place_near_car, place_people, place_traffic
from seglab.data.scenes.photograph import majority, take_photo
from seglab.data.scenes.sky import make_light, paint_sky
from seglab.data.scenes.street import Stage, make_street
from seglab.data.scenes.vehicles import bonnet

TimeOfDay = Literal["day", "golden hour", "dusk", "night"]
Weather = Literal["clear", "overcast", "rain", "fog"]
_SUPERSAMPLE = 2


@dataclass(frozen=True)
class SceneOptions:
    """What to force; ``None`` leaves the choice to the seed."""

    time_of_day: TimeOfDay | None = None
    weather: Weather | None = None

    def __post_init__(self) -> None:
        for value, choices in ((self.time_of_day, get_args(TimeOfDay)), (self.weather, get_args(Weather))):
            if value is not None and value not in choices:
                raise ValueError(
                    f"expected one of {', '.join(choices)}, got {value!r}; leave it out to draw from the seed"
                )


@dataclass(frozen=True)
class Scene:
    """A street scene: ``(H, W, 3)`` uint8 RGB, ``(H, W)`` uint8 ids of camvid-11 (255: void), and a sentence on it."""

    image: Image
    mask: Image
    seed: int
    description: str


@dataclass(frozen=True)
class Scenes:
    """A data set of ``count`` scenes, seeds ``seed_offset`` upwards; an item is ``(image, mask)``."""

    count: int
    seed_offset: int = 0
    height: int = 360
    width: int = 480

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Image, Image]:
        if not 0 <= index < self.count:
            raise IndexError(f"expected an index in 0..{self.count - 1}, got {index}")
        scene = make_scene(self.seed_offset + index, self.height, self.width)
        return scene.image, scene.mask


def make_scene(seed: int, height: int = 360, width: int = 480, options: SceneOptions | None = None) -> Scene:
    """Make the street scene of a seed.

    Args:
        seed: any integer >= 0; the same seed, size and options give the same bytes.
        height: image height in pixels, at least 32.
        width: image width in pixels, at least 32.
        options: time of day or weather to force.

    Returns:
        The scene. Its mask is exact: the majority of the supersampled classes under each pixel.

    Raises:
        ValueError: for a size below 32 pixels or a negative seed.
    """
    if min(height, width) < 32 or seed < 0:
        raise ValueError(f"expected a seed >= 0 and at least 32x32 pixels, got seed {seed} and {height}x{width}")
    rng = np.random.default_rng([seed, 0x5CE9E])
    time_of_day: TimeOfDay = rng.choice(get_args(TimeOfDay), p=[0.62, 0.15, 0.14, 0.09])
    weather: Weather = rng.choice(get_args(Weather), p=[0.44, 0.34, 0.12, 0.1])
    options = options or SceneOptions()
    time_of_day, weather = options.time_of_day or time_of_day, options.weather or weather
    light = make_light(rng, time_of_day, weather)
    canvas = Canvas(height * _SUPERSAMPLE, width * _SUPERSAMPLE)
    street, camera = make_street(rng, canvas)
    stage = Stage(canvas, camera, light, np.random.default_rng([seed, 1]), street)
    for step in (place_lots, place_furniture, place_traffic, place_people, place_near_car):
        step(stage)
    paint_sky(canvas, camera, light, rng, time_of_day, weather)
    paint_ground(stage, weather)
    for thing in sorted(street.things, key=lambda t: -t.order_m):
        thing.paint()
    if (own := np.random.default_rng([seed, 2])).random() < 0.2:
        bonnet(canvas, light, own)
    image = take_photo(canvas, camera, light, rng, time_of_day, weather)
    mask = majority(canvas.mask)
    return Scene(image, mask, seed, describe(stage, mask, time_of_day, weather))
