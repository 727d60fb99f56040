"""Let torchvision import beside a CPU build of torch.

PyPI's torchvision is a CUDA build; next to a CPU torch its import stops with "operator torchvision::nms does not
exist". Defining the two operators' schemas first mends that. On a machine where torchvision's own library loads, this
module changes nothing. Nothing in seglab calls either operator.
"""

import importlib.util
from pathlib import Path
from typing import Any

import torch

_KEPT_ALIVE: list[torch.library.Library] = []


def mend_torchvision() -> bool:
    """Define the schemas of ``nms`` and ``qnms`` where torchvision's own library cannot load.

    Returns:
        True where schemas had to be defined, False where torchvision works as installed (or is not there).
    """
    if _KEPT_ALIVE:
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or hasattr(torch.ops.torchvision, "nms"):
        return False
    for library in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
            return False
        except OSError:
            continue
    fragment: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    fragment.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    fragment.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT_ALIVE.append(fragment)
    return True
