"""Trackers beside the run record: MLflow and TensorBoard. The record stays the truth; a tracker that fails stops nothing."""

import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from seglab.data.scenes import make_scene
from seglab.images import blend
from seglab.labels import space
from seglab.runs import read_epochs
from trainers.evaluate import predict
from trainers.loading import normalise

if TYPE_CHECKING:
    from trainers.train import Training

TRACKERS = ("mlflow", "tensorboard")
MISSING = "{} is not installed: pip install -r requirements-track.txt"
TENSORBOARD = Path("tensorboard")  # in the current folder, as MLflow's mlflow.db
# Nobody's photos: CamVid and Cityscapes may not be passed on, and a tracker may be anybody's server.
SCENES = (20_001, 20_002, 20_003)
SCENE_SIZE = (192, 256)


class Sink(Protocol):
    """One tracker."""

    def begin(self, name: str, record: Mapping[str, Any], epoch: int) -> int:
        """Open the run, the earlier one where it was tracked before; return the last epoch that need not be sent."""

    def metrics(self, epoch: int, values: Mapping[str, float], at: float) -> None:
        """Send the figures of an epoch; ``at`` in seconds since 1970."""

    def picture(self, name: str, epoch: int, pixels: NDArray[np.uint8]) -> None:
        """Send an ``(H, W, 3)`` RGB picture."""

    def end(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Send what is kept of the run, and how it ended."""


def figures(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of a line of ``epochs.jsonl``, the epoch left out."""
    return {
        key: float(value)
        for key, value in row.items()
        if key != "epoch" and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def parameters(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the recipe of a record, and what it was trained on, as dotted names and text."""
    data = record.get("data") or {}
    parts = {
        **_flat(record.get("recipe") or {}),
        "label_space": record.get("label_space"),
        "parameters": (record.get("model") or {}).get("parameters"),
        "data.train.fingerprint": (data.get("train") or {}).get("fingerprint"),
        "data.val.fingerprint": (data.get("val") or {}).get("fingerprint"),
    }
    return {key: str(value)[:500] for key, value in parts.items() if value is not None}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return out


def label(record: Mapping[str, Any]) -> str:
    """Return ``experiment/variant-seedN``, or ``experiment/variant`` of a published run."""
    seed = record.get("seed")
    return f"{record['experiment']}/{record['variant']}" + (f"-seed{seed}" if seed is not None else "")


class MlflowSink:
    """MLflow, at ``MLFLOW_TRACKING_URI`` or in ``mlflow.db`` (SQLite) of the current folder.

    Raises:
        ValueError: where MLflow is not installed.
    """

    def __init__(self) -> None:
        for name, value in (("MAX_RETRIES", "1"), ("TIMEOUT", "10")):  # a server that is down must not hold training up
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
        os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
        try:
            import mlflow
        except ImportError:
            raise ValueError(MISSING.format("MLflow")) from None
        self.client = mlflow.MlflowClient(
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"
        )
        self.entities = mlflow.entities
        self.run_id, self.folder = "", Path()

    def begin(self, name: str, record: Mapping[str, Any], epoch: int) -> int:
        """Find the run by its name and start, or create it."""
        experiment = self.client.get_experiment_by_name(record["experiment"])
        at = experiment.experiment_id if experiment else self.client.create_experiment(record["experiment"])
        tags = {"seglab.run": name, "seglab.started": str(record.get("started") or record.get("imported") or "")}
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        found = self.client.search_runs([at], wanted, max_results=1)
        if found:
            self.run_id = found[0].info.run_id
            self.client.update_run(self.run_id, status="RUNNING")
            last = max((int(m.step) for m in self.client.get_metric_history(self.run_id, "miou")), default=0)
        else:
            environment = _flat(record.get("environment") or {})
            tags |= {f"environment.{key}": str(value)[:500] for key, value in environment.items()}
            tags |= {"provenance": str(record.get("provenance")), "mlflow.note.content": str(record.get("title", ""))}
            started = _seconds(record.get("started"))
            run = self.client.create_run(
                at, None if started is None else int(started * 1000), tags, name.split("/", 1)[1]
            )
            self.run_id, last = run.info.run_id, 0
        values = parameters(record)
        batch = [self.entities.Param(key, value) for key, value in values.items()]
        for part in range(0, len(batch), 100):
            self.client.log_batch(self.run_id, params=batch[part : part + 100])
        return last

    def metrics(self, epoch: int, values: Mapping[str, float], at: float) -> None:
        """Send an epoch in one batch."""
        batch = [self.entities.Metric(_plain(key), value, int(at * 1000), epoch) for key, value in values.items()]
        self.client.log_batch(self.run_id, metrics=batch)

    def picture(self, name: str, epoch: int, pixels: NDArray[np.uint8]) -> None:
        """Send a picture as an artifact named by its epoch."""
        self.client.log_image(self.run_id, pixels, artifact_file=f"predictions/{name}-epoch{epoch:04d}.png")

    def end(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Send the record and the weights, where they are kept, and close the run."""
        finished = record["status"] == "finished"
        names = ["run.json", "epochs.jsonl"] + (["weights.safetensors"] if record.get("weights") and finished else [])
        for name in names:
            if (folder / name).is_file():
                self.client.log_artifact(self.run_id, str(folder / name))
        states = {"finished": "FINISHED", "failed": "FAILED"}
        ended = _seconds(record.get("finished"))
        self.client.set_terminated(
            self.run_id, states.get(record["status"], "KILLED"), None if ended is None else int(ended * 1000)
        )


class TensorBoardSink:
    """TensorBoard event files in ``tensorboard/<experiment>/<run>`` of the current folder.

    Args:
        anew: write the run's files anew instead of going on with them.

    Raises:
        ValueError: where TensorBoard is not installed.
    """

    def __init__(self, anew: bool = False) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError(MISSING.format("TensorBoard")) from None
        self.open, self.anew = SummaryWriter, anew

    def begin(self, name: str, record: Mapping[str, Any], epoch: int) -> int:
        """Open the run's folder; what it has of later epochs is purged."""
        folder = TENSORBOARD / name
        if self.anew:
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
            epoch = 0
        self.writer = self.open(str(folder), purge_step=epoch + 1 if epoch else None)
        rows = "\n".join(f"| {key} | {value} |" for key, value in parameters(record).items())
        self.writer.add_text("recipe", f"| key | value |\n|---|---|\n{rows}", 0)
        return epoch

    def metrics(self, epoch: int, values: Mapping[str, float], at: float) -> None:
        """Add a scalar for every figure."""
        for key, value in values.items():
            self.writer.add_scalar(key, value, epoch, walltime=at)
        self.writer.flush()

    def picture(self, name: str, epoch: int, pixels: NDArray[np.uint8]) -> None:
        """Add an image."""
        self.writer.add_image(f"predictions/{name}", pixels, epoch, dataformats="HWC")

    def end(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Note how the run ended and where its weights are; TensorBoard keeps no files of others."""
        weights = record.get("weights") or {}
        kept = f"; weights: {weights['file']}, SHA-256 {weights['sha256']}" if weights else ""
        self.writer.add_text("status", f"{record['status']}{kept}", int(record.get("epochs") or 0))
        self.writer.close()


def open_sink(name: str, anew: bool = False) -> Sink:
    """Open a tracker by its name.

    Raises:
        ValueError: where it is not installed.
    """
    return MlflowSink() if name == "mlflow" else TensorBoardSink(anew)


class Tracking:
    """Tells one tracker of a run in progress; its first failure is said once, and training goes on without it."""

    def __init__(self, name: str, sink: Sink | None = None) -> None:
        self.name, self.sink = name, sink or open_sink(name)
        self.alive, self.last = True, 0
        self.clock = (time.perf_counter(), time.process_time())

    def _try(self, work: Callable[[], None]) -> None:
        if not self.alive:
            return
        try:
            work()
        except Exception as error:  # whatever a server, a disk or a library answers
            self.alive = False
            lines = str(error).strip().splitlines()
            print(
                f"tracking with {self.name} stopped ({type(error).__name__}: {lines[0][:200] if lines else 'no message'}); "
                f"training goes on. Send the rest later: python -m trainers.export_results --to {self.name}",
                file=sys.stderr,
            )

    def started(self, training: "Training") -> None:
        """Open the run, or the one that it goes on with."""

        def work() -> None:
            record = training.record() | {"started": training.begun}
            self.last = self.sink.begin(label(record), record, training.epoch)
            for row in read_epochs(training.folder):  # what was evaluated while the tracker was away
                if row["epoch"] > self.last:
                    self.sink.metrics(row["epoch"], figures(row), time.time())

        self._try(work)

    def evaluated(self, training: "Training", row: Mapping[str, Any]) -> None:
        """Send the epoch's figures, those of the machine, and now and then pictures."""

        def work() -> None:
            if row["epoch"] > self.last:
                self.sink.metrics(row["epoch"], figures(row) | self.system(), time.time())
            if row["epoch"] % 10 == 0 or row["epoch"] == training.recipe.epochs:
                for name, pixels in predictions(training):
                    self.sink.picture(name, row["epoch"], pixels)

        self._try(work)

    def ended(self, training: "Training", record: Mapping[str, Any]) -> None:
        """Send what is kept, and how it ended."""
        self._try(lambda: self.sink.end(training.folder, record))

    def system(self) -> dict[str, float]:
        """Return what the machine did since the last call."""
        before, self.clock = self.clock, (time.perf_counter(), time.process_time())
        wall, cpu = (now - then for now, then in zip(self.clock, before, strict=True))
        out = {
            "system/cpu_percent": 100 * cpu / max(wall, 1e-9),
            "system/peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        if torch.cuda.is_available():
            out["system/gpu_peak_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
        return out


def predictions(training: "Training") -> Iterable[tuple[str, NDArray[np.uint8]]]:
    """Yield what the model makes of our own procedural scenes, scene and answer side by side."""
    model, was_training = training.model, training.model.training
    lut = space(training.label_space.key).lut()
    model.eval()
    try:
        for number, seed in enumerate(SCENES, 1):
            scene = make_scene(seed, *SCENE_SIZE).image
            with torch.inference_mode():
                labels = predict(model, normalise(torch.from_numpy(scene)[None]).to(training.device))
            answer = blend(scene, labels[0].cpu().numpy().astype(np.uint8), lut, 0.7)
            yield f"scene{number}", np.concatenate([scene, answer], 1)
    finally:
        model.train(was_training)


def push(sink: Sink, folder: Path, record: Mapping[str, Any]) -> int:
    """Send a run that exists to a tracker; return how many epochs were new to it."""
    last, sent = sink.begin(label(record), record, 0), 0
    spent = _seconds(record.get("started")) or _seconds(record.get("finished")) or time.time()
    for row in read_epochs(folder):
        spent += float(row.get("seconds") or 0) + float(row.get("eval_seconds") or 0)
        if row["epoch"] > last:
            sink.metrics(row["epoch"], figures(row), spent)
            sent += 1
    sink.end(folder, record)
    return sent


def watch(names: Sequence[str]) -> list[Tracking]:
    """Open the trackers that a command line names.

    Raises:
        ValueError: where one is not installed.
    """
    return [Tracking(name) for name in dict.fromkeys(names)]


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None


def _plain(key: str) -> str:
    """Return a metric's name in the characters that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-./ :" else "-" for c in key)
