"""Search hyper-parameters with Optuna; several processes share one study, each killed one's trial is taken up again.

python -m trainers.search trainers/recipes/camvid-search.yaml --data DIR
python -m trainers.search trainers/recipes/camvid-search.yaml --data DIR --storage postgresql://user@host/optuna
"""

import fcntl
import json
import math
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from typer import Argument, Option

from seglab.cli import single
from seglab.records.files import check_name, write_atomic
from seglab.records.runs import read_epochs
from seglab.records.store import RESULTS
from seglab.records.studies import SCHEMA_VERSION, SUFFIX
from trainers.train import train
from trainers.training.errors import TrainingError, explain
from trainers.training.options import DataRoot, Overrides, Results
from trainers.training.recipe import Recipe, build_recipe, convert, merge, nested, read_values
from trainers.training.setup import now
from trainers.training.watcher import Watched

try:
    import optuna
except ImportError:
    optuna = None  # type: ignore[assignment]

MISSING = "a search needs Optuna: pip install -r requirements-search.txt"
FAILURES = 3  # one after the other end the search: it is not the configurations
ATTEMPTS = 2  # at a configuration whose process was killed: it may be what killed it
SIGNING_S, SILENT_S = 60, 12 * 3600


@dataclass(frozen=True)
class Parameter:
    """What one key of the recipe may be: a range, or a choice."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()
    text: str = ""  # the value stands for {} in it: a loss such as "ce + {}*dice"

    @property
    def ends(self) -> tuple[Any, ...]:
        """The choices, or both ends of the range."""
        return self.choices or tuple(int(end) if self.whole else end for end in (self.low, self.high))

    def suggest(self, trial: "optuna.Trial", key: str) -> Any:
        """Ask the study for a value."""
        if self.choices:
            return trial.suggest_categorical(key, self.choices)
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)

    def written(self, value: Any) -> Any:
        """Return the value as the recipe has it."""
        return self.text.replace("{}", f"{value:.4f}" if isinstance(value, float) else str(value)) or value


@dataclass(frozen=True)
class Search:
    """The ``search`` block of a recipe."""

    space: dict[str, Any]  # dotted key of the recipe -> Parameter
    sampler: Literal["random", "tpe"] = "tpe"
    pruner: Literal["median", "none"] = "median"
    startup: int = 5  # complete trials before the pruner, and TPE, have an opinion
    warmup: int = 3  # evaluations that no trial is pruned before
    trials: int = 20
    seed: int = 42
    trial: dict[str, Any] = field(default_factory=dict)  # what is different while searching: fewer epochs, a subset

    @property
    def parameters(self) -> dict[str, Parameter]:
        """What is searched.

        Raises:
            ValueError: where a range or a choice cannot be read.
        """
        out = {}
        for key, value in self.space.items():
            known = {f.name for f in fields(Parameter)}
            if not isinstance(value, Mapping) or not set(value) <= known:
                raise ValueError(f"expected search.space.{key} out of {', '.join(sorted(known))}, got {value!r}")
            one: Parameter = convert(dict(value), Parameter, f"search.space.{key}")
            if (not one.choices and not one.low < one.high) or (one.log and one.low <= 0):
                raise ValueError(f"expected a range low < high (above 0 where log), or choices, for search.space.{key}")
            out[key] = one
        if not out:
            raise ValueError("expected at least one parameter in search.space")
        return out


class Study:
    """One Optuna study of one recipe, and the file that the pages read."""

    def __init__(self, values: Mapping[str, Any], search: Search, data: Path, results: Path, storage: str) -> None:
        self.values, self.search, self.data, self.results = values, search, data, results
        self.base = build_recipe(values)
        check_name(self.base.experiment, "an experiment name")
        check_name(self.base.variant, "a variant name")
        self.parameters = search.parameters
        first = {key: parameter.ends[0] for key, parameter in self.parameters.items()}
        for key, parameter in self.parameters.items():  # what no recipe can be fails now, not in some trial
            for end in parameter.ends:
                self.recipe_of(first | {key: end}, 0)
        self.folder = results / self.base.experiment
        self.work = results / ".search"  # unfinished trials: hidden from the pages
        self.work.mkdir(parents=True, exist_ok=True)
        self.name = f"{self.base.experiment}/{self.base.variant}"
        flat = self.name.replace("/", "--")
        self.lock_file = self.work / f"{flat}.lock"
        with self.alone():  # two that create one study's tables at once would meet
            self.storage = open_storage(storage, self.work / f"{flat}.journal")
            study = optuna.create_study(
                storage=self.storage, study_name=self.name, direction="maximize", load_if_exists=True
            )
            self.check_same(study)
        self.environment: dict[str, Any] = {}
        self.failures = 0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the other processes of this machine out for a moment."""
        with open(self.lock_file, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def check_same(self, study: "optuna.Study") -> None:
        """Refuse a study of another space or other trials under the same name.

        Raises:
            ValueError: it says what differs and what to do.
        """
        trial = build_recipe(merge(self.values, self.search.trial)).as_dict()
        asked = json.loads(json.dumps({"space": self.search.space} | trial))
        known = study.user_attrs.get("asked")
        if known is None:
            study.set_user_attr("asked", asked)
            return
        differing = [key for key in asked if known.get(key) != asked[key]]
        if differing:
            raise ValueError(
                f"the study {self.name} was begun with another {', '.join(differing)}; "
                "choose another variant, or another --storage"
            )

    def sampler(self, number: int) -> "optuna.samplers.BaseSampler":
        """Return the sampler of a trial: seeded by its number, so that no two processes draw the same."""
        seed = self.search.seed + number
        if self.search.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.search.startup)

    def load(self) -> "optuna.Study":
        """Open the study."""
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if self.search.pruner == "median":
            epochs = self.search.warmup * build_recipe(merge(self.values, self.search.trial)).eval_every
            pruner = optuna.pruners.MedianPruner(n_startup_trials=self.search.startup, n_warmup_steps=epochs)
        return optuna.load_study(storage=self.storage, study_name=self.name, sampler=self.sampler(0), pruner=pruner)

    def recipe_of(self, params: Mapping[str, Any], number: int) -> Recipe:
        """Return the recipe that a trial trains; one that is taken up has the number of the first attempt."""
        values = merge(self.with_params(params), self.search.trial)
        return build_recipe(merge(values, {"variant": f"{self.base.variant}-t{number}", "keep_weights": False}))

    def with_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the recipe's values with a configuration in them."""
        values = dict(self.values)
        for key, value in params.items():
            values = merge(values, nested(key, self.parameters[key].written(value)))
        return values

    def ask(self) -> "optuna.Trial | None":
        """Take the next trial, one that a killed process left first; none where all are taken."""
        with self.alone():
            study = self.load()
            trials = study.get_trials(deepcopy=False)
            for old in trials:
                if old.state == optuna.trial.TrialState.RUNNING and left_alone(old):
                    study.tell(old.number, state=optuna.trial.TrialState.FAIL)
                    attempts = old.user_attrs.get("attempts", 1)
                    if attempts < ATTEMPTS and old.params:
                        first = old.user_attrs.get("first", old.number)
                        study.enqueue_trial(old.params, user_attrs={"first": first, "attempts": attempts + 1})
            counted = [t for t in study.get_trials(deepcopy=False) if t.state != optuna.trial.TrialState.FAIL]
            waiting = [t for t in counted if t.state == optuna.trial.TrialState.WAITING]
            if len(counted) >= self.search.trials and not waiting:
                return None
            trial = study.ask()
            trial.set_user_attr("owner", owner())
            trial.study.sampler = self.sampler(trial.number)
            for key, parameter in self.parameters.items():
                parameter.suggest(trial, key)
            return trial

    def run(self, trial: "optuna.Trial") -> None:
        """Train a trial's recipe and tell the study how it ended; an interruption leaves it for the next process."""
        study, states = self.load(), optuna.trial.TrialState
        recipe = self.recipe_of(trial.params, trial.user_attrs.get("first", trial.number))
        folder = self.work / recipe.experiment / recipe.run_name
        try:
            record = train(recipe, self.data, self.work, progress=False, watchers=[Pruning(trial)])
            report(trial, folder)  # also what was finished before the process that told it was killed
            self.environment = record["environment"] | {"data": record["data"]}
            study.tell(trial, record["metrics"]["miou"])
            self.failures = 0
        except TrainingError as error:
            if isinstance(error.__cause__, OSError):  # a full disk, say: no fault of the configuration
                raise
            if isinstance(error.__cause__, optuna.TrialPruned):
                study.tell(trial, state=states.PRUNED)
            else:
                trial.set_user_attr("message", str(error))
                study.tell(trial, state=states.FAIL)
                self.failures += 1
        except (ValueError, OSError):
            study.tell(trial, state=states.FAIL)
            raise
        shutil.rmtree(folder, ignore_errors=True)

    def write(self) -> Path:
        """Write the study's file for the pages, and the best configuration as a recipe."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.base.variant}{SUFFIX}"
        with self.alone():
            study = self.load()
            trials = [describe(t) for t in study.get_trials(deepcopy=False)]
            best = max((t for t in trials if t["state"] == "complete"), key=lambda t: t["value"], default=None)
            environment = self.environment
            if not environment and path.is_file():
                environment = json.loads(path.read_text("utf-8")).get("environment") or {}
            content = {
                "schema_version": SCHEMA_VERSION,
                "experiment": self.base.experiment,
                "variant": self.base.variant,
                "title": self.base.title,
                "objective": "val mIoU at a trial's last epoch",
                "sampler": self.search.sampler,
                "pruner": self.search.pruner,
                "seed": self.search.seed,
                "planned": self.search.trials,
                "space": self.search.space,
                "trial": self.search.trial,
                "recipe": self.base.as_dict(),
                "environment": environment,
                "written": now(),
                "importance": importance(study),
                "best": best and best["number"],
                "trials": trials,
            }
            write_atomic(path, json.dumps(content, indent=1).encode() + b"\n")
            if best:
                self.write_best(best, len(trials))
        return path

    def write_best(self, best: Mapping[str, Any], trials: int) -> None:
        """Write the best configuration as a recipe of the full training."""
        values = self.with_params(best["params"]) | {"variant": f"{self.base.variant}-best"}
        values["title"] = f"{self.base.title} (searched)"
        head = (
            f"# Trial {best['number']} of {trials} of the search {self.name}: mIoU {best['value']:.4f} in the trial.\n"
        )
        text = head + yaml.safe_dump(values, sort_keys=False)
        write_atomic(self.folder / f"{self.base.variant}-best.yaml", text.encode())


class Pruning:
    """Reports every evaluation to the trial, and stops one that is worse than half of those before it."""

    def __init__(self, trial: "optuna.Trial") -> None:
        self.trial = trial

    def started(self, training: Watched) -> None:
        """Report what a killed process had evaluated before."""
        self.ask(lambda: report(self.trial, training.folder))

    def evaluated(self, training: Watched, row: Mapping[str, Any]) -> None:
        """Report an epoch.

        Raises:
            optuna.TrialPruned: where the study says that it is not worth going on.
        """

        def tell() -> bool:
            self.trial.set_user_attr("seen", now())
            if math.isfinite(row["miou"]):
                self.trial.report(row["miou"], row["epoch"])
            return row["epoch"] < training.recipe.epochs and self.trial.should_prune()

        if self.ask(tell):
            raise optuna.TrialPruned

    def ask(self, question: Callable[[], Any]) -> Any:
        """Ask the storage; one that is away for a moment prunes nothing and stops nothing."""
        try:
            return question()
        except Exception as error:  # whatever a database's driver answers
            print(f"the study's storage: {first_line(error)}; the trial goes on", file=sys.stderr)
            return None

    def ended(self, training: Watched, record: Mapping[str, Any]) -> None:
        """Nothing more to tell."""


def report(trial: "optuna.Trial", folder: Path) -> None:
    """Report the evaluations of a run that the trial has not yet."""
    known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
    for row in read_epochs(folder):
        if row["epoch"] not in known and math.isfinite(row["miou"]):
            trial.report(row["miou"], row["epoch"])


def first_line(error: BaseException) -> str:
    """Return what a library says, without the advice that follows."""
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def open_storage(url: str, journal: Path) -> Any:
    """Open the study's storage: a file beside the results, another file, or a database by its URL."""
    if "://" in url:
        return optuna.storages.RDBStorage(
            url, engine_kwargs={"connect_args": {"timeout": 60}} if "sqlite" in url else {}
        )
    path = Path(url) if url else journal
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))


