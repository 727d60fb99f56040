"""Train a grid of variants and seeds; stop and start at will, each run is as if trained alone.

python -m trainers.ablate trainers/recipes/camvid-boundary-ablation.yaml --data DIR --jobs 2
python -m trainers.ablate trainers/recipes/cityscapes-boundary-ablation.yaml --data DIR --devices 0,1,2,3
python -m trainers.ablate trainers/recipes/camvid-boundary-ablation.yaml --status
python -m trainers.ablate trainers/recipes/camvid-boundary-ablation.yaml --data DIR --only a-ce-seed42
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from typer import Argument, Option

from seglab.cli import INTERRUPTED, single
from seglab.records.files import RunError, check_name
from seglab.records.lock import is_locked
from seglab.records.runs import read_epochs, read_record
from seglab.records.store import RESULTS
from trainers.training.errors import explain
from trainers.training.options import Overrides, Results, Track
from trainers.training.recipe import Recipe, load_grid

State = Literal["waiting", "running", "interrupted", "failed", "finished", "damaged"]
LOOK_S = 5.0


@dataclass(frozen=True)
class Progress:
    """What is known of one run of the grid."""

    name: str
    state: State
    epoch: int
    epochs: int
    seconds_per_epoch: float | None
    miou: float | None
    message: str = ""


def look(recipe: Recipe, results: Path) -> Progress:
    """Read how far a run is."""
    folder = results / recipe.experiment / recipe.run_name
    if not (folder / "run.json").exists():
        state: State = "running" if is_locked(folder) else "waiting"
        return Progress(recipe.run_name, state, 0, recipe.epochs, None, None)
    try:
        record, rows = read_record(folder), read_epochs(folder)
    except RunError as error:
        return Progress(recipe.run_name, "damaged", 0, recipe.epochs, None, None, str(error))
    state = record["status"]
    if is_locked(folder):
        state = "running"
    elif state == "running":  # nobody holds it: it was killed
        state = "interrupted"
    seconds = [
        row["seconds"] + row.get("eval_seconds", 0) for row in rows if isinstance(row.get("seconds"), (int, float))
    ]
    return Progress(
        recipe.run_name,
        state,
        rows[-1]["epoch"] if rows else 0,
        record.get("epochs", recipe.epochs) if state == "finished" else recipe.epochs,
        statistics.median(seconds) if seconds else None,
        rows[-1].get("miou") if rows else None,
        str(record.get("message", "")) if state == "failed" else "",
    )


def remaining_s(runs: Sequence[Progress], jobs: int) -> float | None:
    """Return the seconds that ``jobs`` processes need for what is not finished; none before an epoch was timed."""
    known = [run.seconds_per_epoch for run in runs if run.seconds_per_epoch]
    if not known:
        return None
    usual = statistics.median(known)
    left = [r for r in runs if r.state in ("waiting", "running", "interrupted")]
    return sum((r.epochs - r.epoch) * (r.seconds_per_epoch or usual) for r in left) / max(1, jobs)


def duration(seconds: float | None) -> str:
    """Return seconds as ``3 h 05 min``."""
    if seconds is None:
        return "unknown yet"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def table(runs: Sequence[Progress], jobs: int) -> str:
    """Return the grid as one table, with the time that is left."""
    width = max(len(run.name) for run in runs)
    lines = [f"{'run':<{width}}  {'state':<11}  {'epoch':>9}  {'s/epoch':>7}  {'val mIoU':>8}"]
    for run in runs:
        pace = f"{run.seconds_per_epoch:.1f}" if run.seconds_per_epoch else "-"
        miou = f"{run.miou * 100:.2f}" if run.miou is not None else "-"
        epoch = f"{run.epoch}/{run.epochs}"
        lines.append(f"{run.name:<{width}}  {run.state:<11}  {epoch:>9}  {pace:>7}  {miou:>8}  {run.message}".rstrip())
    done = sum(run.state == "finished" for run in runs)
    left = "" if done == len(runs) else f"; {duration(remaining_s(runs, jobs))} left with {jobs} at a time"
    return "\n".join([*lines, f"{done} of {len(runs)} finished{left}"])


class Grid:
    """Trains what is left of a grid, each run in a process of its own."""

    def __init__(
        self, recipes: Sequence[Recipe], results: Path, command: Sequence[str], devices: Sequence[str]
    ) -> None:
        self.recipes, self.results, self.command = recipes, results, command
        self.free = list(devices)  # one entry a place; "" leaves the choice of device to the run
        self.running: dict[str, tuple[subprocess.Popen[bytes], IO[bytes], str]] = {}
        self.tried: set[str] = set()

    def looks(self) -> list[Progress]:
        """Read how far every run is."""
        return [look(recipe, self.results) for recipe in self.recipes]

    def start_some(self, retry_failed: bool) -> None:
        """Fill free places with runs that wait; a run is tried once, one that another process holds is left to it."""
        wanted = ("waiting", "interrupted", "failed") if retry_failed else ("waiting", "interrupted")
        for run in self.looks():
            if self.free and run.name not in self.tried and run.state in wanted:
                device = self.free.pop(0)
                environment = os.environ | ({"CUDA_VISIBLE_DEVICES": device} if device else {})
                said = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would stop a talkative library
                words = [*self.command, "--only", run.name]
                child = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=said)
                self.running[run.name] = (child, said, device)
                self.tried.add(run.name)

    def reap(self) -> list[str]:
        """Free the places of runs that ended; return a sentence for each that did not end well."""
        sentences = []
        for name, (child, said, device) in list(self.running.items()):
            if child.poll() is not None:
                del self.running[name]
                self.free.append(device)
                with said:
                    said.seek(0)
                    lines = said.read().decode(errors="replace").strip().splitlines()
                if child.returncode:
                    sentences.append(f"{name}: {lines[-1] if lines else f'ended with code {child.returncode}'}")
        return sentences

    def run(self, jobs: int, retry_failed: bool) -> int:
        """Train until nothing is left to start; return the exit code."""
        shown, complaints = "", []
        try:
            while True:
                complaints += self.reap()
                self.start_some(retry_failed)
                looks = self.looks()
                text = table(looks, jobs)
                states = " ".join(run.state for run in looks)
                if sys.stdout.isatty():
                    print(f"\x1b[2J\x1b[H{text}", flush=True)
                elif states != shown:
                    print(text, flush=True)
                shown = states
                if not self.running:
                    break
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            for child, _, _ in self.running.values():
                child.send_signal(signal.SIGTERM)
            for child, _, _ in self.running.values():
                child.wait()
            return INTERRUPTED
        for sentence in complaints:
            print(sentence, file=sys.stderr)
        return 0 if all(run.state == "finished" for run in self.looks()) else 1


def _terminated(*_: Any) -> None:
    raise KeyboardInterrupt


def ablate_command(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A file of trainers/recipes with variants and seeds.")],
    data: Annotated[Path | None, Option(metavar="DIR", help="The data set's root folder; --status needs none.")] = None,
    overrides: Overrides = [],
    results: Results = RESULTS,
    jobs: Annotated[int, Option(help="Runs at a time.")] = 1,
    devices: Annotated[
        str, Option(metavar="N,N…", help="CUDA devices such as 0,1,2,3: one run at a time on each.")
    ] = "",
    only: Annotated[str | None, Option(metavar="NAME", help="Train this run alone, in this process.")] = None,
    retry_failed: Annotated[bool, Option("--retry-failed", help="Go on with runs that failed, too.")] = False,
    track: Track = [],
    status: Annotated[bool, Option("--status", help="Print the table and train nothing.")] = False,
) -> int:
    """Do what the command line asks; returns the exit code."""
    recipes = load_grid(recipe, overrides)
    for one in recipes:
        check_name(one.experiment, "an experiment name")
        check_name(one.variant, "a variant name")
    places = [d.strip() for d in devices.split(",") if d.strip()] or [""] * jobs
    if not places:
        raise ValueError(f"expected --jobs of 1 or more, got {jobs}")
    if status:
        print(table([look(one, results) for one in recipes], len(places)))
        return 0
    if data is None:
        raise ValueError("expected --data DIR, the data set's root folder")
    if only:
        return _train_one(recipes, only, data, results, track)
    words = [word for text in overrides for word in ("--set", text)]
    command = [sys.executable, "-m", "trainers.ablate", str(recipe), "--data", str(data)]
    command += ["--results", str(results), *words, *(word for t in track for word in ("--track", t))]
    previous = signal.signal(signal.SIGTERM, _terminated)
    try:
        return Grid(recipes, results, command, places).run(len(places), retry_failed)
    finally:
        signal.signal(signal.SIGTERM, previous)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(ablate_command, argv, "python -m trainers.ablate", __doc__, explain)


def _train_one(recipes: Sequence[Recipe], name: str, data: Path, results: Path, track: Sequence[str]) -> int:
    by_name = {recipe.run_name: recipe for recipe in recipes}
    if name not in by_name:
        raise ValueError(f"expected --only out of {', '.join(by_name)}; got {name!r}")
    from trainers.train import train  # torch is for the processes that train, not for the one that looks on
    from trainers.training.tracking import watch

    record = train(by_name[name], data, results, progress=sys.stdout.isatty(), watchers=watch(track))
    print(f"{record['experiment']}/{name}: val mIoU {record['metrics']['miou']:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
