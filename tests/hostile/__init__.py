"""A corpus of files that people, cameras and attackers send: odd, broken and malicious, all made here from a seed.

``corpus()`` lists over 350 small files; each says whether `seglab.images.open_photo` must accept or refuse it, so that
the command line and the browser can be tested with the same list. ``scene()`` is the picture inside the valid ones.
"""

from functools import cache

from tests.hostile import common, phones, rasters
from tests.hostile.build import (
    IDS,
    STORED,
    Case,
    chunk,
    encoded,
    exif,
    grey_tags,
    near,
    png,
    scene,
    tiff,
    tiff_frame,
)

__all__ = [
    "IDS",
    "STORED",
    "Case",
    "chunk",
    "corpus",
    "encoded",
    "exif",
    "grey_tags",
    "near",
    "png",
    "scene",
    "tiff",
    "tiff_frame",
]


@cache
def corpus() -> tuple[Case, ...]:
    """Return every case, always the same ones in the same order."""
    return (*common.cases(), *rasters.cases(), *phones.cases())