def owner() -> str:
    """Name this process, for others to see whether it still lives."""
    return f"{socket.gethostname()}:{os.getpid()}"


def left_alone(trial: "optuna.trial.FrozenTrial") -> bool:
    """Tell whether the process that ran a trial is gone; of another machine's, whether it was silent for half a day."""
    host, _, pid = str(trial.user_attrs.get("owner", "")).rpartition(":")
    started = trial.datetime_start.astimezone(UTC) if trial.datetime_start else datetime.now(UTC)
    if not pid:  # killed between asking and signing, or about to sign
        return (datetime.now(UTC) - started).total_seconds() > SIGNING_S
    if host != socket.gethostname():
        seen = datetime.fromisoformat(trial.user_attrs.get("seen") or started.isoformat())
        return (datetime.now(UTC) - seen).total_seconds() > SILENT_S
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OSError):  # somebody else's process
        return False
    return int(pid) == os.getpid()


def describe(trial: "optuna.trial.FrozenTrial") -> dict[str, Any]:
    """Return a trial as the study's file has it."""
    spent = trial.duration.total_seconds() if trial.duration else None
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state == optuna.trial.TrialState.COMPLETE else None,
        "params": trial.params,
        "epochs": list(trial.intermediate_values),  # evaluated ones
        "miou": list(trial.intermediate_values.values()),
        "started": trial.datetime_start and trial.datetime_start.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": None if spent is None else round(spent, 1),
        "message": trial.user_attrs.get("message", ""),
    }


