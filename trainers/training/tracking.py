"""Trackers beside the run record: MLflow and TensorBoard. The record stays the truth; a tracker that fails stops nothing."""

import fcntl
import json
import math
import os
import re
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from seglab.data.scenes import make_scene
from seglab.images import blend
from seglab.labels import space
from seglab.records.files import check_name
from seglab.records.runs import read_epochs
from trainers.training.evaluation import predict
from trainers.training.loading import normalise
from trainers.training.watcher import Watched

MISSING = "{} is not installed: pip install -r requirements-track.txt"
TENSORBOARD = Path("tensorboard")  # in the current folder, as MLflow's mlflow.db
# Nobody's photos: CamVid and Cityscapes may not be passed on, and a tracker may be anybody's server.
SCENES = (20_001, 20_002, 20_003)
SCENE_SIZE = (192, 256)
BEGIN_S, EPOCH_S, END_S = 120.0, 30.0, 600.0  # how long a tracker may take; the last one sends the weights


class Sink(Protocol):
    """One tracker."""

    def begin(self, name: str, record: Mapping[str, Any], epoch: int | None) -> int:
        """Open the run, the earlier one where it was tracked before; return the last epoch that need not be sent.

        Epochs after ``epoch`` are trained again; none are with none.
        """

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
    texts = {key: json.dumps(value) if isinstance(value, (list, tuple)) else str(value) for key, value in parts.items()}
    return {key: text[:500] for key, text in texts.items() if parts[key] is not None}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return out


def label(record: Mapping[str, Any]) -> str:
    """Return ``experiment/variant-seedN``, or ``experiment/variant`` of a published run.

    Raises:
        ValueError: where a name could leave the folder that it names.
    """
    seed = record.get("seed")
    check_name(record["experiment"], "an experiment name")
    check_name(record["variant"], "a variant name")
    return f"{record['experiment']}/{record['variant']}" + (f"-seed{seed}" if seed is not None else "")


