"""Lamp posts, signs, traffic lights, bollards, bins and fences; openwork railings get their outline as mask."""

import cv2
import numpy as np

from seglab.data.scenes.canvas import FENCE, NEAR_M, POLE, SIGN, Camera, Canvas, Light, Rng, noise_patch
from seglab.labels import VOID


def lamp_post(canvas: Canvas, camera: Camera, light: Light, x: float, z: float, height: float, arm: float) -> None:
    """Draw a street lamp with an arm of ``arm`` metres (signed, towards the road)."""
    scale, grey = camera.focal_px / z, np.array([104, 108, 106]) * light.on((-0.5, 0, -0.6))
    foot, mid, head = camera.street([(x, 0, z), (x, 1.4, z), (x, height, z)])
    canvas.stroke(foot, mid, 0.2 * scale, grey * 0.85, POLE, z)
    canvas.stroke(mid, head, 0.12 * scale, grey, POLE, z)
    elbow, tip, end = camera.street(
        [(x + arm * 0.35, height + 0.35, z), (x + arm, height + 0.45, z), (x + arm * 1.35, height + 0.42, z)]
    )
    canvas.stroke(head, elbow, 0.09 * scale, grey, POLE, z)
    canvas.stroke(elbow, tip, 0.08 * scale, grey, POLE, z)
    canvas.stroke(tip, end, 0.16 * scale, np.array([255, 210, 140]) if light.night > 0.4 else grey * 1.2, POLE, z)
    if light.night > 0.3:
        canvas.glow(end, 1.3 * scale, z, np.array([255, 186, 104]) * light.night)


def sign_post(canvas: Canvas, camera: Camera, light: Light, rng: Rng, x: float, z: float) -> None:
    """Draw a traffic sign of a random kind on its post."""
    scale, face = camera.focal_px / z, light.on((0, 0.1, -1)) + 0.12
    foot, top = camera.street([(x, 0, z), (x, 2.9, z)])
    canvas.stroke(foot, top, 0.08 * scale, np.array([122, 124, 124]) * face, POLE, z)
    red, white, blue = (np.array(c) * face for c in ((196, 30, 36), (232, 232, 226), (28, 70, 160)))
    hub, r = top + np.array([0, 0.05 * scale]), float(rng.uniform(0.3, 0.42)) * scale
    kind = int(rng.choice(5, p=[0.27, 0.24, 0.17, 0.22, 0.1]))
    plate = (
        np.array([(28, 70, 160), (24, 92, 60), (212, 208, 196), (206, 172, 40), (98, 62, 40)][int(rng.integers(5))])
        * face
    )
    turn = np.array([0.0, 2.0944, 4.1888])
    if kind == 0:
        for size, colour in ((1.25, red), (0.8, white)):
            tri = np.stack([np.sin(turn), -np.cos(turn)], 1) * r * size + hub
            canvas.polygon(tri.astype(np.float32), colour, SIGN, z)
        canvas.stroke(hub - [0, 0.2 * r], hub + np.array([0, 0.2 * r]), 0.14 * r, (20, 20, 20), SIGN, z)
    elif kind in (1, 2):
        for size, colour in ((1.0, red if kind == 1 else blue), (0.72, white if kind == 1 else blue)):
            canvas.disc(hub, r * size, colour, SIGN, z)
        canvas.stroke(
            hub - [0.4 * r, 0], hub + np.array([0.4 * r, 0]), 0.26 * r, (24, 24, 26) if kind == 1 else white, SIGN, z
        )
    else:
        w, h = (r * 1.0, r * 1.3) if kind == 3 else (r * 1.6, r * 0.8)
        for grow, colour in ((1.0, white), (0.9, plate)):
            box = hub + np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) * grow
            canvas.polygon(box.astype(np.float32), colour, SIGN, z)
        ink = white if plate.mean() < 140 else red * 0.3
        for row in (-0.4, 0.05, 0.45):
            left, right = hub + np.array([-0.6 * w, row * h]), hub + np.array([0.5 * w, row * h])
            canvas.stroke(left, right, 0.12 * r, ink, SIGN, z)


