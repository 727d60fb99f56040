"""Pedestrians and bicyclists; a bicycle's wheels are filled in the mask, as annotators of street photos do it."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from seglab.data.scenes.canvas import BICYCLIST, PEDESTRIAN, Camera, Canvas, Floats, Light, Rng


def person(
    canvas: Canvas, camera: Camera, light: Light, rng: Rng, spot: tuple[float, float], riding: bool, sideways: bool
) -> None:
    """Draw a pedestrian, or a bicyclist, standing at street coordinates (x, z)."""
    x, _, z = camera.at(spot[0], 0, spot[1])
    scale, label = camera.focal_px / z * float(rng.uniform(0.92, 1.08)), BICYCLIST if riding else PEDESTRIAN
    base = camera.project([(x, 0, z)])[0]
    flip = 1.0 if rng.random() < 0.5 else -1.0
    shade = light.on((0, 0.1, -1)) * 0.85 + 0.3 * light.direct * max(0.0, float(light.sun[1]))
    cloth = [
        (34, 36, 44),
        (52, 54, 60),
        (70, 60, 52),
        (36, 46, 80),
        (122, 30, 34),
        (190, 186, 176),
        (60, 84, 70),
        (84, 96, 120),
    ]
    top, legs = (np.array(cloth[int(rng.integers(len(cloth)))], np.float32) * shade for _ in range(2))
    legs = legs * 0.6 if legs.mean() > 70 * shade.mean() else legs
    if riding and rng.random() < 0.4:
        top = np.array([206, 216, 40], np.float32) * shade  # high-visibility vest
    skin = np.array([[214, 168, 140], [150, 104, 78], [96, 64, 48]][int(rng.integers(3))]) * shade
    hair = np.array([[40, 30, 24], [92, 66, 42], [24, 22, 22], [150, 130, 96]][int(rng.integers(4))]) * shade

    def at(px: float, py: float) -> Floats:
        out: Floats = (base + np.array([px * flip, -py]) * scale).astype(np.float32)
        return out

    def limb(points: Sequence[tuple[float, float]], width: float, colour: Any) -> None:
        for a, b in pairwise(points):
            canvas.stroke(at(*a), at(*b), width * scale, colour, label, z)

    def torso(points: Sequence[tuple[float, float]], colour: Any) -> None:
        canvas.polygon(np.stack([at(*p) for p in points]), colour, label, z, (1.15, 0.8))

    if riding:
        _bicycle(canvas, at, limb, scale, z, sideways, shade)
        if sideways:
            limb([(-0.12, 0.98), (0.2, 0.68), (0.08, 0.3)], 0.15, legs)
            limb([(-0.12, 0.98), (0.1, 0.62), (-0.02, 0.22)], 0.13, legs * 0.7)
            torso([(-0.26, 0.95), (0.0, 0.9), (0.34, 1.36), (0.16, 1.5), (-0.06, 1.4)], top)
            limb([(0.24, 1.36), (0.4, 1.14), (0.5, 1.06)], 0.1, top * 0.85)
            head = (0.33, 1.6)
        else:
            limb([(-0.1, 1.0), (-0.16, 0.66), (-0.1, 0.3)], 0.15, legs)
            limb([(0.1, 1.0), (0.17, 0.72), (0.1, 0.46)], 0.15, legs * 0.8)
            torso([(-0.18, 0.92), (0.18, 0.92), (0.24, 1.36), (0.16, 1.5), (-0.16, 1.5), (-0.24, 1.36)], top)
            limb([(-0.22, 1.4), (-0.33, 1.18), (-0.24, 1.02)], 0.11, top * 0.85)
            limb([(0.22, 1.4), (0.33, 1.18), (0.24, 1.02)], 0.11, top * 0.75)
            head = (0.0, 1.64)
    else:
        step = float(rng.uniform(0.03, 0.26)) * (1 if sideways else 0.35)
        limb([(0.05, 0.86), (step, 0.45), (step * 1.1, 0.05), (step * 1.1 + 0.1, 0.03)], 0.15, legs)
        limb([(-0.05, 0.86), (-step * 0.6, 0.47), (-step * 1.3, 0.06), (-step * 1.3 + 0.08, 0.03)], 0.15, legs * 0.78)
        wide, hem = (0.16 if sideways else 0.22), float(rng.choice([0.82, 0.82, 0.6]))
        torso(
            [(-wide * 0.9, hem), (wide * 0.9, hem), (wide, 1.3), (wide * 0.7, 1.46), (-wide * 0.7, 1.46), (-wide, 1.3)],
            top,
        )
        swing = step * 0.8
        limb([(-wide * 0.95, 1.36), (-wide - 0.06 + swing * 0.4, 1.08), (-wide + swing, 0.84)], 0.1, top * 0.8)
        limb([(wide * 0.95, 1.36), (wide + 0.06 - swing * 0.4, 1.08), (wide - swing, 0.84)], 0.1, top * 0.95)
        if rng.random() < 0.35:
            torso([(wide, 0.95), (wide + 0.2, 0.95), (wide + 0.22, 0.58), (wide - 0.02, 0.58)], hair * 0.7)  # bag
        head = (0.02 if sideways else 0.0, 1.6)
    limb([(head[0] * 0.9, head[1] - 0.18), head], 0.1, skin * 0.85)
    canvas.disc(at(*head), (0.1 * scale, 0.13 * scale), skin, label, z)
    canvas.disc(
        at(head[0] - 0.02, head[1] + 0.05), (0.11 * scale, 0.1 * scale), hair if not riding else shade * 190, label, z
    )


def _bicycle(canvas: Canvas, at: Any, limb: Any, scale: float, z: float, sideways: bool, shade: Floats) -> None:
    dark = np.array([26, 26, 28], np.float32)
    if not sideways:
        canvas.disc(at(0, 0.34), (0.045 * scale, 0.34 * scale), dark, BICYCLIST, z)
        limb([(-0.26, 1.02), (0.26, 1.02)], 0.04, dark)
        limb([(-0.12, 0.3), (0.12, 0.3)], 0.05, dark)
        canvas.disc(at(0, 0.8), (0.06 * scale, 0.04 * scale), np.array([190, 20, 20]) * shade, BICYCLIST, z)
        return
    ring = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    for hub in (-0.52, 0.52):  # the mask gets the whole wheel, the image only tyre and hub
        wheel = np.stack([at(hub + math.cos(a) * 0.34, 0.34 + math.sin(a) * 0.34) for a in ring])
        fixed = np.round(wheel * 16).astype(np.int32)
        cv2.fillPoly(canvas.mask, [fixed], BICYCLIST, shift=4)
        cv2.fillPoly(canvas.nearness, [fixed], 1 / z, shift=4)
        cv2.polylines(canvas.image, [fixed], True, dark.tolist(), max(1, round(0.05 * scale)), cv2.LINE_8, 4)
        limb([(hub - 0.02, 0.34), (hub + 0.02, 0.34)], 0.06, dark)
    frame = np.array([60, 70, 90]) * shade
    limb([(-0.52, 0.34), (-0.16, 0.84), (0.38, 0.82), (-0.02, 0.32), (-0.52, 0.34)], 0.04, frame)
    limb([(-0.16, 0.84), (-0.02, 0.32)], 0.04, frame)
    limb([(0.52, 0.34), (0.38, 0.82), (0.36, 1.02), (0.5, 1.06)], 0.04, frame)
    limb([(-0.26, 0.94), (-0.02, 0.93)], 0.07, dark)
