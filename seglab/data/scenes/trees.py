"""Trees in leaf and bare, bushes and hedges; a bare crown gets its outline as mask, as annotators do it."""

import math

import cv2
import numpy as np

from seglab.data.scenes.canvas import TREE, Camera, Canvas, Floats, Light, Rng, noise_patch


def tree(
    canvas: Canvas, camera: Camera, light: Light, rng: Rng, spot: tuple[float, float], height: float, leafy: bool
) -> None:
    """Draw a tree at street coordinates (x, z) with a noisy crown, or bare branches with their outline as mask."""
    x, _, z = camera.at(spot[0], 0, spot[1])
    scale = camera.focal_px / z
    foot = camera.project([(x, 0, z)])[0]
    bark = np.array(rng.choice([[78, 64, 50], [58, 50, 42], [96, 90, 78]]), np.float32) * (
        0.75 * light.ambient + 0.3 * light.direct
    )
    girth = height * float(rng.uniform(0.024, 0.036)) * scale
    fork = foot - [0, height * float(rng.uniform(0.24, 0.36)) * scale]
    widths_px = np.array([[-girth * 0.7, 0], [girth * 0.7, 0], [girth * 0.42, 0], [-girth * 0.42, 0]])
    canvas.polygon((np.stack([foot, foot, fork, fork]) + widths_px).astype(np.float32), bark, TREE, z)
    starts, ends, widths = _branches(
        rng, fork, height * (0.4 if leafy else 0.62) * scale, girth * 0.75, 3 if leafy else 5
    )
    if not leafy:
        _twigs(canvas, rng, starts, ends, bark, z, scale)
    for start, end, width in zip(starts, ends, widths, strict=True):
        segments = list(np.stack([start, end], 1).round().astype(np.int32))
        for plane, value in ((canvas.image, bark.tolist()), (canvas.mask, TREE), (canvas.nearness, 1 / z)):
            cv2.polylines(plane, segments, False, value, max(1, round(width)))
    if leafy:
        centre = foot - [0, height * 0.66 * scale]
        hues = [(74, 96, 40), (92, 112, 48), (60, 84, 44), (120, 116, 48), (50, 66, 40), (140, 104, 44)]
        hue = hues[int(rng.choice(6, p=[0.28, 0.2, 0.24, 0.1, 0.12, 0.06]))]
        foliage(
            canvas,
            light,
            rng,
            centre,
            (height * float(rng.uniform(0.26, 0.4)) * scale, height * 0.38 * scale),
            hue,
            z,
            scale,
        )


def bush(canvas: Canvas, camera: Camera, light: Light, rng: Rng, spot: tuple[float, float], size: float) -> None:
    """Draw a bush ``size`` metres wide at street coordinates (x, z)."""
    centre, scale = camera.street([(spot[0], size * 0.45, spot[1])])[0], camera.focal_px / spot[1]
    hue = ((64, 80, 40), (84, 96, 48), (50, 66, 38))[int(rng.integers(3))]
    foliage(canvas, light, rng, centre, (size * scale, size * 0.6 * scale), hue, spot[1], scale)


def hedge(canvas: Canvas, camera: Camera, light: Light, rng: Rng, side: int, x: float, z: tuple[float, float]) -> None:
    """Draw a stretch of hedge behind ``x`` along the street."""
    for at in np.linspace(z[1], z[0], 6):
        bush(canvas, camera, light, rng, (x + side * 0.5, max(float(at), 2.2)), 1.15)


