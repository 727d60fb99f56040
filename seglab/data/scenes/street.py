"""The street as a plan in metres, and the stage on which every layout step sets things for painting."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seglab.data.scenes.canvas import Camera, Canvas, Floats, Light, Rng
from seglab.labels import VOID


@dataclass(frozen=True)
class Thing:
    """Something to paint: ``order_m`` sorts far to near; ``look`` is the point whose visibility counts."""

    order_m: float
    paint: Callable[[], None]
    noun: str = ""
    label: int = VOID
    look: tuple[float, float, float] = (0.0, 0.0, 1.0)


@dataclass
class Street:
    """Layout in metres: half the road's width, pavements, side streets, things, and outlines that cast shadows."""

    half: float
    pave: tuple[float, float]
    parking: tuple[bool, bool]
    side_streets: list[tuple[int, float, float]] = field(default_factory=list)
    lawns: list[tuple[int, float, float, float]] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    shadows: list[tuple[Floats, float]] = field(default_factory=list)  # (N, 2) footprint and height
    contacts: list[Floats] = field(default_factory=list)


@dataclass
class Stage:
    """Everything a layout step needs."""

    canvas: Canvas
    camera: Camera
    light: Light
    rng: Rng
    street: Street

    def add(self, order_m: float, paint: Callable[..., None], *args: Any) -> None:
        self.street.things.append(Thing(order_m, lambda: paint(self.canvas, self.camera, self.light, *args)))

    def add_seen(
        self, noun: str, label: int, look: tuple[float, float, float], paint: Callable[..., None], *args: Any
    ) -> None:
        thing = Thing(look[2], lambda: paint(self.canvas, self.camera, self.light, *args), noun, label, look)
        self.street.things.append(thing)

    def child(self) -> Rng:
        """A generator of its own for each thing, so that painting order does not matter."""
        return np.random.default_rng(int(self.rng.integers(1 << 62)))


def make_street(rng: Rng, canvas: Canvas) -> tuple[Street, Camera]:
    """Draw the street's widths and bend, and where the camera stands in its left lane."""
    parking = (bool(rng.random() < 0.38), bool(rng.random() < 0.42))
    half = float(rng.uniform(3.2, 4.6)) + 0.7 * sum(parking)
    focal = canvas.height * float(rng.uniform(1.0, 1.35))
    u0 = canvas.width * float(rng.uniform(0.36, 0.64))
    v0 = canvas.height * float(rng.uniform(0.4, 0.56))
    bend = float(rng.normal(0, 0.0011)) if rng.random() < 0.75 else 0.0
    lateral = -half * 0.5 + 0.9 * parking[0] * 0.5 + float(rng.uniform(-0.4, 0.8))
    camera = Camera(focal, u0, v0, float(rng.uniform(1.2, 1.75)), lateral, bend)
    return Street(half, (float(rng.uniform(1.8, 4.6)), float(rng.uniform(1.8, 4.6))), parking), camera
