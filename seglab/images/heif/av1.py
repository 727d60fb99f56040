"""The size that an AV1 picture claims in its own sequence header, in front of the pixels.

Source: AV1 bitstream and decoding process specification, sections 5.3 (open bitstream units) and 5.5 (sequence header).
"""

_MAX_UNITS = 2**14
_MAX_FRAMES = 16  # a still picture has one, or one a layer; hidden ones cost as much as shown ones
_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6


class _Bits:
    """Unsigned numbers out of bytes, most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise ValueError("expected more bits")
        self.left -= count
        return self.value >> self.left & ((1 << count) - 1)


def coded_size(data: bytes) -> tuple[int, int]:
    """Return the greatest width and height that a picture's units claim.

    Raises:
        ValueError: where there is no sequence header, or there are far more frames than a still picture has.
    """
    sizes, frames = list[tuple[int, int]](), 0
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(data):
            break
        kind, flags = data[at] >> 3 & 15, data[at]
        at += 2 if flags & 4 else 1
        length, at = _leb128(data, at) if flags & 2 else (len(data) - at, at)
        if at + length > len(data):
            raise ValueError("expected a unit inside the picture")
        if kind == _HEADER:
            sizes.append(_sequence_size(data[at : at + min(length, 512)]))
        frames += kind in (_FRAME_HEADER, _FRAME)
        at += length
    if not sizes or at < len(data) or frames > _MAX_FRAMES:
        raise ValueError("expected the units of a still picture")
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, least significant first, and where it ends."""
    value = 0
    for i in range(8):
        byte = data[at + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError("expected a shorter number")


def _sequence_size(header: bytes) -> tuple[int, int]:
    bits = _Bits(header)
    bits.take(4)  # profile, still picture
    if bits.take(1):  # reduced header
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits, model = 0, 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            zeros = 0
            while not bits.take(1):
                zeros += 1
            bits.take(min(zeros, 32) if zeros < 32 else 0)
        model = bits.take(1)
        if model:
            delay_bits = bits.take(5) + 1
            bits.take(42)
    display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if model and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.take(1):
            bits.take(4)
