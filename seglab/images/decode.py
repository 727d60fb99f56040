"""An opened file to pixels: colours to 8-bit sRGB, ids as stored, transparency over white, the camera's rotation undone."""

from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from seglab.images.drawing import strips
from seglab.images.formats import ImageError

ID_MODES = ("L", "P", "1", "I;16", "I")  # grey and palette


def turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation: the last four lie on their side, half of all are mirrored."""
    if orientation >= 5:
        pixels = cv2.transpose(pixels)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)  # OpenCV: 0 upside down, 1 left to right, -1 both
    return pixels if flip is None else cv2.flip(pixels, flip)


def to_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Decode to ``(H, W, 3)`` uint8 sRGB, one strip of rows at a time, so that one extra frame is held, not four."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    rawmode = str(tiles[0].args) if tiles else ""
    image.load()
    width, height = image.size
    out = np.empty((height, width, 3), np.uint8)
    parts = [(rows, (0, rows.start, width, rows.stop)) for rows in strips(height, width)]
    if image.mode.startswith(("I", "F")):
        low, high = _range(image, [box for _, box in parts], "I;12" in rawmode, name)
        for rows, box in parts:
            scaled = (np.asarray(image.crop(box)).astype(np.float64) - low) * (255 / (high - low))
            out[rows] = np.rint(np.nan_to_num(scaled, nan=0.0).clip(0, 255)).astype(np.uint8)[..., None]
        return out
    clear = image.has_transparency_data
    mode = image.mode if image.mode in ("CMYK", "L") and not clear else "RGB"
    transform = _to_srgb(image.info.get("icc_profile"), mode)
    for rows, box in parts:
        strip = image.crop(box)
        if clear:
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        strip = strip.convert(mode)
        out[rows] = np.asarray(transform.apply(strip) if transform else strip.convert("RGB"))
    return out


def to_ids(image: ImageFile.ImageFile) -> NDArray[np.generic]:
    """Return the values of a PNG in one of `ID_MODES` as stored: grey levels or palette indices, of 1 to 16 bits."""
    rawmode = str(image.tile[0].args)
    ids = np.asarray(image)
    return ids // {"L;2": 85, "L;4": 17}[rawmode] if rawmode in ("L;2", "L;4") else ids  # which Pillow stretches


def _range(image: Image.Image, boxes: list[tuple[int, int, int, int]], bits_12: bool, name: str) -> tuple[float, float]:
    """Return the values that become black and white."""
    if image.mode.startswith("I;16"):
        return 0.0, 4095.0 if bits_12 else 65535.0
    low, high = np.inf, -np.inf
    for values in (np.asarray(image.crop(box)) for box in boxes):
        if (finite := values[np.isfinite(values)]).size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise ImageError(f"{name} holds no finite value; export it again as an 8-bit image.")
    return low, high if high > low else low + 1


def _to_srgb(icc: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return None
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):  # a bad profile, or no LittleCMS
        return None
