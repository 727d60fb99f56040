"""Vehicles as solids: an outline of each kind drawn out to its width, with glass, lamps and wheels; our own bonnet."""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from seglab.data.scenes.canvas import CAR, NEAR_M, Camera, Canvas, Floats, Light, Rng
from seglab.labels import VOID

# Vehicles: outline as (metres from the rear, metres up), the segments that are glass, half width, belt and glass posts.
OUTLINES: dict[str, list[tuple[float, float]]] = {
    "hatchback": [
        (0.12, 0.26), (0.02, 0.42), (0.0, 0.62), (0.05, 0.86), (0.13, 0.96), (0.48, 1.38), (0.7, 1.47),
        (1.3, 1.51), (1.9, 1.49), (2.25, 1.42), (3.02, 1.0), (3.45, 0.89), (3.7, 0.77), (3.83, 0.6),
        (3.86, 0.42), (3.78, 0.26)
    ],
    "saloon": [
        (0.12, 0.28), (0.02, 0.45), (0.0, 0.7), (0.06, 0.95), (0.2, 1.02), (0.8, 1.05), (1.4, 1.39),
        (1.75, 1.45), (2.2, 1.45), (2.6, 1.4), (3.35, 1.0), (3.95, 0.9), (4.25, 0.78), (4.38, 0.6), (4.4, 0.42),
        (4.3, 0.27)
    ],
    "estate": [
        (0.12, 0.3), (0.02, 0.45), (0.0, 0.75), (0.03, 1.0), (0.08, 1.1), (0.34, 1.58), (0.55, 1.68),
        (1.3, 1.74), (2.1, 1.72), (2.5, 1.66), (3.25, 1.14), (3.9, 1.04), (4.15, 0.92), (4.28, 0.7), (4.3, 0.45),
        (4.2, 0.3)
    ],
    "van": [
        (0.08, 0.3), (0.0, 0.45), (0.0, 0.8), (0.0, 1.1), (0.04, 1.2), (0.1, 1.95), (0.2, 2.06), (1.5, 2.14),
        (3.2, 2.12), (3.5, 2.05), (4.2, 1.32), (4.6, 1.12), (4.78, 0.98), (4.86, 0.7), (4.86, 0.45), (4.8, 0.3)
    ],
    "bus": [
        (0.05, 0.3), (0.0, 0.5), (0.0, 0.9), (0.0, 1.2), (0.0, 1.3), (0.08, 2.8), (0.2, 3.05), (1.0, 3.12),
        (9.0, 3.12), (9.85, 3.0), (10.02, 1.2), (10.05, 1.0), (10.05, 0.9), (10.05, 0.7), (10.03, 0.45),
        (10.0, 0.3)
    ],
}  # fmt: skip
_GLASS = (4, 9)  # rear window and windscreen: the segments of every outline that start at these points
HALF_WIDTH = {"hatchback": 0.84, "saloon": 0.88, "estate": 0.92, "van": 0.98, "bus": 1.25}
_PAINTS = [
    ((205, 208, 210), 0.2), ((160, 164, 168), 0.2), ((38, 40, 46), 0.18), ((92, 96, 102), 0.12), ((150, 28, 30), 0.1),
    ((34, 60, 118), 0.1), ((24, 72, 58), 0.04), ((180, 168, 130), 0.03), ((206, 170, 40), 0.03),
]  # fmt: skip


