"""Houses along the street, with walls, windows, doors, shop fronts, roofs and chimneys, and the skyline at its end."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.data.scenes.canvas import BUILDING, FAR_M, NEAR_M, Camera, Canvas, Floats, Light, Rng, noise_patch

_WALLS: dict[str, list[tuple[int, int, int]]] = {
    "red": [(150, 82, 62), (132, 74, 60), (160, 96, 76)],
    "yellow": [(182, 158, 112), (165, 140, 100), (196, 174, 130)],
    "brown": [(112, 86, 66), (94, 76, 62), (128, 104, 84)],
    "render": [(222, 218, 208), (232, 226, 204), (198, 206, 210), (214, 190, 176), (188, 196, 176), (240, 240, 238)],
    "concrete": [(150, 148, 142), (172, 168, 160), (126, 126, 124)],
    "glass": [(92, 104, 112), (110, 116, 116)],
}
_SHOP_COLOURS = [
    (30, 60, 130),
    (150, 26, 30),
    (24, 90, 56),
    (225, 200, 60),
    (36, 36, 40),
    (190, 190, 186),
    (96, 30, 84),
    (20, 120, 140),
]


def building(
    canvas: Canvas, camera: Camera, light: Light, rng: Rng, side: int, x: float, z: tuple[float, float], height: float,
    shop: bool, end_m: float,
) -> None:  # fmt: skip
    """Draw a house at ``side`` (-1 left, 1 right) with its front at ``x``, from ``z[0]`` to ``z[1]``."""
    z0, z1 = max(z[0], NEAR_M), z[1]
    depths = [z0, z1, z1, z0]
    ppm = float(np.clip(camera.focal_px / z0, 5, 28))
    face = light.on((-side, 0, 0))
    front = camera.street([(x, height, z0), (x, height, z1), (x, 0, z1), (x, 0, z0)])
    if (front[:, 0] * side).min() > (canvas.width if side > 0 else 0):
        return
    whole = facade(rng, (z[1] - z[0], height), ppm, face, light, shop)
    visible = whole[:, int((z0 - z[0]) / (z[1] - z[0]) * whole.shape[1]) :]
    end = facade(rng, (end_m, height), ppm * 0.6, light.on((0, 0, -1)), light, False) if end_m > 12 else None
    flat = rng.random() < 0.3
    rise, run = (0.0, 5.0) if flat else (float(rng.uniform(1.8, 3.4)), float(rng.uniform(3.5, 5.0)))
    slate = np.array(rng.choice([[74, 76, 82], [96, 66, 54], [84, 74, 66]]), np.float32)
    if end is None:
        tint = whole[whole.shape[0] // 8, :2].mean(0) / np.maximum(face, 0.05) * light.on((0, 0, -1))
        h, w = max(4, int(height * ppm * 0.5)), max(4, int(end_m * ppm * 0.5))
        end = np.clip(tint * (1 + 0.08 * noise_patch(rng, h, w, 0.7))[..., None], 0, 255).astype(np.uint8)
    if not flat:
        gable = camera.street([(x, height, z0), (x + side * run, height + rise, z0), (x + side * 2 * run, height, z0)])
        canvas.polygon(gable, end[0].mean(0), BUILDING, z0)
        slope = camera.street([(x - side * 0.3, height - 0.1, z0), (x - side * 0.3, height - 0.1, z1),
                               (x + side * run, height + rise, z1), (x + side * run, height + rise, z0)])  # fmt: skip
        canvas.polygon(slope, slate * light.on((-side * rise, run, 0)), BUILDING, (z0 + z1) / 2, (0.9, 1.08))
        for at in (z0 + 0.4, z1 - 0.6) if rng.random() < 0.7 else ():
            _chimney(canvas, camera, light, side, x + side * run * 0.9, height + rise * 0.8, at)
    corner, outer = (x, z0), (x + side * end_m, z0)
    wall = camera.street([(outer[0], height, z0), (corner[0], height, z0), (corner[0], 0, z0), (outer[0], 0, z0)])
    canvas.quad(wall, end, BUILDING, [z0] * 4)
    canvas.quad(front, visible, BUILDING, depths)
    if flat:
        cap = camera.street([(x - side * 0.2, height + 0.35, z0), (x - side * 0.2, height + 0.35, z1),
                             (x - side * 0.2, height - 0.1, z1), (x - side * 0.2, height - 0.1, z0)])  # fmt: skip
        canvas.polygon(cap, np.array([168, 162, 152]) * face, BUILDING, (z0 + z1) / 2)


def _chimney(canvas: Canvas, camera: Camera, light: Light, side: int, x: float, y: float, z: float) -> None:
    brick = np.array([128, 84, 64], np.float32)
    front = camera.street([(x, y - 0.8, z), (x, y + 1.6, z), (x + side, y + 1.6, z), (x + side, y - 0.8, z)])
    flank = camera.street([(x, y - 0.8, z), (x, y + 1.6, z), (x, y + 1.6, z + 1.2), (x, y - 0.8, z + 1.2)])
    canvas.polygon(flank, brick * light.on((-side, 0, 0)), BUILDING, z)
    canvas.polygon(front, brick * light.on((0, 0, -1)), BUILDING, z)
    for k in (0.25, 0.7):
        pot = camera.street([(x + side * k, y + 1.5, z), (x + side * k, y + 2.0, z)])
        canvas.stroke(pot[0], pot[1], camera.focal_px / z * 0.22, (140, 92, 66) * light.ambient, BUILDING, z)


def facade(
    rng: Rng, size_m: tuple[float, float], ppm: float, light: Floats, sun: Light, shop: bool
) -> NDArray[np.uint8]:
    """Paint a lit facade of (width, height) metres at ``ppm`` pixels per metre: wall, windows, door or shop front."""
    w, h = max(8, int(size_m[0] * ppm)), max(8, int(size_m[1] * ppm))
    style = str(
        rng.choice(["red", "yellow", "brown", "render", "concrete", "glass"], p=[0.24, 0.24, 0.16, 0.2, 0.1, 0.06])
    )
    base = np.array(_WALLS[style][int(rng.integers(len(_WALLS[style])))], np.float32) * rng.uniform(0.8, 1.1)
    rough = 1 + 0.09 * noise_patch(rng, h, w, 1.3, max(1.0, ppm / 10)) + 0.05 * noise_patch(rng, h, w, 0.3)
    if style in ("red", "yellow", "brown"):
        bricks = rng.standard_normal((max(1, int(size_m[1] * 9)), max(1, int(size_m[0] * 4.5)))).astype(np.float32)
        rough = rough + 0.09 * cv2.resize(bricks, (w, h), interpolation=cv2.INTER_AREA)
    rough[: max(1, int(0.5 * ppm))] *= 0.8  # shade under the eaves
    rough[-max(1, int(0.7 * ppm)) :] *= 0.85
    stains = noise_patch(rng, 4, w, 0.8)[:1]
    wall: NDArray[np.uint8] = np.clip(
        base * light * np.clip(rough * (1 + 0.05 * stains), 0.4, 1.5)[..., None], 0, 255
    ).astype(np.uint8)
    trim = np.clip(
        np.array(rng.choice([[205, 200, 190], [170, 160, 145], [120, 115, 108], [225, 225, 222]])) * light, 0, 255
    )
    ground = 3.3 if shop else 2.9
    floors = max(1, int((size_m[1] - ground) / 2.75))
    pane_w = float(rng.uniform(0.9, 1.3)) if style != "concrete" else 2.0
    columns = max(1, int(size_m[0] / (pane_w + rng.uniform(0.9, 1.9))))
    cell, first = size_m[0] / columns, (size_m[1] - ground) / floors
    for row in range(floors):
        for column in range(columns):
            x, y = (column + 0.5) * cell - pane_w / 2, row * first + first * 0.26
            _window(wall, rng, (x, y, pane_w, first * 0.52), ppm, sun, trim)
    for y in [row * first for row in range(1, floors)] if style == "concrete" or rng.random() < 0.25 else []:
        _box(wall, (0, y - 0.1, size_m[0], 0.2), ppm, trim * 0.8)
    if shop:
        _shop_front(wall, rng, size_m, ground, ppm, light, sun)
    else:
        _house_front(wall, rng, size_m, cell, columns, ppm, light, sun, trim)
    if rng.random() < 0.6:
        _box(wall, (0.15, 0, 0.12, size_m[1]), ppm, np.array([40, 40, 42]) * light)  # drain pipe
    return wall


def _box(texture: NDArray[np.uint8], box_m: tuple[float, float, float, float], ppm: float, colour: Any) -> None:
    x, y, w, h = (round(v * ppm) for v in box_m)
    cv2.rectangle(texture, (x, y), (x + max(w, 1) - 1, y + max(h, 1) - 1), np.asarray(colour).tolist(), cv2.FILLED)


def _window(
    wall: NDArray[np.uint8], rng: Rng, box: tuple[float, float, float, float], ppm: float, sun: Light, trim: Any
) -> None:
    x, y, w, h = box
    lit, deep = rng.random() < 0.45 * sun.night, float(rng.uniform(0.05, 0.2))
    top = np.array([255, 205, 130]) * rng.uniform(0.5, 0.95) if lit else sun.sky * rng.uniform(0.1, 0.6) + 8
    low = top * 0.8 if lit else sun.sky * deep + 6
    curtain = float(rng.uniform(0.15, 0.35)) if rng.random() < 0.4 else 0.0
    fine = ppm > 9
    if fine:
        _box(wall, (x - 0.12, y - 0.18, w + 0.24, h + 0.3), ppm, trim * 0.75)
    _box(wall, (x - 0.06, y - 0.06, w + 0.12, h + 0.1), ppm, trim)
    _box(wall, (x, y, w, h * 0.5), ppm, top)
    _box(wall, (x, y + h * 0.5, w, h * 0.5), ppm, low)
    if not fine:
        return
    if curtain:
        _box(wall, (x, y, w * curtain, h), ppm, trim * 0.6)
    _box(wall, (x, y + h * 0.47, w, 0.07), ppm, trim)
    if w > 1.1:
        _box(wall, (x + w / 2 - 0.03, y, 0.06, h), ppm, trim)
    _box(wall, (x - 0.15, y + h + 0.05, w + 0.3, 0.12), ppm, trim * 1.1)


def _shop_front(
    wall: NDArray[np.uint8], rng: Rng, size_m: tuple[float, float], ground: float, ppm: float, light: Floats, sun: Light
) -> None:
    w, h = size_m
    paint = np.array(_SHOP_COLOURS[int(rng.integers(len(_SHOP_COLOURS)))]) * light
    top = h - ground
    _box(wall, (0, top, w, ground), ppm, paint * 0.8)
    glass = np.array([240, 204, 146]) * 0.7 if sun.night > 0.5 else sun.sky * 0.16 + 10
    for x in np.arange(0.25, w - 0.8, rng.uniform(1.5, 2.6)):
        _box(wall, (x, top + 0.85, 1.4, 1.95), ppm, glass * rng.uniform(0.6, 1.1))
        for _ in range(5):
            spot = np.array(rng.integers(30, 200, 3)) * (0.5 + 0.5 * sun.night) * np.minimum(light + 0.2, 1)
            _box(wall, (x + rng.uniform(0, 1.1), top + rng.uniform(1.2, 2.4), rng.uniform(0.1, 0.35), 0.3), ppm, spot)
        _box(wall, (x, top + 0.85, 1.4, 0.35), ppm, sun.sky * 0.4)
    _box(wall, (0, top + 0.15, w, 0.6), ppm, paint * 1.05)
    ink = 235 * light if paint.mean() < 120 * light.mean() else 40 * light
    for x in np.arange(w * 0.22, w * 0.75, 0.24):
        if rng.random() < 0.85:
            _box(wall, (x, top + 0.3, 0.14, 0.28), ppm, ink)
    _box(wall, (0, top + 0.75, w, 0.1), ppm, paint * 0.3)


def _house_front(
    wall: NDArray[np.uint8], rng: Rng, size_m: tuple[float, float], cell: float, columns: int, ppm: float,
    light: Floats, sun: Light, trim: Any,
) -> None:  # fmt: skip
    door = int(rng.integers(columns))
    for column in range(columns):
        x = (column + 0.5) * cell
        if column == door:
            paint = np.array(_SHOP_COLOURS[int(rng.integers(len(_SHOP_COLOURS)))]) * light
            _box(wall, (x - 0.62, size_m[1] - 2.5, 1.24, 2.5), ppm, trim)
            _box(wall, (x - 0.48, size_m[1] - 2.1, 0.96, 2.1), ppm, paint * 0.8)
            _box(wall, (x - 0.48, size_m[1] - 2.42, 0.96, 0.28), ppm, sun.sky * 0.25)
        else:
            _window(wall, rng, (x - 0.6, size_m[1] - 2.3, 1.2, 1.4), ppm, sun, trim)


def far_block(canvas: Canvas, camera: Camera, light: Light, rng: Rng, x: float, width: float, height: float) -> None:
    """Draw a house with its roof that closes the view."""
    z = FAR_M + 8
    corners = camera.street([(x, height, z), (x + width, height, z), (x + width, 0, z), (x, 0, z)])
    canvas.quad(corners, facade(rng, (width, height), 5, light.on((0, 0, -1)), light, False), BUILDING, [z] * 4)
    roof = camera.street(
        [(x - 0.3, height, z), (x + 1, height + 3, z), (x + width - 1, height + 3, z), (x + width + 0.3, height, z)]
    )
    canvas.polygon(roof, np.array([92, 78, 72]) * light.on((0, 0.8, -0.6)), BUILDING, z)


def far_spire(canvas: Canvas, camera: Camera, light: Light, x: float, height: float) -> None:
    """Draw a church spire behind the far end."""
    z, stone = FAR_M + 12, np.array([140, 126, 108]) * light.on((0, 0, -1))
    outline = [
        (x - 3, 0, z),
        (x - 3, height * 0.6, z),
        (x - 0.2, height, z),
        (x + 0.2, height, z),
        (x + 3, height * 0.6, z),
        (x + 3, 0, z),
    ]
    canvas.polygon(camera.street(outline), stone, BUILDING, z)
