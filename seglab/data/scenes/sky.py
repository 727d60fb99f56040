"""The light of an hour and a weather, and the sky that goes with it."""

import math

import cv2
import numpy as np

from seglab.data.scenes.canvas import SKY, Camera, Canvas, Light, Rng, noise_tile


def make_light(rng: Rng, time_of_day: str, weather: str) -> Light:
    """Draw the sun's direction from the generator, and return the light of this time of day and weather."""
    azimuth = float(rng.uniform(-math.pi, math.pi))
    low, high = {"day": (22, 50), "golden hour": (7, 15)}.get(time_of_day, (5, 10))
    elevation = math.radians(float(rng.uniform(low, high)))
    sun = np.array(
        [math.sin(azimuth) * math.cos(elevation), math.sin(elevation), math.cos(azimuth) * math.cos(elevation)]
    )
    direct, ambient, sky, night = {
        "day": ((1.0, 0.95, 0.86), (0.4, 0.44, 0.5), (225, 232, 240), 0.0),
        "golden hour": ((1.1, 0.78, 0.46), (0.36, 0.36, 0.42), (240, 214, 180), 0.1),
        "dusk": ((0.04, 0.03, 0.03), (0.32, 0.34, 0.41), (130, 126, 146), 0.6),
        "night": ((0.0, 0.0, 0.0), (0.24, 0.2, 0.155), (34, 34, 42), 1.0),
    }[time_of_day]
    strength = 1.0 if weather == "clear" else 0.06
    fill = np.array(ambient) * (1.0 if weather == "clear" or night > 0.3 else 1.9)
    shadow_depth = rng.uniform(0.85, 1.15)
    return Light(
        sun.astype(np.float32),
        np.array(direct, np.float32) * strength,
        (fill * shadow_depth).astype(np.float32),
        np.array(sky, np.float32) * (1.0 if weather == "clear" else 0.85),
        night,
    )


def paint_sky(canvas: Canvas, camera: Camera, light: Light, rng: Rng, time_of_day: str, weather: str) -> None:
    """Fill the whole canvas with sky: gradient, clouds in perspective, and the sun where it is in view."""
    h, w = -(-canvas.height // 4), -(-canvas.width // 4)
    zenith, horizon = {
        "day": ((96, 146, 214), (222, 234, 244)),
        "golden hour": ((112, 144, 196), (255, 208, 142)),
        "dusk": ((50, 62, 100), (206, 142, 112)),
        "night": ((12, 14, 24), (52, 44, 44)),
    }[time_of_day]
    grey = np.array({"day": 226, "golden hour": 205, "dusk": 104, "night": 34}[time_of_day]) * np.array(
        [0.97, 0.99, 1.02]
    )
    if time_of_day == "day" and rng.random() < 0.45:  # the bleached sky of a small camera
        zenith, horizon = (206, 226, 246), (252, 253, 255)
    v = (np.arange(h, dtype=np.float32) * 4 - camera.v0) / canvas.height
    up = np.clip(-v, 0.004, 1)[:, None]
    t = np.clip(up / 0.55, 0, 1)[..., None] ** 0.7
    sky = np.array(horizon) * (1 - t) + np.array(zenith) * t + np.zeros((h, w, 1))
    u = (np.arange(w, dtype=np.float32) * 4 - camera.u0)[None] / canvas.height
    reach = 1 / (up + 0.06)
    size = float(rng.uniform(30, 80))
    tile = noise_tile(1.5)
    shift = rng.uniform(0, 512, 2)
    across = ((u * reach * size + shift[0]) % 512).astype(np.float32)
    ahead = ((reach * size * 1.4 + shift[1]) % 512 + np.zeros_like(u)).astype(np.float32)
    cloud = cv2.remap(tile, across, ahead, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    if weather == "clear":
        cover = np.clip((cloud - float(rng.uniform(0.0, 1.6))) * 0.7, 0, 0.9)[..., None]
        bright = np.minimum(np.array(horizon) * 1.1, 255) * (1.0 if time_of_day != "dusk" else 0.7)
        sky = sky * (1 - cover) + bright * cover
    else:
        dark = {"overcast": float(rng.uniform(0.75, 1.12)), "rain": 0.78, "fog": 0.95}[weather]
        swing = {"overcast": float(rng.uniform(4, 20)), "rain": 14, "fog": 2}[weather] * float(grey.mean()) / 200
        sky = grey * dark * (1.08 - 0.16 * t) + cloud[..., None] * swing
    if weather in ("clear", "overcast") and light.sun[2] > 0.15 and light.night < 0.5:
        su = light.sun[0] / light.sun[2]
        sv = light.sun[1] / light.sun[2] * 1.1
        far = np.hypot(u - su, -v[:, None] - sv)[..., None]
        power = 1.0 if weather == "clear" else 0.25
        sky = sky + (np.exp(-((far / 0.08) ** 2)) * 160 + np.exp(-far / 0.35) * 90) * power * np.array([1, 0.93, 0.8])
    small = np.clip(sky, 0, 255).astype(np.uint8)
    canvas.image[:] = cv2.resize(small, (canvas.width, canvas.height), interpolation=cv2.INTER_LINEAR)
    canvas.mask[:] = SKY