def vehicle(
    canvas: Canvas, camera: Camera, light: Light, rng: Rng, kind: str, centre: tuple[float, float], heading: float
) -> None:
    """Draw a vehicle centred at street coordinates (x, z); heading 0 drives away from the camera, pi towards it."""
    outline, half = np.array(OUTLINES[kind], np.float32), HALF_WIDTH[kind]
    paint = np.array(_PAINTS[int(rng.choice(len(_PAINTS), p=[p for _, p in _PAINTS]))][0], np.float32)
    if kind == "bus":
        paint = np.array(rng.choice([[168, 24, 28], [40, 70, 130], [226, 226, 220], [70, 110, 60]]), np.float32)
    paint = paint * rng.uniform(0.85, 1.1)
    length, roof = float(outline[:, 0].max()), float(outline[:, 1].max())
    x, _, z = camera.at(centre[0], 0, centre[1])
    forward = np.array([math.sin(heading), 0, math.cos(heading)], np.float32)
    right = np.array([math.cos(heading), 0, -math.sin(heading)], np.float32)
    eye = np.array([camera.lateral, camera.height, 0], np.float32)
    belt, lean = float(outline[_GLASS[0], 1]), 0.0 if kind == "bus" else 0.17
    axes, origin = np.array([forward, right, [0, 1, 0]], np.float32), np.array([x, 0, z], np.float32)

    def world(along: Any, across: Any, up: Any) -> Floats:
        p = np.empty((max(np.size(along), np.size(across), np.size(up)), 3), np.float32)
        p[:, 0], p[:, 1], p[:, 2] = along, across, up
        p[:, 0] -= length / 2
        p[:, 1] *= (
            1 - 0.11 * (np.abs(p[:, 0]) / (length / 2)) ** 6 - lean * np.clip((p[:, 2] - belt) / (roof - belt), 0, 1)
        )
        out: Floats = p @ axes + origin
        return out

    def draw(points: Floats, colour: Any, fade: tuple[float, float] | None = None) -> None:
        canvas.polygon(camera.project(points), colour, CAR, max(z, 1.0), fade)

    middle, reach = camera.project([(x, 0, z)])[0, 0], length * camera.focal_px / z
    if not -reach < middle < canvas.width + reach or z < NEAR_M:
        return
    side = 1.0 if float((eye - world(length / 2, 0, 0.8)[0]) @ right) > 0 else -1.0
    for along in (0.75, length - 0.8):
        for across in (-half + 0.02, half - 0.25):  # tyres under the body
            draw(world([along] * 4, [across, across + 0.22, across + 0.22, across], [0, 0, 0.35, 0.35]), (14, 14, 15))
    draw(world([0.2, length - 0.2, length - 0.2, 0.2], half * 0.95 * side, [0.15, 0.15, 0.5, 0.5]), (12, 12, 13))
    faces, left, other = [], world(outline[:, 0], -half, outline[:, 1]), world(outline[:, 0], half, outline[:, 1])
    for i in range(len(outline) - 1):
        (l0, h0), (l1, h1) = outline[i], outline[i + 1]
        corners = np.stack([left[i], left[i + 1], other[i + 1], other[i]])
        normal = (h0 - h1) * forward + (l1 - l0) * axes[2]
        view = eye - corners.mean(0)
        if float(normal @ view) > 0:
            faces.append((float(np.linalg.norm(view)), i, corners, normal))
    for _, i, corners, normal in sorted(faces, key=lambda f: -f[0]):
        shine = light.sky * 0.16 * max(0.0, float(normal[1]) / (float(np.linalg.norm(normal)) + 1e-6))
        draw(corners, paint * light.on(normal) + shine, (1.06, 0.86))
        if i in _GLASS and not (kind == "van" and i == 4 and rng.random() < 0.5):
            mid = corners.mean(0)
            draw(mid + (corners - mid) * 0.87, light.glass * rng.uniform(0.1, 0.34) + 10, (1.45, 0.55))
    if abs(float((eye - world(length / 2, side * half, 0.8)[0]) @ right)) > 0.05:
        _flank(draw, world, outline, kind, half * side, paint, light, light.on(right * side), rng, z < 28)
    rear_seen = float((eye - np.array([x, 0, z])) @ forward) < 0
    _lamps(canvas, camera, draw, world, light, rng, half, length, rear_seen, kind)