class MlflowSink:
    """MLflow, at ``MLFLOW_TRACKING_URI`` or in ``mlflow.db`` (SQLite) of the current folder.

    Raises:
        ValueError: where MLflow is not installed.
    """

    def __init__(self) -> None:
        # nothing is sent to anybody but the store, and a server that is down must not hold training up
        for name, value in (
            ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
            ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10"),
            ("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false"),
            ("MLFLOW_ENABLE_ASYNC_LOGGING", "false"),
            ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ):
            os.environ.setdefault(name, value)
        try:
            import mlflow
        except ImportError:
            raise ValueError(MISSING.format("MLflow")) from None
        self.mlflow: Any = mlflow
        self.client: Any = None
        self.run_id = ""

    def connect(self) -> None:
        """Open the store, once."""
        if self.client is None:
            address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"
            with open(Path(tempfile.gettempdir()) / f"seglab-mlflow-{os.getuid()}.lock", "w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # two that create one store's tables at once would meet
                self.client = self.mlflow.MlflowClient(address)

    def begin(self, name: str, record: Mapping[str, Any], epoch: int | None) -> int:
        """Find the run by its name and start, or create it."""
        self.connect()
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
        batch = [self.mlflow.entities.Param(key, value) for key, value in parameters(record).items()]
        for part in range(0, len(batch), 100):
            self.client.log_batch(self.run_id, params=batch[part : part + 100])
        return last

    def metrics(self, epoch: int, values: Mapping[str, float], at: float) -> None:
        """Send an epoch in one batch."""
        batch = [
            self.mlflow.entities.Metric(_plain(key), value, int(at * 1000), epoch) for key, value in values.items()
        ]
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
    """TensorBoard event files in ``tensorboard/<experiment>/<run>/<start>`` of the current folder.

    Raises:
        ValueError: where TensorBoard is not installed.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError(MISSING.format("TensorBoard")) from None
        self.open = SummaryWriter

    def begin(self, name: str, record: Mapping[str, Any], epoch: int | None) -> int:
        """Open the folder of the run that started then; what it has of epochs after ``epoch`` is purged."""
        started = re.sub(r"\D", "", str(record.get("started") or ""))[:14]
        folder = TENSORBOARD / name / (started or "start-unknown")
        last = last_step(folder)
        self.writer = self.open(str(folder), purge_step=None if epoch is None or last <= epoch else epoch + 1)
        if not last:
            rows = "\n".join(f"| {key} | {value} |" for key, value in parameters(record).items())
            self.writer.add_text("recipe", f"| key | value |\n|---|---|\n{rows}", 0)
        return last if epoch is None else min(last, epoch)

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


def last_step(folder: Path) -> int:
    """Return the last epoch of TensorBoard's files in a folder; 0 where there is none."""
    if not folder.is_dir():
        return 0
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    events = EventAccumulator(str(folder), {SCALARS: 0})
    events.Reload()
    return max((event.step for event in events.Scalars("miou")), default=0) if "miou" in events.Tags()[SCALARS] else 0


def open_sink(name: str) -> Sink:
    """Open a tracker by its name.

    Raises:
        ValueError: where it is not installed.
    """
    return MlflowSink() if name == "mlflow" else TensorBoardSink()


class Tracking:
    """Tells one tracker of a run in progress; its first failure is said once, and training goes on without it."""

    def __init__(self, name: str, sink: Sink | None = None) -> None:
        self.name, self.sink = name, sink or open_sink(name)
        self.alive, self.last = True, 0
        self.clock = (time.perf_counter(), time.process_time())

    def _try(self, work: Callable[[], None], patience_s: float) -> None:
        """Let the tracker work, but not for ever: a server may accept a connection and never answer."""
        if not self.alive:
            return
        problem: list[BaseException] = []

        def run() -> None:
            try:
                work()
            except BaseException as error:  # whatever a server, a disk or a library answers
                problem.append(error)

        thread = threading.Thread(target=run, daemon=True, name=f"track-{self.name}")
        thread.start()
        thread.join(patience_s)
        if thread.is_alive():
            problem.append(TimeoutError(f"no answer for {patience_s:.0f} s"))
        if problem:
            self.alive = False
            lines = str(problem[0]).strip().splitlines()
            print(
                f"tracking with {self.name} stopped ({type(problem[0]).__name__}: "
                f"{lines[0][:200] if lines else 'no message'}); training goes on. "
                f"Send the rest later: python -m trainers.export_results --to {self.name}",
                file=sys.stderr,
            )

    def started(self, training: Watched) -> None:
        """Open the run, or the one that it goes on with."""

        def work() -> None:
            self.last = self.sink.begin(label(training.opened), training.opened, training.epoch)
            for row in read_epochs(training.folder):  # what was evaluated while the tracker was away
                if row["epoch"] > self.last:
                    self.sink.metrics(row["epoch"], figures(row), time.time())

        self._try(work, BEGIN_S)

    def evaluated(self, training: Watched, row: Mapping[str, Any]) -> None:
        """Send the epoch's figures, those of the machine, and now and then pictures."""
        drawn = row["epoch"] % 10 == 0 or row["epoch"] == training.recipe.epochs
        pictures = list(predictions(training)) if drawn and self.alive else []
        values = figures(row) | self.system()

        def work() -> None:
            if row["epoch"] > self.last:
                self.sink.metrics(row["epoch"], values, time.time())
            for name, pixels in pictures:
                self.sink.picture(name, row["epoch"], pixels)

        self._try(work, EPOCH_S)

    def ended(self, training: Watched, record: Mapping[str, Any]) -> None:
        """Send what is kept, and how it ended."""
        self._try(lambda: self.sink.end(training.folder, record), END_S)

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


def predictions(training: Watched) -> Iterable[tuple[str, NDArray[np.uint8]]]:
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
    last, sent = sink.begin(label(record), record, None), 0
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