def importance(study: "optuna.Study") -> dict[str, float]:
    """Return each parameter's share in what separates good trials from bad ones; empty where they are too few.

    Source: Watanabe et al., PED-ANOVA, IJCAI 2023, in Optuna's implementation.
    """
    done = [t for t in study.get_trials(deepcopy=False) if t.state == optuna.trial.TrialState.COMPLETE]
    if len(done) < 4:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: round(float(share), 4) for name, share in shares.items()}


def open_studies(path: Path, overrides: Sequence[str], data: Path, results: Path, storage: str) -> list[Study]:
    """Read a search recipe: one study, or one for each of its ``variants``.

    Raises:
        ValueError: where the recipe is no search or says what cannot be.
    """
    values = read_values(path, overrides)
    block = values.pop("search", None)
    if not isinstance(block, Mapping):
        raise ValueError(
            f"expected a search block in {path.name}, found none; python -m trainers.train trains a recipe"
        )
    variants = values.pop("variants", None)
    search: Search = convert(dict(block), Search, "search")
    if not variants:
        return [Study(values, search, data, results, storage)]
    studies = []
    for name, differs in variants.items():
        differs = dict(differs or {})
        own = convert(merge(block, differs.pop("search", {})), Search, "search")
        studies.append(Study(merge(values, {"variant": name, **differs}), own, data, results, storage))
    return studies