def traffic_light(canvas: Canvas, camera: Camera, light: Light, rng: Rng, x: float, z: float) -> None:
    """Draw a traffic light on its pole, one lamp lit."""
    scale, face = camera.focal_px / z, light.on((0, 0.1, -1))
    foot, low, top = camera.street([(x, 0, z), (x, 2.15, z), (x, 3.2, z)])
    canvas.stroke(foot, low, 0.12 * scale, np.array([70, 72, 72]) * face, POLE, z)
    w = 0.21 * scale
    box = np.array([[low[0] - w, top[1]], [low[0] + w, top[1]], [low[0] + w, low[1]], [low[0] - w, low[1]]], np.float32)
    canvas.polygon(box, np.array([26, 27, 28]) * np.maximum(face, 0.4), SIGN, z)
    lit = int(rng.choice([0, 2]))
    for k, colour in enumerate([(255, 50, 40), (255, 180, 40), (60, 255, 140)]):
        centre = top + (low - top) * (0.18 + 0.32 * k)
        canvas.disc(centre, 0.11 * scale, np.array(colour) * (1.0 if k == lit else 0.13), SIGN, z)
        if k == lit:
            canvas.glow(centre, 0.35 * scale, z, np.array(colour) * (0.35 + 0.5 * light.night))


def fence(
    canvas: Canvas, camera: Camera, light: Light, rng: Rng, x: float, z: tuple[float, float], kind: str, side: int
) -> None:
    """Draw a fence (railings, boards or a low wall with rails) at ``x`` along the street."""
    z0, z1 = max(z[0], NEAR_M), z[1]
    face = light.on((-side, 0, 0))
    height = {"railings": 1.1, "boards": 1.75, "wall": 0.95}[kind]
    outline = camera.street([(x, height, z0), (x, height, z1), (x, 0, z1), (x, 0, z0)])
    if kind == "railings":
        grey = np.array([[150, 154, 154], [40, 42, 44], [30, 60, 48]][int(rng.integers(3))]) * face
        fixed = np.round(np.clip(outline, -3e4, 3e4) * 16).astype(np.int32)
        cv2.fillPoly(canvas.mask, [fixed], FENCE, shift=4)
        cv2.fillPoly(canvas.nearness, [fixed], 2 / (z0 + z1), shift=4)
        for up in (0.15, height):
            a, b = camera.street([(x, up, z0), (x, up, z1)])
            canvas.stroke(a, b, max(1.0, 0.05 * camera.focal_px / z1), grey, FENCE, (z0 + z1) / 2)
        steps = np.arange(z0, z1, 0.16 if z0 < 25 else 0.4)
        tops, feet = (camera.street([(x, up, float(s)) for s in steps]) for up in (height, 0.1))
        for k, (a, b) in enumerate(zip(tops, feet, strict=True)):
            wide = (0.07 if k % 12 == 0 else 0.022) * camera.focal_px / float(steps[k])
            canvas.stroke(a, b, wide, grey, FENCE, float(steps[k]))
        return
    hue = (
        [(122, 92, 62), (96, 80, 66), (140, 122, 98)]
        if kind == "boards"
        else [(132, 82, 62), (150, 140, 120), (116, 98, 80)]
    )
    ppm = float(np.clip(camera.focal_px / z0, 6, 30))
    h, w = max(3, int(height * ppm)), max(6, int((z1 - z0) * ppm))
    rough = 1 + 0.12 * noise_patch(rng, h, w, 0.9)
    if kind == "boards":
        rough *= 1 + 0.14 * np.repeat(rng.standard_normal(w // 4 + 1), 4)[None, :w]
    else:
        rough[: max(1, h // 9)] *= 1.25
    base = np.array(hue[int(rng.integers(3))]) * face
    texture = np.clip(base * rough[..., None] * np.linspace(1.05, 0.8, h)[:, None, None], 0, 255).astype(np.uint8)
    canvas.quad(outline, texture, FENCE, [z0, z1, z1, z0])


def bollard(canvas: Canvas, camera: Camera, light: Light, x: float, z: float, height: float) -> None:
    """Draw a bollard of ``height`` metres."""
    foot, top = camera.street([(x, 0, z), (x, height, z)])
    canvas.stroke(foot, top, 0.16 * camera.focal_px / z, np.array([52, 52, 54]) * light.on((0, 0, -1)), POLE, z)


def litter_bin(canvas: Canvas, camera: Camera, light: Light, x: float, z: float) -> None:
    """Draw a litter bin; its pixels are void."""
    corners = camera.street([(x - 0.28, 1.0, z), (x + 0.28, 1.0, z), (x + 0.24, 0, z), (x - 0.24, 0, z)])
    canvas.polygon(corners, np.array([34, 40, 38]) * light.on((0, 0, -1)), VOID, z, (1.3, 0.7))
