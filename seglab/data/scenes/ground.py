"""Road, pavements and lawns, shaded pixel by pixel: texture, markings, wear, slabs, kerbs, covers and cast shadows."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.data.scenes.canvas import NEAR_M, PAVEMENT, ROAD, TREE, Camera, Canvas, Floats, Image, Rng, noise_tile
from seglab.data.scenes.street import Stage, Street


def paint_ground(stage: Stage, weather: str) -> None:
    """Shade road, pavements, side streets and lawns per pixel: texture, markings, wear, slabs, kerbs, cast shadows."""
    canvas, camera, light, street, rng = stage.canvas, stage.camera, stage.light, stage.street, stage.rng
    top = (int(camera.v0) // 2 + 1) * 2
    x, z, _ = _grid(canvas, camera, top, 1)
    canvas.mask[top:] = _labels(street, x, z)
    canvas.nearness[top:] = 1 / z
    x, z, foot = _grid(canvas, camera, top, 2)  # the colours change slowly: half the grid is enough
    label = _labels(street, x, z)
    road = label == ROAD
    coarse = _world_noise(1.3, x, z, 4.0)
    fine = _world_noise(0.4, x, z, 34.0) * np.clip(0.03 / foot, 0.1, 1)
    asphalt = float(rng.uniform(92, 132)) * (1 + 0.035 * coarse + 0.075 * fine) + _wear(street, x, z, rng)
    slabs = float(rng.uniform(132, 166)) * (1 + 0.05 * coarse + 0.05 * fine) * _slabs(street, x, z, foot)
    kerb = np.abs(x) - street.half
    slabs *= np.where(
        (kerb > 0) & (kerb < 0.3), np.where(kerb < 0.14, np.float32(0.7), np.float32(1.16)), np.float32(1)
    )
    grey = np.where(road, asphalt, slabs)
    colour = grey[..., None] * np.where(
        road[..., None], np.array([0.97, 0.99, 1.02], np.float32), np.array([1.02, 1.0, 0.96], np.float32)
    )
    if (label == TREE).any():
        green = np.array([88, 104, 50], np.float32) * (1 + 0.16 * coarse + 0.22 * fine)[..., None]
        np.copyto(colour, green, where=(label == TREE)[..., None])
    paint, tint = _markings(street, rng, x, z, foot)
    paint = (paint * road * np.clip(0.82 + 0.16 * coarse - 0.2 * fine, 0, 0.95))[..., None]
    colour += (
        np.where(tint[..., None], np.array([205, 165, 60], np.float32), np.array([222, 222, 216], np.float32)) - colour
    ) * paint
    sun, contact = _shadow_maps(stage, top, len(x))
    beam = light.direct * max(0.0, float(light.sun[1])) ** 0.5
    shade = light.on((0, 1, 0)) - light.direct * max(0.0, float(light.sun[1]))
    colour *= shade * (1 - 0.66 * contact[..., None]) + beam * (1 - sun[..., None])
    colour *= 0.62 if weather == "rain" else 1.0
    size = (canvas.width, canvas.height - top)
    canvas.image[top:] = cv2.resize(np.clip(colour, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
    _manhole_covers(stage)


def _grid(canvas: Canvas, camera: Camera, top: int, step: int) -> tuple[Floats, Floats, Floats]:
    """Return street coordinates x (R, W) and z (R, 1) of the ground pixels below ``top``, and the metres one covers."""
    v = np.arange(top, canvas.height, step, dtype=np.float32) + step / 2
    u = np.arange(0, canvas.width, step, dtype=np.float32) + step / 2
    z = (camera.focal_px * camera.height / (v - camera.v0))[:, None]
    x = (u[None] - camera.u0) * (z / camera.focal_px) + camera.lateral - camera.shift(z)
    return x.astype(np.float32), z.astype(np.float32), np.clip(step * z / camera.focal_px, 0.002, 1).astype(np.float32)


def _labels(street: Street, x: Floats, z: Floats) -> Image:
    label = np.where(np.abs(x) < street.half, ROAD, PAVEMENT).astype(np.uint8)
    for side, front, z0, z1 in street.lawns:
        label[(x * side > front) & (z > z0) & (z < z1)] = TREE
    for side, z0, z1 in street.side_streets:
        flare = np.clip(1.8 - (np.abs(x) - street.half), 0, 1.8) ** 2 / 2.4  # rounded corners
        label[(x * side > 0) & (z > z0 + 1.2 - flare) & (z < z1 - 1.2 + flare)] = ROAD
    return label


def _world_noise(slope: float, x: Floats, z: Floats, cells_per_m: float) -> Floats:
    tile = noise_tile(slope)
    at = (np.clip(x, -300, 300) * cells_per_m).astype(np.float32), np.broadcast_to(z * np.float32(cells_per_m), x.shape)
    out: Floats = cv2.remap(tile, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return out


def _wear(street: Street, x: Floats, z: Floats, rng: Rng) -> Floats:
    """Grey levels added to the asphalt: wheel tracks, oil between them, dirt in the gutter, repaired patches."""
    at = np.arange(-20, 20, 0.02, dtype=np.float32)
    across = -16 * np.exp(-(((np.abs(at) - street.half) / 0.3) ** 2))
    for centre in (-street.half * 0.5, street.half * 0.5):
        for offset, width, level in ((-0.75, 0.35, 6.0), (0.75, 0.35, 6.0), (0.0, 0.3, -5.0)):
            across += level * np.exp(-(((at - centre - offset) / width) ** 2))
    out: Floats = across[np.clip((x + 20) * 50, 0, len(at) - 1).astype(np.int32)]
    for _ in range(int(rng.integers(1, 6))):
        px, pz = float(rng.uniform(-1, 1)) * street.half, float(rng.uniform(3, 30))
        w, length = float(rng.uniform(0.4, 1.4)), float(rng.uniform(0.6, 7))
        out += np.float32(rng.choice([-14, -9, 8])) * ((np.abs(x - px) < w) & (np.abs(z - pz) < length))
    return out


def _slabs(street: Street, x: Floats, z: Floats, foot: Floats) -> Floats:
    size, dark = 0.7, np.ones_like(x)
    fade = np.clip(0.05 / foot, 0, 1)
    near = fade[:, 0] > 0.12
    lines = (np.mod(np.abs(x[near]) - street.half, size) < np.maximum(0.025, foot[near])) | (
        np.mod(z[near], size) < np.maximum(0.03, 1.2 * foot[near] * z[near] / 4)
    )
    dark[near] -= 0.17 * lines * fade[near]
    return dark


def _markings(street: Street, rng: Rng, x: Floats, z: Floats, foot: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how much paint lies on each ground pixel, and where it is yellow instead of white."""

    def stripe(at: float, width: float) -> Floats:
        out: Floats = np.clip((width / 2 - np.abs(x - at)) / foot + 0.5, 0, 1)
        return out

    def dashes(on: float, off: float) -> Floats:
        out: Floats = (np.mod(z + phase, on + off) < on).astype(np.float32)
        return out

    phase, paint = float(rng.uniform(0, 9)), np.zeros_like(x)
    tint = np.zeros(x.shape, bool)
    paint += stripe(0, 0.12) * dashes(*((2, 4), (4, 2), (1.5, 3), (99, 0.1))[int(rng.integers(4))])
    edge = int(rng.integers(4))
    for side in (-1, 1):
        if edge == 0:
            yellow = stripe(side * (street.half - 0.25), 0.08) + stripe(side * (street.half - 0.45), 0.08)
            paint += yellow
            tint |= yellow > 0
        elif edge == 1:
            paint += stripe(side * (street.half - 0.4), 0.1)
        if edge == 2 or (street.parking[(side + 1) // 2] and rng.random() < 0.6):
            paint += stripe(side * (street.half - (1.5 if edge == 2 else 2.1)), 0.1) * dashes(1.0, 1.0)
    if rng.random() < 0.22:  # zebra crossing
        z0 = float(rng.uniform(7, 24))
        band = (z > z0) & (z < z0 + 2.6)
        paint = np.where(band, (np.mod(x, 1.1) < 0.55).astype(np.float32), paint)
    for side, z0, z1 in street.side_streets:
        mouth = (np.abs(x - side * (street.half - 0.1)) < 0.1) & (z > z0) & (z < z1)
        paint = np.where(mouth, dashes(0.6, 0.3), paint)
        paint *= ~((z > z0) & (z < z1) & (x * side > street.half + 0.2))
        if z1 < 45 and rng.random() < 0.5:  # yellow box junction
            inside = (z > z0) & (z < z1) & (np.abs(x) < street.half - 0.3)
            cross = inside & ((np.mod(x + z, 1.9) < 0.16) | (np.mod(x - z, 1.9) < 0.16))
            paint, tint = np.where(inside, cross * 0.9, paint), tint | cross
    if rng.random() < 0.35:  # lane arrow
        z0, at = float(rng.uniform(7, 16)), -street.half * 0.5
        shaft = (np.abs(x - at) < 0.09) & (z > z0) & (z < z0 + 3)
        head = (np.abs(x - at) < np.clip(z0 + 4.2 - z, 0, 1.3) * 0.32) & (z >= z0 + 2.9)
        paint = np.maximum(paint, (shaft | head).astype(np.float32))
    return np.minimum(paint, 1).astype(np.float32), tint


def _shadow_maps(stage: Stage, top: int, rows: int) -> tuple[Floats, Floats]:
    """Return the share of the sun, and of the sky, that things hide from each ground pixel."""
    canvas, camera, street, sun = stage.canvas, stage.camera, stage.street, stage.light.sun
    hidden = np.zeros((rows, (canvas.width + 1) // 2), np.uint8)
    contact = np.zeros_like(hidden)

    def fill(plane: Image, ground: Floats) -> None:
        if float(ground[:, 1].max()) < NEAR_M:
            return
        points = (camera.street([(float(px), 0.0, float(pz)) for px, pz in ground]) - [0, top]) / 2
        cv2.fillPoly(plane, [np.round(np.clip(points, -8e3, 8e3) * 16).astype(np.int32)], 255, shift=4)

    if float(stage.light.direct.max()) > 0.2:
        throw = -sun[[0, 2]] / max(0.12, float(sun[1]))
        for outline, height in street.shadows:
            far = outline + throw * abs(height)
            shape = far if height < 0 else cv2.convexHull(np.concatenate([outline, far]).astype(np.float32))[:, 0]
            fill(hidden, shape)
    for outline in street.contacts:
        middle = outline.mean(0)
        fill(contact, middle + (outline - middle) * 1.12)
    soft = max(1, canvas.width // 480)
    maps = [cv2.GaussianBlur(m, (0, 0), r * soft).astype(np.float32) / 255 for m, r in ((hidden, 0.8), (contact, 2.5))]
    return maps[0], maps[1]


def _manhole_covers(stage: Stage) -> None:
    rng, camera, street = stage.rng, stage.camera, stage.street
    for _ in range(int(rng.integers(0, 5))):
        x, z = float(rng.uniform(-0.8, 0.8)) * street.half, float(rng.uniform(4, 22))
        ring = [(x + 0.32 * math.cos(a), 0.0, z + 0.32 * math.sin(a)) for a in np.linspace(0, 6.283, 14)]
        base = stage.light.on((0, 1, 0)) * 0.8
        stage.canvas.polygon(camera.street(ring), 62 * base, ROAD, z)
        stage.canvas.polygon(
            camera.street([(x + (px - x) * 0.82, 0, z + (pz - z) * 0.82) for px, _, pz in ring]), 80 * base, ROAD, z
        )
