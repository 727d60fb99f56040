"""Files in ``results/``: written whole or not at all, read as if somebody else had written them."""

import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
# What a damaged or lying archive makes NumPy, zlib and JSON raise.
_DAMAGE = (
    *(ValueError, TypeError, OSError, EOFError, KeyError, AttributeError, MemoryError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError),
)


class RunError(ValueError):
    """A run's record that cannot be used; the message says what is wrong and what to do."""


def check_name(name: str, what: str) -> str:
    """Return ``name`` where it is safe as a folder name.

    Raises:
        RunError: for anything but lower-case letters, digits, dot, dash and underscore.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise RunError(f"expected {what} of lower-case letters, digits, '.', '-' and '_' (at most 80), got {name!r}")
    return name


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part."""
    partial = path.with_name(path.name + ".tmp")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def open_npz(path: Path, problem: str, max_bytes: int) -> Iterator[Any]:
    """Open an archive of arrays that may come from outside; what is read from it counts as part of it.

    Raises:
        RunError: with ``problem`` where it is missing, damaged, lies about itself, or unpacks to more than ``max_bytes``.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(part.file_size for part in file.zip.infolist()) > max_bytes:
                raise RunError(f"{problem}: it unpacks to more than {max_bytes >> 20} MiB")
            yield file
    except RunError:
        raise
    except _DAMAGE:
        raise RunError(problem) from None