def _branches(
    rng: Rng, fork: Floats, span: float, girth: float, levels: int
) -> tuple[list[Floats], list[Floats], list[float]]:
    starts, ends, widths = [], [], []
    root, angle, length = np.array([fork]), np.array([-math.pi / 2]), span * 0.42
    for level in range(levels):
        children = 4 if level == 0 else 3
        root, angle = np.repeat(root, children, 0), np.repeat(angle, children)
        angle = angle + rng.normal(0, 0.5, len(angle)) * (1.0 if level < 2 else 1.2) - 0.04 * np.cos(angle)
        reach = length * rng.uniform(0.55, 1.2, len(angle))
        tip = root + np.stack([np.cos(angle), np.sin(angle)], 1) * reach[:, None]
        starts.append(root.astype(np.float32))
        ends.append(tip.astype(np.float32))
        widths.append(girth * 0.5 ** (level + 0.3))
        root, length = tip, length * 0.68
    return starts, ends, widths


def _twigs(
    canvas: Canvas, rng: Rng, starts: list[Floats], ends: list[Floats], bark: Floats, z: float, scale: float
) -> None:
    points = np.concatenate(ends)
    pad = max(2, int(0.35 * scale))
    x0, y0 = np.clip(points.min(0).astype(int) - pad, 0, [canvas.width, canvas.height])
    x1, y1 = np.clip(points.max(0).astype(int) + pad, 0, [canvas.width, canvas.height])
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    outline = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for start, end in zip(starts, ends, strict=True):
        cv2.polylines(outline, list((np.stack([start, end], 1) - [x0, y0]).astype(np.int32)), False, 255, pad)
    inside = outline > 0
    soft = cv2.GaussianBlur(outline, (0, 0), max(0.8, pad / 3)).astype(np.float32) / 255
    noise = noise_patch(rng, y1 - y0, x1 - x0, 0.3) + noise_patch(rng, y1 - y0, x1 - x0, 0.8, max(1.0, 0.03 * scale))
    density = (np.clip(0.42 + 0.3 * noise, 0, 0.9) * soft * soft * inside)[..., None]
    roi = canvas.image[y0:y1, x0:x1]
    roi[:] = roi + (bark - roi) * density
    canvas.mask[y0:y1, x0:x1][inside] = TREE
    canvas.nearness[y0:y1, x0:x1][inside] = 1 / z


def foliage(
    canvas: Canvas, light: Light, rng: Rng, centre: Floats, radii: tuple[float, float], hue: tuple[int, int, int],
    z: float, scale: float,
) -> None:  # fmt: skip
    """Draw a leafy mass around ``centre`` (pixels): a noisy ellipse, lit from the sun's side."""
    x0, y0 = np.clip((centre - np.array(radii) * 1.25).astype(int), 0, [canvas.width, canvas.height])
    x1, y1 = np.clip((centre + np.array(radii) * 1.25).astype(int), 0, [canvas.width, canvas.height])
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    gx = ((np.arange(x0, x1, dtype=np.float32) - centre[0]) / radii[0])[None]
    gy = ((np.arange(y0, y1, dtype=np.float32) - centre[1]) / radii[1])[:, None]
    h, w = y1 - y0, x1 - x0
    clumps = noise_patch(rng, h, w, 1.3, max(1.0, 0.06 * scale))
    leaves = noise_patch(rng, h, w, 0.4, max(1.0, 0.05 * scale))
    inside = 1 - gx * gx - gy * gy + 0.33 * clumps + 0.14 * leaves > 0.22
    toward = float(light.sun[0]) * gx - 0.9 * gy
    side = np.clip(0.35 + 0.4 * toward + 0.22 * clumps + 0.2 * leaves, 0, 1.2)[..., None]
    depth = np.clip(0.62 + 0.18 * clumps + 0.22 * leaves - 0.18 * gy, 0.12, 1.3)[..., None]
    facing = 0.35 + 0.65 * max(0.0, float(-light.sun[2]))  # back-lit crowns stay dark
    colour = np.array(hue, np.float32) * (light.ambient * depth + light.direct * side * facing)
    np.copyto(canvas.image[y0:y1, x0:x1], np.clip(colour, 0, 255).astype(np.uint8), where=inside[..., None])
    canvas.mask[y0:y1, x0:x1][inside] = TREE
    canvas.nearness[y0:y1, x0:x1][inside] = 1 / z
