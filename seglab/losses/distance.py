"""Signed distance maps of every class of a label map, exact and fast enough to be computed in the loader.

Squared distances are the lower envelope of parabolas, found by erosion with growing steps: a pixel that takes its
neighbour's value plus 1, then 3, then 5 … has added ``n^2`` after ``n`` steps, and any other path adds more (van den
Boomgaard et al., The morphological structure of images, 1996). The kernels below take one row each, so that the compiler
turns them into a few wide instructions; ``far`` is one more than the clip.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

IGNORE_INDEX = 255
_TILE = 64  # px of a row that are looked at together
_ROUND = 8  # steps between two looks, even


def signed_distance_maps(
    target: NDArray[np.uint8], num_classes: int, ignore_index: int = IGNORE_INDEX, clip_px: int = 127
) -> NDArray[np.int8]:
    """Return each class's signed Euclidean distance to the nearest pixel of the opposite set.

    Args:
        target: ``(H, W)`` class ids; ``ignore_index`` is outside every class.
        num_classes: C.
        ignore_index: id that is no class.
        clip_px: distances are clipped to ``[-clip_px, clip_px]``, 1 to 127.

    Returns:
        ``(C, H, W)`` int8 pixels: outside positive, inside negative, rounded half to even. A class that is absent or fills
        the image is 0 everywhere.

    Raises:
        ValueError: where ``target`` is no ``(H, W)`` uint8 map, an id is outside its range, or an argument is.

    Source: the maps of Kervadec et al., Boundary loss for highly unbalanced segmentation, MIDL 2019; equal to
    ``rint(edt(~m) - edt(m))`` with SciPy's ``distance_transform_edt``, clipped.

    >>> signed_distance_maps(np.array([[0, 1, 1, 1]], np.uint8), 2)[0].tolist()
    [[-1, 1, 2, 3]]
    """
    if target.ndim != 2 or target.dtype != np.uint8:
        raise ValueError(f"expected a target (H, W) of uint8, got {target.shape} of {target.dtype}")
    if not 1 <= clip_px <= 127:
        raise ValueError(f"expected clip_px of 1 to 127 (the maps are int8), got {clip_px}")
    counts = np.bincount(target.ravel(), minlength=256)
    wrong = [int(i) for i in np.flatnonzero(counts) if i >= num_classes and i != ignore_index]
    if wrong:
        raise ValueError(f"expected class ids below {num_classes} or {ignore_index}, got {wrong[:8]}")
    maps = np.zeros((num_classes, *target.shape), np.int8)
    wanted = [c for c in range(num_classes) if 0 < counts[c] < target.size and c != ignore_index]
    if wanted:
        target = np.ascontiguousarray(target)
        inside = _inside(target, np.uint8(clip_px + 1))
        column = np.empty(target.shape, np.uint8)
        for c in wanted:
            _signed(target, np.uint8(c), np.uint8(clip_px + 1), inside, column, maps[c])
    return maps


def _kernel(function: Any) -> Any:
    """Compile a function once and keep it on disk; it holds no lock of Python's."""
    return njit(cache=True, nogil=True)(function)


@_kernel
def _far_row(width: int, far: np.uint8) -> NDArray[np.uint16]:
    """Return a row of squared distances with nothing near, one pixel wider on both sides."""
    return np.full(width + 2, np.uint16(far) * np.uint16(far), np.uint16)


@_kernel
def _step(row: NDArray[np.uint16], add: np.uint16, out: NDArray[np.uint16]) -> None:
    """Take one step of the erosion from ``row`` to ``out``."""
    left, here, right, inner = row[:-2], row[1:-1], row[2:], out[1:-1]
    for x in range(len(inner)):
        inner[x] = min(np.uint16(min(left[x], right[x]) + add), here[x])


