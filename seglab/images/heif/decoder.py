"""Decode a HEIC in a process of its own, so that a file that crashes the decoder costs one sentence and not the server."""

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from PIL import Image

from seglab.images.formats import MAX_PIXELS, ImageError

_CHILD = Path(__file__).with_name("child.py")
_PATIENCE_S = 60.0
_AT_ONCE = threading.BoundedSemaphore(2)  # each may take most of a gibibyte


def decode_heic(data: bytes, name: str) -> Image.Image:
    """Return the primary picture, turned as the container says, 8 bits a channel, with its colour profile.

    Raises:
        ImageError: where the decoder fails, crashes, or needs too long.
    """
    with _AT_ONCE:
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise ImageError(
                f"{name} cannot be decoded here, for no process could be started; save it as a JPEG."
            ) from error
        late = threading.Event()

        def give_up() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(_PATIENCE_S, give_up)
        timer.start()
        try:
            return _answer(child, data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if late.is_set():
                raise ImageError(f"{name} takes too long to decode; save it as a JPEG.") from error
            raise ImageError(
                f"{name} is damaged, or a HEIC of an unusual kind; export it again as a JPEG or PNG."
            ) from error
        finally:
            timer.cancel()
            timer.join()
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                assert pipe is not None
                with suppress(OSError):  # the input of a child that is gone
                    pipe.close()


def _answer(child: "subprocess.Popen[bytes]", data: bytes) -> Image.Image:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(data)
    child.stdin.close()
    head = json.loads(child.stdout.readline(1000))
    (width, height), mode, stride = head["size"], head["mode"], head["stride"]
    if not 0 < width * height <= MAX_PIXELS or mode not in ("RGB", "RGBA", "RGBa", "L", "LA", "La"):
        raise ValueError(f"expected a picture, got {head}")
    profile = child.stdout.read(head["profile"])
    pixels = child.stdout.read(stride * height)
    image = Image.frombytes(mode, (width, height), pixels, "raw", mode, stride)
    if profile:
        image.info["icc_profile"] = profile
    return image
