"""A mask keeps its stored ids, or is refused with the reason."""

import numpy as np
import pytest
from PIL import Image

from seglab.images import ImageError, open_mask
from tests import hostile
from tests.hostile import IDS, encoded, scene


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_mask_keeps_its_ids_in_grey_and_in_palette(bits: int) -> None:
    ids = IDS % np.uint8(min(2**bits, 4))
    packed = np.packbits(np.unpackbits(ids[..., None], axis=2)[..., 8 - bits :].reshape(48, -1), axis=1)
    body = b"".join(b"\0" + row.tobytes() for row in packed)
    palette = hostile.chunk(b"PLTE", bytes(range(255, 255 - 3 * 2 ** min(bits, 6), -1)))
    for colour, extra in ((0, b""), (3, palette)):
        np.testing.assert_array_equal(open_mask(hostile.png(64, 48, bits, colour, body, extra)), ids)


def test_a_sixteen_bit_mask_is_read_while_its_ids_fit() -> None:
    wide = IDS.astype(np.uint16)
    wide[5, 5] = 255
    np.testing.assert_array_equal(open_mask(encoded("PNG", Image.fromarray(wide))), wide)
    wide[5, 5] = 256
    with pytest.raises(ImageError, match="up to 256"):
        open_mask(encoded("PNG", Image.fromarray(wide)))


def test_a_mask_is_not_turned() -> None:
    np.testing.assert_array_equal(open_mask(encoded("PNG", IDS, exif=hostile.exif(6))), IDS)


def test_masks_that_hold_no_exact_ids_are_refused() -> None:
    for data, says in (
        (encoded("PNG"), "colours"),
        (encoded("PNG", Image.fromarray(scene()).convert("RGBA")), "colours"),
        (encoded("PNG", Image.fromarray(scene()).convert("LA")), "colours"),
        (encoded("JPEG", IDS), "lossy"),
        (encoded("WEBP"), "lossy"),
        (b"", "empty"),
    ):
        with pytest.raises(ImageError, match=says):
            open_mask(data)
    with pytest.raises(ImageError, match="mask is 64 x 48 pixels, the photo 64 x 50"):
        open_mask(encoded("PNG", IDS), size=(50, 64))
    assert open_mask(encoded("PNG", IDS), size=(48, 64)).shape == (48, 64)