@_kernel
def _differ(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> bool:
    """Tell whether two rows differ."""
    any_bit = np.uint16(0)
    for x in range(len(a)):
        any_bit |= np.uint16(a[x] ^ b[x])
    return bool(any_bit)


@_kernel
def _erode(row: NDArray[np.uint16], spare: NDArray[np.uint16], first: int, last: int) -> None:
    """Take the erosion's steps from ``first`` to at least ``last`` in ``row``; ``spare`` is room of the same width.

    A pixel can only change beside one that changed in the step before. So of every ``_ROUND`` steps only the tiles that
    changed in the last one, and their neighbours, are taken on; an even number of steps ends in ``row`` again.
    """
    width = len(row) - 2
    tiles = (width + _TILE - 1) // _TILE
    active = np.ones(tiles + 2, np.bool_)
    changed = np.zeros(tiles + 2, np.bool_)
    for k in range(first, last + 1, _ROUND):
        tile = 1
        changed[:] = False
        while tile <= tiles:
            if not active[tile]:
                tile += 1
                continue
            stop = tile + 1
            while stop <= tiles and active[stop]:
                stop += 1
            low, high = (tile - 1) * _TILE, min((stop - 1) * _TILE, width)
            a, b = row[low : high + 2], spare[low : high + 2]
            for step in range(k, k + _ROUND, 2):
                _step(a, np.uint16(2 * step - 1), b)
                _step(b, np.uint16(2 * step + 1), a)
            for t in range(tile, stop):
                end = min(t * _TILE, width) + 1
                changed[t] = _differ(row[(t - 1) * _TILE + 1 : end], spare[(t - 1) * _TILE + 1 : end])
            tile = stop
        if not changed.any():
            return
        for t in range(1, tiles + 1):
            active[t] = changed[t - 1] or changed[t] or changed[t + 1]


@_kernel
def _since_label(above: NDArray[np.uint8], target: NDArray[np.uint8], c: np.uint8, far: np.uint8, out: Any) -> None:
    """Count rows since the last pixel of class ``c``, up to ``far``."""
    for x in range(len(target)):
        grown = np.uint8(above[x] + np.uint8(above[x] < far))
        out[x] = np.uint8(0) if target[x] == c else grown


@_kernel
def _since_change(above: Any, before: NDArray[np.uint8], target: NDArray[np.uint8], far: np.uint8, out: Any) -> None:
    """Count rows since the last pixel of another id than the one here, up to ``far``."""
    for x in range(len(target)):
        grown = np.uint8(above[x] + np.uint8(above[x] < far))
        out[x] = grown if target[x] == before[x] else np.uint8(1)


@_kernel
def _square_nearest(above: NDArray[np.uint8], below: NDArray[np.uint8], row: NDArray[np.uint16]) -> np.uint8:
    """Write the square of the nearer of two vertical distances; return the least distance."""
    least = np.uint8(255)
    for x in range(len(above)):
        near = above[x] if above[x] < below[x] else below[x]
        row[x + 1] = np.uint16(near) * np.uint16(near)
        least = near if near < least else least
    return least


@_kernel
def _root(row: NDArray[np.uint16], far: np.uint8, out: NDArray[np.int8]) -> None:
    """Write rounded roots, clipped to ``far - 1``."""
    most = np.float32(far) - np.float32(1)
    for x in range(len(out)):
        out[x] = np.int8(min(np.rint(np.sqrt(np.float32(row[x + 1]))), most))


@_kernel
def _first_step(row: NDArray[np.uint16], target: NDArray[np.uint8], out: NDArray[np.uint16]) -> None:
    """Take the erosion's first step where a neighbour of another id is a site: 0 away from itself."""
    width = len(target)
    for x in range(width):
        near = row[x + 1]
        if x > 0:
            left = np.uint16(row[x] + 1) if target[x - 1] == target[x] else np.uint16(1)
            near = left if left < near else near
        if x + 1 < width:
            right = np.uint16(row[x + 2] + 1) if target[x + 1] == target[x] else np.uint16(1)
            near = right if right < near else near
        out[x + 1] = near


@_kernel
def _inside(target: NDArray[np.uint8], far: np.uint8) -> NDArray[np.int8]:
    """Return each pixel's distance to the nearest pixel of another id, for all ids at once.

    Beside a border both sides are at most 1 away, so no later step of the erosion carries anything across it.
    """
    height, width = target.shape
    out = np.empty(target.shape, np.int8)
    above = np.empty(target.shape, np.uint8)
    below = np.full(width, far, np.uint8)
    row, spare = _far_row(width, far), _far_row(width, far)
    above[0] = far
    for y in range(1, height):
        _since_change(above[y - 1], target[y - 1], target[y], far, above[y])
    for y in range(height - 1, -1, -1):
        if y + 1 < height:
            _since_change(below, target[y + 1], target[y], far, below)
        _square_nearest(above[y], below, row)
        _first_step(row, target[y], spare)
        _erode(spare, row, 2, int(far) - 1)
        _root(spare, far, out[y])
    return out


@_kernel
def _negate(target: NDArray[np.uint8], c: np.uint8, inside: NDArray[np.int8], out: NDArray[np.int8]) -> None:
    """Put the negative inside distance where the class is."""
    for x in range(len(out)):
        out[x] = np.int8(-inside[x]) if target[x] == c else out[x]


@_kernel
def _signed(
    target: NDArray[np.uint8],
    c: np.uint8,
    far: np.uint8,
    inside: NDArray[np.int8],
    above: NDArray[np.uint8],
    out: NDArray[np.int8],
) -> None:
    """Write the signed map of class ``c``, with ``above`` as room to work in."""
    height, width = target.shape
    nothing = np.full(width, far, np.uint8)
    below = nothing.copy()
    row, spare = _far_row(width, far), _far_row(width, far)
    for y in range(height):
        _since_label(above[y - 1] if y else nothing, target[y], c, far, above[y])
    for y in range(height - 1, -1, -1):
        _since_label(below, target[y], c, far, below)
        if _square_nearest(above[y], below, row) == far:
            out[y] = far - 1
            continue
        _erode(row, spare, 1, int(far) - 1)
        _root(row, far, out[y])
        _negate(target[y], c, inside[y], out[y])
