"""Pixels to bytes: PNG, JPEG, data URLs."""

import base64

import cv2
import numpy as np
from numpy.typing import NDArray


def encode_png(array: NDArray[np.uint8]) -> bytes:
    """Return a PNG of ``(H, W)`` grey or ids, or ``(H, W, 3)`` RGB, uint8; quick rather than small."""
    return _encode(array, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1])


def encode_jpeg(pixels: NDArray[np.uint8], quality: int = 88) -> bytes:
    """Return a JPEG of ``(H, W, 3)`` uint8 RGB."""
    return _encode(pixels, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def data_url(data: bytes, kind: str = "image/jpeg") -> str:
    """Return bytes as a data URL of a media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _encode(array: NDArray[np.uint8], suffix: str, options: list[int]) -> bytes:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ValueError(f"expected (H, W) or (H, W, 3) uint8, got {array.shape} {array.dtype}")
    ok, data = cv2.imencode(suffix, cv2.cvtColor(array, cv2.COLOR_RGB2BGR) if array.ndim == 3 else array, options)
    if not ok:
        raise ValueError(f"expected an array that fits a {suffix} file, got {array.shape}; make it smaller")
    return bytes(data)
