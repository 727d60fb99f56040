"""The drawing kit: class ids, noise, light, a camera, and a canvas that takes colour and class from the same call.

World axes in metres: X to the right, Y up from the road, Z ahead of the camera.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from seglab.labels import VOID

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Rng = np.random.Generator
NEAR_M = 1.2  # nothing is drawn closer to the lens than this
FAR_M = 125.0  # the street ends here
_SUBPIXEL_BITS = 4


@lru_cache(maxsize=16)
def noise_tile(slope: float, size: int = 512) -> Floats:
    """Return a periodic ``(size, size)`` noise of mean 0, deviation 1, whose spectrum falls as frequency ** -slope."""
    white = np.random.default_rng(int(slope * 1000)).standard_normal((size, size))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    tile = np.fft.irfft2(np.fft.rfft2(white) * frequency**-slope, s=(size, size))
    out: Floats = ((tile - tile.mean()) / tile.std()).astype(np.float32)
    out.setflags(write=False)
    return out


def noise_patch(rng: Rng, height: int, width: int, slope: float = 1.2, zoom: float = 1.0) -> Floats:
    """Return a random ``(height, width)`` window of the noise tile; ``zoom`` is a noise cell's size in pixels."""
    h, w = min(512, max(2, int(height / zoom) + 1)), min(512, max(2, int(width / zoom) + 1))
    y, x = int(rng.integers(0, 513 - h)), int(rng.integers(0, 513 - w))
    window = noise_tile(slope)[y : y + h, x : x + w]
    if (h, w) == (height, width):
        return window
    out: Floats = cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR)
    return out


@dataclass(frozen=True)
class Light:
    """Sun (unit vector towards it), its colour, the colour of the shade and of the sky that glass reflects."""

    sun: Floats
    direct: Floats
    ambient: Floats
    sky: Floats
    night: float  # 0 at day, 1 with every lamp lit

    @property
    def glass(self) -> Floats:
        """Colour of the sky as dark glass gives it back, nearly grey."""
        out: Floats = 0.35 * self.sky + 0.65 * self.sky.mean() * np.array([0.94, 1.0, 1.04], np.float32)
        return out

    def on(self, normal: ArrayLike) -> Floats:
        """Return the RGB factor of a face with this outward normal."""
        n = np.asarray(normal, np.float32)
        n = n / max(1e-6, float(np.linalg.norm(n)))
        out: Floats = self.ambient * (0.78 + 0.22 * n[1]) + self.direct * max(0.0, float(n @ self.sun))
        return out


