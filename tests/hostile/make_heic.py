"""Write the HEIC files beside this one: ``python -m tests.hostile.make_heic``, after ``pip install pillow-heif==1.8.1``.

Nothing that the project installs encodes HEIC (that package's x265 is GPL), so these few hundred bytes are kept;
`tests.hostile.phones` builds every other file around their coded pictures.
"""

from pathlib import Path

import numpy as np
import pillow_heif

from tests.hostile.build import scene

FOLDER = Path(__file__).parent


def main() -> None:
    """Encode the scene, the scene half transparent, and a ramp of ten bits."""
    alpha = np.dstack([scene(), np.repeat([0, 255], 24).astype(np.uint8)[:, None].repeat(64, 1)])
    ramp = np.repeat(np.arange(0, 1024, 16, dtype=np.uint16)[None, :, None], 64, 0).repeat(3, 2)
    for name, mode, pixels, options in (
        ("scene", "RGB", scene(), {"quality": 60}),
        ("alpha", "RGBA", alpha, {"quality": 60}),
        ("ramp-10bit", "RGB;10", ramp, {"quality": -1, "chroma": 444}),
    ):
        size = (pixels.shape[1], pixels.shape[0])
        file = pillow_heif.from_bytes(mode, size, np.ascontiguousarray(pixels).tobytes())
        file.save(FOLDER / f"{name}.heic", **options)


if __name__ == "__main__":
    main()