def _flank(
    draw: Any,
    world: Any,
    outline: Floats,
    kind: str,
    half: float,
    paint: Floats,
    light: Light,
    face: Floats,
    rng: Rng,
    fine: bool,
) -> None:
    length, (rear, front) = float(outline[:, 0].max()), _GLASS
    draw(world(outline[:, 0], half, outline[:, 1]), paint * face + light.sky * 0.05, (1.12, 0.72))
    belt, top = float(max(outline[rear, 1], outline[front + 1, 1])), float(outline[:, 1].max()) - 0.1
    l0, l1 = float(outline[rear + 1, 0]) - 0.1, float(outline[front, 0]) + 0.12
    l2 = float(outline[front + 1, 0]) - 0.12
    glass = light.glass * rng.uniform(0.08, 0.3) + 8
    if kind != "van":
        posts = np.linspace(l0, l1, 8 if kind == "bus" else 3)
        for a, b in pairwise(posts):
            draw(
                world([a + 0.04, b - 0.04, b - 0.04, a + 0.04], half * 1.01, [belt, belt, top, top]), glass, (1.3, 0.7)
            )
    draw(world([l1, l2, l1], half * 1.01, [belt, belt, top]), glass)
    seam = paint * face * 0.55
    for at in (l0 + 0.1, (l0 + l2) / 2, l2) if fine else ():
        draw(world([at, at + 0.03, at + 0.03, at], half * 1.01, [0.35, 0.35, belt, belt]), seam)
    draw(world([0.1, length - 0.1, length - 0.1, 0.1], half * 1.01, [0.28, 0.28, 0.36, 0.36]), paint * face * 0.35)
    ring = np.linspace(0, 2 * math.pi, 20 if fine else 9, endpoint=False)
    for along in (0.75, length - 0.8):
        for radius, colour in (
            (0.37, (10, 10, 11)),
            (0.31, (26, 26, 27)),
            (0.2, (132, 134, 138) * face),
            (0.07, (60, 60, 62) * face),
        ):
            if not fine and radius in (0.37, 0.07):
                continue
            up = 0.31 + np.sin(ring) * radius
            draw(world(along + np.cos(ring) * radius, half * 1.02, np.maximum(up, 0)), colour)


def _lamps(
    canvas: Canvas, camera: Camera, draw: Any, world: Any, light: Light, rng: Rng, half: float, length: float,
    rear: bool, kind: str,
) -> None:  # fmt: skip
    along = -0.03 if rear else length + 0.03
    level = 0.72 if kind in ("hatchback", "saloon") else 0.95
    face = light.on(world(0, 0, 0)[0] - world(1 if rear else -1, 0, 0)[0])
    on = light.night > 0.3 or rng.random() < 0.15

    def plate(across: float, up: float, w: float, h: float, colour: Any) -> None:
        draw(world(along, [across - w, across + w, across + w, across - w], [up - h, up - h, up + h, up + h]), colour)

    if half < 1:
        plate(0, 0.34, half * 0.84, 0.07, np.array([34, 34, 36]) * face)
    plate(
        0, 0.6 if rear else 0.42, 0.26, 0.055, (np.array([226, 186, 40]) if rear else np.array([228, 228, 222])) * face
    )
    if not rear:
        plate(0, 0.62, half * 0.5, 0.06, np.array([20, 20, 22]) * face)
    for sign in (-1, 1):
        tall = rear and kind in ("estate", "van", "hatchback")
        across = sign * (half - (0.17 if tall else 0.2))
        colour = np.array([150, 22, 20]) if rear else np.array([196, 200, 200])
        if not on and not rear:
            plate(across, level, 0.15, 0.09, np.array([60, 62, 64]) * face)
        plate(across, level, 0.07 if tall else 0.13, 0.14 if tall else 0.07, colour * (face if not on else 1.4))
        if on:
            point = world(along, across, level)
            depth = float(max(point[0, 2], 1.0))
            radius = camera.focal_px / depth * (0.3 if rear else 0.55)
            glow = np.array([255, 40, 24]) if rear else np.array([255, 240, 205])
            canvas.glow(camera.project(point)[0], radius, depth, glow * (0.25 + 0.65 * light.night))


def bonnet(canvas: Canvas, light: Light, rng: Rng) -> None:
    """Draw the front of the car that carries the camera; its pixels are void."""
    h, w = canvas.height, canvas.width
    rise = float(rng.uniform(0.03, 0.08)) * h
    t = np.linspace(-0.1, 1.1, 24)
    edge = np.stack([t * w, h - rise * (1 - (2 * t - 1) ** 2 * 0.7)], 1)
    outline = np.concatenate([edge, [[w * 1.1, h + 9], [-0.1 * w, h + 9]]]).astype(np.float32)
    canvas.polygon(outline, np.array([40, 42, 46]) * light.on((0, 1, 0)) + light.sky * 0.12, VOID, 1.0, (1.5, 0.6))