@dataclass(frozen=True)
class Camera:
    """A pinhole at ``(lateral, height, 0)``; the street bends by ``bend * (Z - 8)**2`` metres to the right."""

    focal_px: float
    u0: float
    v0: float
    height: float
    lateral: float
    bend: float

    def shift(self, z: Any) -> Any:
        """Metres by which the street has bent at depth ``z``."""
        return self.bend * np.maximum(np.asarray(z, np.float32) - 8.0, 0.0) ** 2

    def at(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """World point of street coordinates (``x`` across the street, ``z`` along it)."""
        z = max(float(z), NEAR_M)
        return float(x) + self.bend * max(z - 8.0, 0.0) ** 2, float(y), z

    def project(self, points: ArrayLike) -> Floats:
        """Project ``(N, 3)`` world points to ``(N, 2)`` pixels."""
        p = np.asarray(points, np.float32).reshape(-1, 3)
        scale = self.focal_px / np.maximum(p[:, 2], NEAR_M * 0.5)
        out = np.empty((len(p), 2), np.float32)
        out[:, 0] = self.u0 + (p[:, 0] - self.lateral) * scale
        out[:, 1] = self.v0 - (p[:, 1] - self.height) * scale
        return out

    def street(self, points: Sequence[tuple[float, float, float]]) -> Floats:
        """Project points given in street coordinates."""
        return self.project([self.at(*p) for p in points])


@dataclass
class Canvas:
    """Colour, class and nearness (1 / metres) of each pixel, painted far to near by the same calls."""

    height: int
    width: int
    image: NDArray[np.uint8] = field(init=False)
    mask: NDArray[np.uint8] = field(init=False)
    nearness: Floats = field(init=False)
    glows: list[tuple[float, float, float, float, Floats]] = field(default_factory=list)  # u, v, radius, nearness, RGB

    def __post_init__(self) -> None:
        self.image = np.zeros((self.height, self.width, 3), np.uint8)
        self.mask = np.full((self.height, self.width), VOID, np.uint8)
        self.nearness = np.zeros((self.height, self.width), np.float32)

    def polygon(
        self, points: Floats, colour: ArrayLike, label: int, depth: float, fade: tuple[float, float] | None = None
    ) -> None:
        """Fill a polygon; ``fade`` multiplies the colour from its top to its bottom edge."""
        window = self._window(points)
        if window is None:
            return
        fixed = _fixed(points)
        rgb = np.asarray(colour, np.float32)
        ys, xs = window
        if fade is None or (ys.stop - ys.start) < 6:
            cv2.fillPoly(self.image, [fixed], rgb.tolist(), shift=_SUBPIXEL_BITS)
        else:
            stencil = self.stencil(points, window)
            top, bottom = float(points[:, 1].min()), float(points[:, 1].max())
            t = (np.arange(ys.start, ys.stop, dtype=np.float32) - top) / max(1.0, bottom - top)
            rows = np.clip((fade[0] + (fade[1] - fade[0]) * t)[:, None] * rgb, 0, 255).astype(np.uint8)
            block = np.ascontiguousarray(np.broadcast_to(rows[:, None], (len(rows), xs.stop - xs.start, 3)))
            cv2.copyTo(block, stencil, self.image[ys, xs])
        cv2.fillPoly(self.mask, [fixed], label, shift=_SUBPIXEL_BITS)
        cv2.fillPoly(self.nearness, [fixed], 1 / depth, shift=_SUBPIXEL_BITS)

    def quad(self, corners: Floats, texture: NDArray[np.uint8], label: int, depths: Sequence[float]) -> None:
        """Map a texture onto a quad: top left, top right, bottom right, bottom left, and these corners' depths."""
        window = self._window(corners)
        if window is None:
            return
        ys, xs = window
        sides = np.linalg.norm(corners - np.roll(corners, -1, 0), axis=1)
        w = int(np.clip(max(sides[0], sides[2]), 2, texture.shape[1]))
        h = int(np.clip(max(sides[1], sides[3]), 2, texture.shape[0]))
        if (h, w) != texture.shape[:2]:
            texture = cv2.resize(texture, (w, h), interpolation=cv2.INTER_AREA)
        target = (corners - [xs.start, ys.start]).astype(np.float32)
        source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        size = (xs.stop - xs.start, ys.stop - ys.start)
        matrix = cv2.getPerspectiveTransform(source, target)
        warped = cv2.warpPerspective(texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        stencil = self.stencil(corners, window)
        cv2.copyTo(warped, stencil, self.image[ys, xs])
        self.mask[ys, xs][stencil > 0] = label
        plane = np.linalg.lstsq(np.c_[target, np.ones(4)], 1 / np.asarray(depths), rcond=None)[0]
        near = plane[0] * np.arange(size[0])[None] + plane[1] * np.arange(size[1])[:, None] + plane[2]
        cv2.copyTo(near.astype(np.float32), stencil, self.nearness[ys, xs])

    def stroke(self, a: ArrayLike, b: ArrayLike, width: float, colour: ArrayLike, label: int, depth: float) -> None:
        """Draw a thick line with round ends from ``a`` to ``b`` (pixels)."""
        start, end = ([round(min(max(v, -3e4), 3e4) * 16) for v in np.asarray(p).tolist()] for p in (a, b))
        thick = max(1, round(width))
        rgb = np.asarray(colour, np.float32).tolist()
        for plane, value in ((self.image, rgb), (self.mask, label), (self.nearness, 1 / depth)):
            cv2.line(plane, start, end, value, thick, cv2.LINE_8, _SUBPIXEL_BITS)

    def disc(
        self, centre: ArrayLike, radius: float | tuple[float, float], colour: ArrayLike, label: int, depth: float
    ) -> None:
        """Fill an upright ellipse with this radius (or horizontal and vertical radius) in pixels."""
        rx, ry = radius if isinstance(radius, tuple) else (radius, radius)
        angle = np.linspace(0, 2 * math.pi, 20, endpoint=False)
        ring = np.stack([np.cos(angle) * rx, np.sin(angle) * ry], 1) + np.asarray(centre)
        self.polygon(ring.astype(np.float32), colour, label, depth)

    def glow(self, point: ArrayLike, radius: float, depth: float, colour: ArrayLike) -> None:
        """Remember a light source; it shines at the end if nothing has been painted in front of it."""
        u, v = np.asarray(point, np.float32)
        self.glows.append((float(u), float(v), radius, 1 / depth, np.asarray(colour, np.float32)))

    def stencil(self, points: Floats, window: tuple[slice, slice]) -> NDArray[np.uint8]:
        """Return the polygon as a 0/255 mask of the window."""
        ys, xs = window
        out = np.zeros((ys.stop - ys.start, xs.stop - xs.start), np.uint8)
        cv2.fillPoly(out, [_fixed(points - np.array([xs.start, ys.start], np.float32))], 255, shift=_SUBPIXEL_BITS)
        return out

    def _window(self, points: Floats) -> tuple[slice, slice] | None:
        (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
        if x1 < 0 or y1 < 0 or x0 >= self.width or y0 >= self.height:
            return None
        ys = slice(max(0, int(y0)), min(self.height, int(y1) + 2))
        return ys, slice(max(0, int(x0)), min(self.width, int(x1) + 2))


def _fixed(points: Floats) -> NDArray[np.int32]:
    """Pixels as the fixed-point integers that OpenCV draws with, kept inside its range."""
    out: NDArray[np.int32] = np.rint(np.minimum(np.maximum(points, -3e4), 3e4) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    return out
