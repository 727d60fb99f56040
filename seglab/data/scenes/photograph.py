"""From canvas to photo at half the size: haze, wet ground, headlights, glow, exposure, softness, noise, JPEG."""

from typing import Any

import cv2
import numpy as np

from seglab.data.scenes.canvas import PAVEMENT, ROAD, Camera, Canvas, Floats, Image, Light, Rng, noise_patch


def take_photo(canvas: Canvas, camera: Camera, light: Light, rng: Rng, time_of_day: str, weather: str) -> Image:
    """Look at the canvas through air and a small camera."""
    h, w = canvas.height // 2, canvas.width // 2
    image = cv2.resize(canvas.image, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
    near = cv2.resize(canvas.nearness, (w, h), interpolation=cv2.INTER_AREA)
    mask = canvas.mask[::2, ::2]
    v0 = camera.v0 / 2
    if weather == "rain":
        image = _wet(image, mask, v0, rng)
    if light.night > 0.5:
        image = _headlights(image, near, rng)
    sight = {
        "clear": float(rng.uniform(350, 1200)),
        "overcast": float(rng.uniform(250, 700)),
        "rain": 160.0,
        "fog": float(rng.uniform(28, 75)),
    }[weather]
    air = np.array(
        {"day": (214, 222, 230), "golden hour": (238, 200, 150), "dusk": (120, 112, 124), "night": (44, 40, 42)}[
            time_of_day
        ],
        np.float32,
    )
    if weather != "clear":
        air = air.mean() * np.array([0.96, 0.98, 1.0], np.float32)
    clear = np.exp(-1 / (np.maximum(near, 1e-3) * sight))
    clear = np.where(near <= 0, np.float32(1.0 if weather != "fog" else 0.3), clear)[..., None]
    image = image * clear + air * (1 - clear)
    _shine(image, near, canvas)
    return _develop(image.astype(np.float32), rng, time_of_day, weather)


def majority(mask: Image) -> Image:
    """Return the most frequent label of each 2x2 block (a tie goes to one of the tied)."""
    a, b, c, d = mask[::2, ::2], mask[::2, 1::2], mask[1::2, ::2], mask[1::2, 1::2]
    out: Image = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    return out


def _wet(image: Floats, mask: Image, v0: float, rng: Rng) -> Floats:
    h, w = mask.shape
    rows = np.clip(2 * v0 - np.arange(h), 0, h - 1).astype(int)
    mirror = cv2.blur(image[rows], (3, max(3, h // 14)))
    puddles = np.clip(0.42 + 0.2 * noise_patch(rng, h, w, 1.6, 1.0), 0.12, 0.8)
    share = puddles * np.isin(mask, (ROAD, PAVEMENT)) * np.clip(1.1 - (np.arange(h) - v0)[:, None] / (h - v0), 0.25, 1)
    share = cv2.blur(share.astype(np.float32), (3, 3))[..., None]
    out: Floats = image * (1 - share) + mirror * share * 0.9
    return out


def _headlights(image: Floats, near: Floats, rng: Rng) -> Floats:
    h, w = near.shape
    u = (np.arange(w, dtype=np.float32)[None] / w - float(rng.uniform(0.45, 0.55))) / 0.32
    v = (np.arange(h, dtype=np.float32)[:, None] / h - 0.66) / 0.22
    cone = np.exp(-(u * u) - np.where(v < 0, v * v * 2.2, v * v * 0.5)) * np.exp(-0.05 / np.maximum(near, 0.004))
    out: Floats = image * (1 + 2.0 * cone[..., None] * np.array([1.0, 0.96, 0.86]))
    return out


def _shine(image: Floats, near: Floats, canvas: Canvas) -> None:
    h, w = near.shape
    for u, v, radius, closeness, colour in canvas.glows:
        u, v, radius = u / 2, v / 2, float(np.clip(radius / 2, 1.2, h / 7))
        if not (0 <= int(u) < w and 0 <= int(v) < h) or near[int(v), int(u)] > closeness * 1.3:
            continue
        reach = int(radius * 4) + 1
        ys, xs = slice(max(0, int(v) - reach), int(v) + reach), slice(max(0, int(u) - reach), int(u) + reach)
        far = np.hypot(np.arange(h)[ys][:, None] - v, np.arange(w)[xs][None] - u) / radius
        power = np.exp(-far * far * 3) + 0.3 * np.exp(-far * 1.5) * np.clip(1 - far / 4, 0, 1)
        image[ys, xs] += power[..., None] * colour


def _develop(image: Floats, rng: Rng, time_of_day: str, weather: str) -> Image:
    h, w = image.shape[:2]
    aim = {"day": 104.0, "golden hour": 88.0, "dusk": 66.0, "night": 44.0}[time_of_day] * float(rng.uniform(0.78, 1.25))
    metered = np.clip(aim / max(4.0, float(np.median(image[h // 3 :: 4, ::4]))), 0.75, 2.1)  # automatic exposure
    gain = np.float32(metered) * rng.normal(1, 0.014, 3).astype(np.float32)
    curve = np.linspace(0, 2, 1024, dtype=np.float32)
    curve = (curve / (1 + 0.14 * curve * curve)) ** np.float32(rng.uniform(0.88, 1.12))
    curve += np.float32(rng.uniform(0.0, 0.35)) * (curve * curve * (3 - 2 * np.minimum(curve, 1)) - curve)
    tone = curve[np.clip(image * (gain * 512 / 255), 0, 1023).astype(np.int32)]
    grey = tone.mean(2, keepdims=True)
    tone = grey + (tone - grey) * float(rng.uniform(0.7, 1.08))
    y, x = (np.arange(h) / h - 0.5)[:, None], (np.arange(w) / w - 0.5)[None]
    tone *= (1 - float(rng.uniform(0.1, 0.5)) * (x * x + y * y))[..., None].astype(np.float32)
    if weather == "rain":
        streaks = noise_patch(rng, h, w, 0.0)
        tone += 0.05 * np.clip(cv2.blur(streaks, (1, max(3, h // 24))) - 0.35, 0, 1)[..., None]
    tone = cv2.GaussianBlur(tone.astype(np.float32), (0, 0), float(rng.uniform(0.3, 0.75)) * max(1, h / 360))
    grain = float(rng.uniform(0.005, 0.016)) * (1.6 if time_of_day in ("dusk", "night") else 1.0)
    noise = noise_patch(rng, h, w, 0.15)[..., None] + 0.6 * np.stack([noise_patch(rng, h, w, 0.6) for _ in range(3)], 2)
    tone += grain * noise
    out = np.clip(tone * 255, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(72, 95))]
    packed = cv2.imencode(".jpg", out[..., ::-1], quality)[1]
    decoded: Any = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1])
