"""Measure a run's model under the fifteen corruptions, three severities each, on its validation split.

python -m trainers.robustness results/camvid-architectures/*-seed42 --data DIR
python -m trainers.robustness results/camvid-architectures/*-seed42 --data DIR --every 4

Killed at any moment, the same command goes on. Writes ``robustness.npz`` of the run's record; no frames.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from tqdm import tqdm
from typer import Option

from seglab.cli import single
from seglab.data import DataSet
from seglab.data.corruptions import corrupt, parameters
from seglab.evidence.robustness import drop_table
from seglab.labels import space
from seglab.measure.metrics import confusion_matrix
from seglab.models import DenseModel, QueryModel
from seglab.predict.networks import load_run
from seglab.records import robustness
from seglab.records.files import RunError
from seglab.records.robustness import CLEAN, CONDITIONS, Robustness
from seglab.records.runs import read_record
from trainers.training.evaluation import note_other_data, open_validation, predict
from trainers.training.loading import normalise
from trainers.training.options import DataRoot, Runs, Threads
from trainers.training.setup import for_each_run, git_commit, now


def measure_run(folder: Path, root: Path, every: int = 1, progress: bool = True, again: bool = False) -> Robustness:
    """Measure every condition of :data:`seglab.records.robustness.CONDITIONS`, or go on with that.

    An image's draws depend on its place in the split and on the corruption alone, so all models see the same rain. The mask
    is bent along where the corruption bends the scene.

    Args:
        folder: of a finished run with weights.
        root: of the data set.
        every: take every n-th image of the split.
        progress: show a bar.
        again: replace a finished measurement of other settings.

    Raises:
        RunError: where the run cannot be used, or holds a finished measurement of its weights by other settings.
        ValueError: where the data are not there, or ``every`` is below 1.
    """
    if every < 1:
        raise ValueError(f"expected --every of 1 or more, got {every}")
    record = read_record(folder)
    data, num_classes = open_validation(record, root, one_size=True), space(record["label_space"]).num_classes
    note_other_data(folder.name, record, data)
    chosen = range(0, len(data), every)
    first = data[0][0]
    about = {
        "data": data.name,
        "split": data.split,
        "fingerprint": data.fingerprint(),
        "every": every,
        "weights_sha256": str((record.get("weights") or {}).get("sha256", "")),
        "parameters": {
            condition: {k: list(v) if isinstance(v, tuple) else v for k, v in _parameters(condition, first).items()}
            for condition in CONDITIONS[1:]
        },
    }
    stems = tuple(data.stems[index] for index in chosen)
    found = _so_far(folder, about, stems, num_classes, again)
    if found.done == len(CONDITIONS):
        return found
    model = load_run(folder).eval()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    bar = tqdm(CONDITIONS, initial=found.done, disable=not progress, desc=folder.name, leave=False)
    for at in range(found.done, len(CONDITIONS)):
        for place, index in enumerate(chosen):
            found.confusions[at, place] = _confusion(model, device, data, index, CONDITIONS[at], num_classes)
        bar.update()
        last = at + 1 == len(CONDITIONS)
        more = {"git_commit": git_commit(), "time": now()} if last else {"done": at + 1}
        found = replace(found, about=about | more)
        robustness.save(folder, found)
    bar.close()
    return found


def _parameters(condition: str, image: np.ndarray) -> dict[str, object]:
    key, _, severity = condition.partition("/")
    return parameters(key, int(severity), min(image.shape[:2]))  # type: ignore[arg-type]


def _so_far(
    folder: Path, about: dict[str, object], stems: tuple[str, ...], num_classes: int, again: bool
) -> Robustness:
    """Return what is stored of the same question, else an empty measurement."""
    try:
        stored = robustness.load(folder, num_classes)
    except RunError:
        stored = None
    if stored is not None:
        other = [key for key, value in about.items() if stored.about.get(key) != value]
        if not other and stored.stems == stems:
            return stored
        whole = stored.done == len(CONDITIONS) and stored.about["weights_sha256"] == about["weights_sha256"]
        if whole and not again:
            raise RunError(
                f"{folder.name} holds a finished measurement by other settings ({', '.join(other) or 'images'}); move its "
                f"{robustness.FILE} away, or say --again to replace it"
            )
    empty = np.zeros((len(CONDITIONS), len(stems), num_classes, num_classes), np.uint32)
    return Robustness(about | {"done": 0}, stems, empty)


@torch.inference_mode()
def _confusion(
    model: torch.nn.Module, device: torch.device, data: DataSet, index: int, condition: str, num_classes: int
) -> np.ndarray:
    assert isinstance(model, DenseModel | QueryModel)
    image, mask = data[index]
    if condition != CLEAN:
        key, _, severity = condition.partition("/")
        image, bent = corrupt(np.ascontiguousarray(image), key, int(severity), index, np.ascontiguousarray(mask))  # type: ignore[arg-type]
        assert bent is not None
        mask = bent
    pred = predict(model, normalise(torch.from_numpy(image)[None]).to(device))[0].cpu().numpy().astype(np.uint8)
    return confusion_matrix(pred, mask, num_classes)


def robustness_command(
    runs: Runs,
    data: DataRoot,
    every: Annotated[int, Option(metavar="N", help="Take every n-th image of the split.")] = 1,
    again: Annotated[bool, Option("--again", help="Replace a finished measurement of other settings.")] = False,
    threads: Threads = 0,
) -> int:
    """Do what the command line asks; returns the exit code."""
    if threads:
        torch.set_num_threads(threads)
    return for_each_run(runs, lambda folder: _print(folder, measure_run(folder, data, every, again=again)))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(robustness_command, argv, "python -m trainers.robustness", __doc__)


def _print(folder: Path, found: Robustness) -> None:
    table = drop_table({folder.name: found}, space(read_record(folder)["label_space"]).names)
    clean = table["clean"].iloc[0]
    print(f"{folder.name}: {len(found.stems)} images of {found.about['split']}, clean mIoU {clean:.1%}")
    for key, rows in table.groupby("corruption", sort=False):
        print(f"  {key:<22}" + "".join(f"{value:8.1%}" for value in rows["miou"]))
    print(f"  mean relative drop {table['relative_drop'].mean():.1%}")


if __name__ == "__main__":
    sys.exit(main())
