"""A data set's own files as they are stored: images and masks in the same frame, ids as numbers whatever the PNG's kind.

Unlike `seglab.images`, which lets strangers' files in, this trusts the files: no caps, and OpenCV's speed.
"""

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglab.data.dataset import Sample
from seglab.images import exif_orientation, to_ids, turn
from seglab.labels import VOID


def read_pair(image_path: Path, mask_path: Path, turned: bool = False) -> Sample:
    """Read an image and its mask, both as stored.

    Args:
        image_path: an orientation in its EXIF is left alone, for nobody turned the mask: upside down, nothing would show it.
        mask_path: of the same size.
        turned: turn both as the image's EXIF says.

    Raises:
        ValueError: where one of them cannot be read, or their sizes differ.
    """
    image, mask = read_image(image_path), read_mask(mask_path)
    if image.shape[:2] != mask.shape:
        raise ValueError(
            f"expected a mask of {image.shape[:2]} pixels for {image_path}, got {mask.shape} in {mask_path}"
        )
    if turned and (how := orientation(image_path)) > 1:
        return np.ascontiguousarray(turn(image, how)), np.ascontiguousarray(turn(mask, how))
    return image, mask


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a data set's image as ``(H, W, 3)`` RGB, as stored.

    Raises:
        ValueError: where the file cannot be read as an image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f"expected an image in {path}, could not read it; fetch the file again")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read a data set's mask as ``(H, W)`` ids: grey levels or palette indices, never a palette's colours.

    Raises:
        ValueError: where the file is not a mask of at most 8 bits.
    """
    data = path.read_bytes() if path.is_file() else b""
    mask = _indices(data) if _is_stretched(data) else _grey(data)
    if mask is None:
        raise ValueError(
            f"expected an 8-bit single-channel mask of class ids (grey or palette) in {path}, got something else"
        )
    return mask


def orientation(path: Path) -> int:
    """Return the EXIF orientation, 1 to 8, in the header of a JPEG or PNG; 1 where there is none."""
    try:
        with Image.open(path, formats=["JPEG", "PNG"]) as image:
            return exif_orientation(image.info.get("exif"))
    except Exception:  # anything, from inside Pillow; reading the pixels will say what is wrong
        return 1


def tagged_stems(pairs: Iterable[tuple[str, Path, Path]]) -> Sequence[str]:
    """List the stems whose image's EXIF says that it is to be turned."""
    return [stem for stem, image, _ in pairs if orientation(image) > 1]


def check_ids(mask: NDArray[np.uint8], num_classes: int, path: Path) -> None:
    """Refuse ids that are neither a class nor void.

    Raises:
        ValueError: naming the file and the ids.
    """
    ids = np.unique(mask)
    wrong = [int(i) for i in ids if i >= num_classes and i != VOID]
    if wrong:
        raise ValueError(
            f"expected ids 0..{num_classes - 1} or void in {path}, got {wrong[:8]}; is this mask of another label space?"
        )


def _is_stretched(data: bytes) -> bool:
    """Tell a PNG that OpenCV reads otherwise than stored: a palette as its colours, ids of 1 to 4 bits times 17 and more."""
    return data.startswith(b"\x89PNG") and len(data) > 25 and (data[25] == 3 or (data[25] == 0 and data[24] < 8))


def _indices(data: bytes) -> NDArray[np.uint8] | None:
    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            return to_ids(image).astype(np.uint8)
    except Exception:  # a broken file can raise nearly anything from inside Pillow
        return None


def _grey(data: bytes) -> NDArray[np.uint8] | None:
    mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    return np.asarray(mask) if mask is not None and mask.ndim == 2 and mask.dtype == np.uint8 else None
