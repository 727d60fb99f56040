"""The one door for pixels from outside: decode, check, orient, resize, blend, encode; what is odd is refused in one sentence.

A photo is a ``(H, W, 3)`` ``uint8`` RGB array, a mask or label map ``(H, W)`` ``uint8`` ids with 255 for void. Import the
names below from here; the modules are for each other and for their own tests. This folder imports nothing else of seglab.
"""

from seglab.images.decode import to_ids, turn
from seglab.images.door import Photo, open_mask, open_photo
from seglab.images.drawing import blend, resize, resize_labels
from seglab.images.encode import data_url, encode_jpeg, encode_png
from seglab.images.formats import FORMATS, MAX_ASPECT, MAX_BYTES, MAX_PIXELS, MIN_SIDE_PX, SUFFIXES, ImageError, Source
from seglab.images.headers import exif_orientation
from seglab.images.names import safe_stem

__all__ = [
    "FORMATS",
    "MAX_ASPECT",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MIN_SIDE_PX",
    "SUFFIXES",
    "ImageError",
    "Photo",
    "Source",
    "blend",
    "data_url",
    "encode_jpeg",
    "encode_png",
    "exif_orientation",
    "open_mask",
    "open_photo",
    "resize",
    "resize_labels",
    "safe_stem",
    "to_ids",
    "turn",
]
