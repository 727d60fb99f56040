"""The other side of :mod:`seglab.predict.apart`: loads one model and answers what comes in, until nothing more does.

``python -m seglab.explain.child PATH`` reads questions from its input and writes answers to its output; what libraries print
goes nowhere. Grad-CAM is answered here too, because the network is.
"""

import os
import resource
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seglab.predict.apart import Arrays, Said, described, receive, send

if TYPE_CHECKING:
    from seglab.explain.gradcam import Explainer, Look
    from seglab.predict.segmenter import Segmenter

MAX_LOOKS = 2


class Child:
    """What the process holds: a model, and the forwards that Grad-CAM maps were last asked of."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._segmenter: Segmenter | None = None
        self._looks: OrderedDict[tuple[str, bytes], tuple[Explainer, Look, Any]] = OrderedDict()

    def answer(self, said: Said, arrays: Arrays) -> tuple[Said, Arrays]:
        """Answer one question."""
        ask = said.get("ask")
        if ask == "describe":
            return self._describe(), ()
        assert self._segmenter is not None  # the first question is always what it is
        if ask == "prepare":
            self._segmenter.engine.prepare(tuple(said["shape"]))
            return {}, ()
        if ask == "scores":
            return {}, (self._segmenter.engine.scores(arrays[0]),)
        return self._explained(said, arrays)

    def _describe(self) -> Said:
        from seglab.predict.segmenter import Segmenter
        from seglab.predict.sources import open_model

        model = open_model(self._path)
        self._segmenter = Segmenter(model)
        pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
        if self._segmenter.predict(pixels).labels.shape != pixels.shape[:2]:
            raise ValueError(f"{Path(self._path).name} answers labels of another size than the picture")
        return described(model) | {"engine": self._segmenter.engine.name, "note": self._segmenter.engine_note}

    def _explained(self, said: Said, arrays: Arrays) -> tuple[Said, Arrays]:
        from seglab.explain.gradcam import class_mean, deletion

        pixels = arrays[0]
        explainer, look, image = self._look(said["layer"], pixels)
        if said["ask"] == "look":
            return {}, (look.labels,)
        target = class_mean(said["class_id"], arrays[1].astype(bool))
        raw = look.cam(target, said["method"])
        if said["ask"] == "cam":
            return {"value": float(target(look.scores.detach()))}, (raw,)
        return {}, deletion(explainer, image, raw, target, said["shares"])

    def _look(self, layer: str, pixels: NDArray[np.uint8]) -> "tuple[Explainer, Look, Any]":
        from seglab.explain.gradcam import Explainer, as_image

        key = (layer, pixels.tobytes())
        if key not in self._looks:
            while len(self._looks) >= MAX_LOOKS:
                self._looks.popitem(last=False)
            assert self._segmenter is not None
            explainer, image = Explainer(self._segmenter.model.source.network(), layer), as_image(pixels)
            self._looks[key] = (explainer, explainer.look(image), image)
        return self._looks[key]


def memory_bytes() -> int:
    """Return what this process holds in memory."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def _stay_small() -> None:
    """Where memory runs out, let this process be the one that is told, or else taken."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(OSError, ValueError):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
        cached = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable")]
        room = max(free, *(int(line.split()[1]) * 1024 for line in cached))
        resource.setrlimit(resource.RLIMIT_DATA, (room, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def main(path: str) -> int:
    """Answer questions until the other side is gone."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print; nothing of that may come between the answers
    _stay_small()
    child, name = Child(path), Path(path).name
    while True:
        try:
            said, arrays = receive(questions)
        except EOFError:
            return 0
        out: Arrays = ()
        try:
            found, out = child.answer(said, arrays)
        except MemoryError:
            found = {"error": f"{name} needs more memory than this machine has"}
        except Exception as error:  # whatever a stranger's model upsets
            text = str(error).strip()
            found = {"error": (text.splitlines()[0] if text else type(error).__name__)[:800]}
            if "not enough memory" in text or "bad_alloc" in text:
                found = {"error": f"{name} needs more memory than this machine has"}
        send(answers, found | {"memory_bytes": memory_bytes()}, out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
