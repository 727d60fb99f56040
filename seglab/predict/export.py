"""A model for other runtimes: ONNX, OpenVINO or fp32 safetensors, kept only where its labels equal torch's.

The exported graph goes from a normalised image to class scores, post-processing included; a JSON file beside it says what goes in
and what comes out.
"""

import copy
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from seglab.images import safe_stem
from seglab.labels import space
from seglab.models import MEAN, STD
from seglab.models.mask2former import symbolic_sizes
from seglab.predict.engines import LEAST_EQUAL, Scorer, convert, import_openvino, openvino_core
from seglab.predict.model import Model
from seglab.predict.samples import SAMPLES, load_sample
from seglab.predict.scores import shrink_to_work
from seglab.predict.segmenter import to_input
from seglab.records.files import write_atomic

To = Literal["onnx", "openvino", "safetensors"]
FIXED_PX = (384, 512)  # of a graph that cannot take any size
Array = NDArray[np.float32]
Runner = Callable[[Array], Array]


@dataclass(frozen=True)
class Exported:
    """What was written, and how well it agrees with torch."""

    files: tuple[Path, ...]
    equal_frac: float  # labels equal to torch's, the least over the sample scenes
    size_px: tuple[int, int] | None  # the only height and width that it takes; none where any multiple of 32 will do
    runtime: str


def export(model: Model, to: To, out: Path) -> Exported:
    """Write a model for another runtime.

    Args:
        model: what to write; files are named by where it comes from.
        to: ``onnx``, ``openvino`` (IR) or ``safetensors`` (fp32, this project's own names).
        out: folder that the files go to; made where it is not there.

    Raises:
        ValueError: where the model cannot be loaded, packages are missing, or no graph agrees with torch on at least 99.5 % of
            the labels; nothing is left behind then.
    """
    name, scorer = safe_stem(model.facts.origin.rpartition("/")[2]), Scorer(model.source.network()).eval()
    out.mkdir(parents=True, exist_ok=True)
    made = {"onnx": _onnx, "openvino": _openvino, "safetensors": _safetensors}[to](scorer, name, out)
    about = {
        "run": model.facts.origin,
        "weights_sha256": model.sha256,
        "input": {
            "name": "image",
            "layout": "N, 3, H, W; float32; RGB",
            "size_px": list(made.size_px) if made.size_px else "any multiples of 32",
            "mean": [round(value * 255, 3) for value in MEAN],
            "std": [round(value * 255, 3) for value in STD],
        },
        "output": {
            "name": "scores",
            "layout": "N, C, H, W; float32; sums to 1 over C",
            "classes": space(model.label_space).names,
        },
        "equal_labels_frac": made.equal_frac,
        "runtime": made.runtime,
        "licence": "research use with attribution; NOTICE.md",
    }
    if to == "safetensors" and model.measured is not None:  # the record says how to build the network
        record = out / f"{name}.run.json"
        shutil.copyfile(model.measured / "run.json", record)
        made = replace(made, files=(*made.files, record))
    described = out / f"{name}.{to}.json"
    write_atomic(described, (json.dumps(about, indent=2) + "\n").encode())
    return Exported((*made.files, described), made.equal_frac, made.size_px, made.runtime)


def photos(size_px: tuple[int, int] | None) -> list[Array]:
    """Return inputs made of the sample scenes: of three shapes, or all of one size."""
    found = [shrink_to_work(load_sample(sample.key)[0].pixels, "standard") for sample in SAMPLES]
    if size_px is not None:
        return [to_input(pixels[: size_px[0], : size_px[1]]) for pixels in found]
    return [to_input(found[0]), to_input(found[1][:352, :480]), *(to_input(pixels[:, :640]) for pixels in found[2:])]


def equal_labels(scorer: Scorer, run: Runner, inputs: Sequence[Array]) -> float:
    """Return the share of pixels that get torch's label, the least over the inputs; 0 for scores of another shape."""
    least = 1.0
    for image in inputs:
        with torch.inference_mode():
            expected = scorer(torch.from_numpy(image))[0].numpy()
        found = run(image)
        if found.shape != expected.shape or not np.isfinite(found).all():
            return 0.0
        least = min(least, float((found.argmax(0) == expected.argmax(0)).mean()))
    return least


