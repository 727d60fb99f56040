"""Whether a run is being trained at this moment: trainers hold a lock on its folder while they write."""

from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on Windows; trainers do not run there
    fcntl = None  # type: ignore[assignment]

LOCK = "run.lock"


def is_locked(folder: Path) -> bool:
    """Tell whether some process of this machine holds the run's lock.

    Looking takes the lock for a moment; trainers wait longer than that before they give up.
    """
    if fcntl is None:
        return False
    try:
        with open(folder / LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False
