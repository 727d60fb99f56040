"""How long each bundled model takes on this machine, and which of them no other beats in both speed and accuracy.

A measurement belongs to the machine that made it. One is stored with the runs (`benchmarks/model_latency.py --write`) for
readers who have not measured yet; it names its machine and counts only for the very weights that it timed.
"""

import json
import os
import platform
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from seglab.predict.model import Model
from seglab.predict.shelf import EXPERIMENT
from seglab.records.fields import at, clean, number_at
from seglab.records.files import write_atomic
from seglab.records.store import RESULTS

FILE = "latency.json"
REPEATS = 7
MAX_BYTES = 2**20
_MEASURING = threading.Lock()


@dataclass(frozen=True)
class Latency:
    """One model's time for one photo: the median of warm passes, preprocess to labels at the photo's own size."""

    key: str
    weights_sha256: str
    engine: str
    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int


@dataclass(frozen=True)
class Measurement:
    """What one machine said of some models."""

    machine: str
    time: str
    photo_px: str  # width x height
    busy: float  # programs that waited for a core, per core, before the measurement (1 and more: the machine had other work)
    models: tuple[Latency, ...]
    failed: Mapping[str, str]  # why a model could not be timed, by key


class Busy(RuntimeError):  # noqa: N818  (no error: somebody else is measuring)
    """Another session measures at this moment."""


def machine() -> str:
    """Return the processor and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{clean(name, 80)}, {cores} core{'s' * (cores > 1)}"


def measure(
    models: Mapping[str, Model],
    repeats: int = REPEATS,
    on_progress: Callable[[float, str], None] = lambda share, text: None,
) -> Measurement:
    """Time every run on one scene, in rounds, so that whatever else the machine does meets all models alike.

    Imports the inference code; a model that cannot run is told and the others are timed.

    Args:
        models: by key.
        repeats: timed passes of each model, after one that is not timed.
        on_progress: called with the share that is done and what is being done.

    Raises:
        Busy: where another thread of this process is measuring.
    """
    if not _MEASURING.acquire(blocking=False):
        raise Busy("another session is measuring on this machine; look again in a moment")
    try:
        return _measure(models, repeats, on_progress)
    finally:
        _MEASURING.release()


def _measure(models: Mapping[str, Model], repeats: int, on_progress: Callable[[float, str], None]) -> Measurement:
    from seglab.data.scenes import SceneOptions, make_scene
    from seglab.predict.samples import SAMPLES, SIZE_PX
    from seglab.predict.segmenter import Segmenter

    on_progress(0, "loading the inference code")
    busy = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0
    first = SAMPLES[0]
    options = SceneOptions(time_of_day=first.time_of_day, weather=first.weather)  # type: ignore[arg-type]
    pixels = make_scene(first.seed, *SIZE_PX, options).image
    loaded: dict[str, Segmenter] = {}
    spent: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    steps = len(models) * (1 + repeats)
    for done, (key, model) in enumerate(models.items()):
        on_progress(done / steps, f"loading {clean(model.title, 60)}")
        try:
            segmenter = Segmenter(model)
            segmenter.predict(pixels)
            loaded[key], spent[key] = segmenter, []
        except Exception as error:  # whatever one model runs into, the others are timed
            failed[key] = clean(str(error).strip().split("\n")[0] or type(error).__name__, 200)
    for turn in range(repeats):
        on_progress((len(models) + turn * len(models)) / steps, f"round {turn + 1} of {repeats}")
        for key, segmenter in loaded.items():
            spent[key].append(sum(segmenter.predict(pixels).latency_ms.values()))
    timed = tuple(_latency(key, models[key].sha256, one.engine.name, spent[key]) for key, one in loaded.items())
    size = f"{SIZE_PX[1]}x{SIZE_PX[0]}"
    return Measurement(machine(), datetime.now(UTC).isoformat(timespec="seconds"), size, round(busy, 2), timed, failed)


def _latency(key: str, sha256: str, engine: str, spent: Sequence[float]) -> Latency:
    low, middle, high = min(spent), statistics.median(spent), max(spent)
    return Latency(key, sha256, engine, round(middle, 1), round(low, 1), round(high, 1), len(spent))


def write_stored(measurement: Measurement, results: Path = RESULTS) -> Path:
    """Store a measurement beside the runs that it timed; return the file."""
    path = results / EXPERIMENT / FILE
    write_atomic(path, json.dumps(asdict(measurement), indent=2).encode() + b"\n")
    return path


def read_stored(results: Path = RESULTS) -> Measurement | None:
    """Return the stored measurement; none where there is none or it cannot be read."""
    path = results / EXPERIMENT / FILE
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    models = at(read, "models")
    timed = [one for model in models if (one := _read_latency(model))] if isinstance(models, list) else []
    busy = number_at(read, "busy") or 0.0
    machine, time, size = (clean(at(read, key), 120) for key in ("machine", "time", "photo_px"))
    return Measurement(machine, time, size, busy, tuple(timed), {}) if timed else None


def _read_latency(model: object) -> Latency | None:
    times = [number_at(model, key) for key in ("median_ms", "low_ms", "high_ms", "repeats")]
    key, sha256, engine = (at(model, key) for key in ("key", "weights_sha256", "engine"))
    if not isinstance(key, str) or not isinstance(sha256, str):
        return None
    median, low, high, repeats = (0.0 if one is None else one for one in times)
    return Latency(key, sha256, clean(engine, 80), median, low, high, int(repeats)) if median > 0 else None


def dominators(points: Mapping[str, tuple[float, float]]) -> dict[str, tuple[str, ...]]:
    """Return, by model, the models that are at least as fast and as accurate and better in one of both.

    Models without any are the Pareto frontier.

    Args:
        points: milliseconds (less is better) and mIoU (more is better) by model.

    >>> dominators({"a": (10, 0.5), "b": (20, 0.6), "c": (20, 0.5)})
    {'a': (), 'b': (), 'c': ('a', 'b')}
    """
    return {
        one: tuple(
            other
            for other, (ms, miou) in points.items()
            if ms <= points[one][0] and miou >= points[one][1] and (ms, miou) != points[one]
        )
        for one in points
    }