def _onnx(scorer: Scorer, name: str, out: Path) -> Exported:
    """Try graphs of any size first, one of a fixed size last; the first that agrees with torch is kept."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # the exporter asks for it
    except ImportError:
        raise ValueError("ONNX needs three more packages: `pip install -r requirements-export.txt`") from None
    path, partial, tried = out / f"{name}.onnx", out / f"{name}.partial.onnx", []
    any_size = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    axes = {2: "height", 3: "width"}
    attempts: list[tuple[str, tuple[int, int] | None, dict[str, Any]]] = [
        ("traced", None, {"dynamo": False, "dynamic_axes": {"image": axes, "scores": axes}}),
        ("exported", None, {"dynamo": True, "dynamic_shapes": {"image": any_size}, "external_data": False}),
        ("exported at a fixed size", FIXED_PX, {"dynamo": True, "external_data": False}),
    ]
    try:
        for words, size_px, options in attempts:
            try:
                _to_onnx(scorer, partial, options)
                quiet = onnxruntime.SessionOptions()
                quiet.log_severity_level = 4
                session = onnxruntime.InferenceSession(partial, quiet, providers=["CPUExecutionProvider"])

                def run(image: Array, session: Any = session) -> Array:
                    found: Array = session.run(None, {"image": image})[0][0]
                    return found

                equal = equal_labels(scorer, run, photos(size_px))
            except Exception as error:  # exporters and runtimes raise whatever they like
                tried.append(f"{words}: {_short(error)}")
                continue
            if equal >= LEAST_EQUAL:
                partial.replace(path)
                return Exported((path,), equal, size_px, f"onnxruntime {onnxruntime.__version__}")
            tried.append(f"{words}: only {equal:.2%} of the labels equal torch's")
    finally:
        partial.unlink(missing_ok=True)
    raise ValueError(f"{name} cannot be exported to ONNX honestly; {'; '.join(tried)}. Take --to openvino.")


def _to_onnx(scorer: Scorer, path: Path, options: dict[str, Any]) -> None:
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["scores"], "opset_version": 18}
    with torch.inference_mode(), symbolic_sizes(), warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # remarks on shapes; the result is compared with torch
        torch.onnx.export(scorer, (torch.zeros(1, 3, *FIXED_PX),), path, **names, **options)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from printing a whole graph where it fails, which it does below Python."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 1)
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _openvino(scorer: Scorer, name: str, out: Path) -> Exported:
    ov = import_openvino()
    if ov is None:
        raise ValueError("OpenVINO is not installed: `pip install -r requirements.txt`")
    partial = out / f"{name}.partial.xml"
    try:
        try:
            convert(ov, scorer, partial)
            compiled = openvino_core(ov).compile_model(partial, "CPU")
            equal = equal_labels(scorer, lambda image: np.array(compiled(image)[0][0]), photos(None))
        except Exception as error:
            raise ValueError(f"{name} cannot be exported to OpenVINO: {_short(error)}") from error
        _check(name, "OpenVINO", equal)
        path = out / f"{name}.xml"
        partial.with_suffix(".bin").replace(path.with_suffix(".bin"))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
        partial.with_suffix(".bin").unlink(missing_ok=True)
    return Exported((path, path.with_suffix(".bin")), equal, None, f"OpenVINO {ov.__version__.split('-')[0]}")


def _safetensors(scorer: Scorer, name: str, out: Path) -> Exported:
    """Write fp32 weights by this project's names."""
    partial = out / f"{name}.partial.safetensors"
    try:
        save_file(
            {key: value.contiguous() for key, value in scorer.model.state_dict().items()}, partial, {"format": "pt"}
        )
        again = Scorer(copy.deepcopy(scorer.model)).eval()
        again.model.load_state_dict(load_file(partial))

        def run(image: Array) -> Array:
            with torch.inference_mode():
                found: Array = again(torch.from_numpy(image))[0].numpy()
            return found

        equal = equal_labels(scorer, run, photos(None)[:1])
        _check(name, "safetensors", equal)
        path = out / f"{name}.fp32.safetensors"
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Exported((path,), equal, None, f"torch {torch.__version__}")


def _check(name: str, to: str, equal: float) -> None:
    if equal < LEAST_EQUAL:
        said = f"only {equal:.2%} of the labels equal torch's"
        raise ValueError(f"{name} cannot be exported to {to} honestly: {said}")


def _short(error: Exception) -> str:
    text = str(error).strip()
    return (text.splitlines()[0][:160] if text else "") or type(error).__name__