def work_through(study: Study) -> int:
    """Run trials until the study has as many as planned; return the exit code."""
    while study.failures < FAILURES and (trial := study.ask()):
        study.run(trial)
        study.write()
        done = study.load().get_trials(deepcopy=False)[trial.number]
        shown = f"mIoU {done.value:.4f}" if done.value is not None else ""
        print(f"{study.name} trial {trial.number}: {done.state.name.lower()} {shown} {done.params}", flush=True)
    path = study.write()
    if study.failures >= FAILURES:
        print(f"{study.name}: {FAILURES} trials failed one after the other; see {path.name}", file=sys.stderr)
        return 1
    print(f"{study.name}: {path}")
    return 0


def search_command(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A file of trainers/recipes with a search block.")],
    data: DataRoot,
    overrides: Overrides = [],
    results: Results = RESULTS,
    storage: Annotated[
        str, Option(metavar="FILE|URL", help="What several processes share; a file in --results by default.")
    ] = "",
) -> int:
    """Do what the command line asks; returns the exit code."""
    if optuna is None:
        raise ValueError(MISSING)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    code = 0
    try:
        for study in open_studies(recipe, overrides, data, results, storage):
            code = max(code, work_through(study))
    except ImportError as error:
        raise ValueError(f"{first_line(error)}; a database needs its driver, PostgreSQL psycopg2-binary") from error
    except Exception as error:  # a database that is not there, as its driver says it
        if "sqlalchemy" not in type(error).__module__ and "optuna" not in type(error).__module__:
            raise
        raise ValueError(f"the study's storage: {first_line(error)}") from error
    return code


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(search_command, argv, "python -m trainers.search", __doc__, explain)


if __name__ == "__main__":
    sys.exit(main())
