"""What stopped a run, in a sentence. Imports no torch, so that a command that needs none starts at once."""

import errno
import sys


class TrainingError(ValueError):
    """Training cannot go on; the message says why and what to do."""


def explain(error: Exception) -> str:
    """Turn what stopped a run into a sentence that says what to do."""
    cause: BaseException | None = error
    while cause is not None:  # torch wraps it, safetensors only says it
        full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or f"os error {errno.ENOSPC}" in str(cause):
            return "the disk is full; free some space and run the same command: it goes on from the last epoch"
        cause = cause.__cause__ or cause.__context__
    torch = sys.modules.get("torch")
    if torch and isinstance(error, torch.OutOfMemoryError):
        return "the device is out of memory; lower batch_size or crop_px, raise accumulate"
    text = str(error).strip()
    return text.splitlines()[-1] if text else type(error).__name__
