"""A stranger's model is loaded and asked once in a process of its own first: one that crashes takes nothing else along.

``python -m seglab.predict.vetting PATH`` prints one JSON object, ``{}`` or ``{"error": "one sentence"}``.
"""

import json
import subprocess
import sys
from pathlib import Path

LIMIT_S = 180.0


def vet(path: Path, limit_s: float = LIMIT_S) -> None:
    """Load a model in a child process and let it answer one small picture.

    Args:
        path: a folder or a file, as :func:`seglab.predict.sources.open_model` takes it.
        limit_s: seconds until the child is stopped.

    Raises:
        ValueError: where it cannot be used, crashes its process, needs more memory than there is, or takes too long.
    """
    command = [sys.executable, "-m", "seglab.predict.vetting", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_s, check=False, cwd=Path(__file__).parents[2])
    except subprocess.TimeoutExpired:
        raise ValueError(f"{path.name} did not answer a small picture within {limit_s:.0f} s") from None
    if done.returncode == -9:
        raise ValueError(f"{path.name} was stopped while it was loaded: it needs more memory than this machine has")
    try:
        said = json.loads(done.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
    except (ValueError, IndexError):
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise ValueError(f"{path.name} crashed the process that loaded it ({how}), so it is not used") from None
    if error := said.get("error"):
        raise ValueError(str(error))


def main(path: str) -> int:
    """Load and ask the model; print what came of it."""
    import numpy as np

    from seglab.predict.segmenter import Segmenter
    from seglab.predict.sources import open_model

    said = {}
    try:
        pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
        labels = Segmenter(open_model(path), "torch").predict(pixels).labels
        if labels.shape != pixels.shape[:2]:
            said = {"error": f"{Path(path).name} answers labels of another size than the picture"}
    except MemoryError:
        said = {"error": f"{Path(path).name} needs more memory than this machine has"}
    except Exception as error:  # whatever a stranger's model upsets
        text = str(error).strip()
        said = {"error": (text.splitlines()[0] if text else type(error).__name__)[:800]}
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
