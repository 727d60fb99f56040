"""A process that decodes one HEIC from its standard input: libheif and its HEVC decoder are C++ and crash on some files.

The answer is one JSON line (mode, size, stride, how many bytes of colour profile), then the profile, then the pixels. Nothing of
seglab is imported, so that it starts in a twentieth of a second.
"""

import json
import sys
from contextlib import suppress

MEMORY = 2 * 2**30  # address space; 50 megapixels take about 0.7 GiB
SECONDS = 30


def main() -> None:
    """Decode, within limits that this process sets itself."""
    try:
        import resource
    except ImportError:  # Windows has none
        pass
    else:
        for limit, most in (("RLIMIT_AS", MEMORY), ("RLIMIT_CPU", SECONDS), ("RLIMIT_CORE", 0)):
            with suppress(ValueError, OSError):  # macOS and containers forbid some
                resource.setrlimit(getattr(resource, limit), (most, most))
    import pi_heif

    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    pi_heif.options.DECODE_THREADS = 2
    file = pi_heif.open_heif(sys.stdin.buffer.read(), convert_hdr_to_8bit=True)
    image = file[file.primary_index]
    pixels, profile = image.data, image.info.get("icc_profile") or b""
    head = {"mode": image.mode, "size": image.size, "stride": image.stride, "profile": len(profile)}
    out = sys.stdout.buffer
    out.write(json.dumps(head).encode() + b"\n")
    out.write(profile)
    out.write(pixels)
    out.flush()


if __name__ == "__main__":
    main()
