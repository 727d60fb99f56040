"""Seconds and memory of a page's query to a store of ten thousand runs, beside scanning the JSON for the same answer.

python benchmarks/store_scale.py [--runs 10000] [--epochs 160] [--experiments 20]
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from seglab.labels import SPACES

SEEDS = 5
QUERY_LIMIT_S = 1.0
QUERY_LIMIT_MIB = 1024
CLASSES = SPACES["camvid-11"].names
METRICS = (
    *("train_loss", "lr", "seconds", "miou", "pixel_accuracy", "dice", "boundary_f1", "trimap_iou"),
    *(f"{metric}/{name}" for metric in ("iou", "boundary_f1", "trimap_iou") for name in CLASSES),
)
# Each part runs in a process of its own, whose peak memory is then its own.
TIMED = """
import sys, time
from pathlib import Path
import pandas, pyarrow.parquet
from seglab.records.store import RunStore
from seglab.records.runs import read_epochs
root, experiment = Path(sys.argv[1]), sys.argv[2]
start = time.perf_counter()
{work}
spent = time.perf_counter() - start
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(spent, int(peak) / 1024, answer[0], answer[1])
"""
INDEXED = """
store = RunStore(root)
runs, curves = store.runs(), store.curves(experiment, "miou")
answer = len(runs), round(curves["value"].sum(), 3)
"""
SCANNED = """
runs, values = [], []
for run in RunStore(root):
    runs.append((run.name, run.fields["variant"], run.fields["seed"], run.fields["status"], run.problem))
    if run.folder.parent.name == experiment:
        values += [line["miou"] for line in read_epochs(run.folder)]
answer = len(runs), round(sum(values), 3)
"""


def make_store(root: Path, runs: int, epochs: int, experiments: int) -> None:
    """Write synthetic runs, spread over experiments of variants with five seeds each."""
    draw = random.Random(0)
    line = "{{" + ", ".join(f'"{name}": %.9f' for name in METRICS) + "}}\n"
    text = "".join(line.format().replace("{", f'{{"epoch": {epoch}, ') for epoch in range(1, epochs + 1))
    for number in range(runs):
        experiment, variant = f"experiment-{number % experiments:02}", f"variant-{number // experiments // SEEDS:03}"
        seed = number // experiments % SEEDS
        folder = root / experiment / f"{variant}-seed{seed}"
        folder.mkdir(parents=True)
        record = {
            **{"schema_version": 1, "experiment": experiment, "variant": variant, "title": variant, "seed": seed},
            **{"model": {"key": "deeplabv3plus", "size": "bundled", "parameters": 5394195}, "label_space": "camvid-11"},
            **{"provenance": "trained", "status": "finished", "epochs": epochs, "metrics": {"miou": 0.5}},
            "data": {"name": "camvid", "val": {"split": "val", "images": 101, "fingerprint": "0" * 64}},
        }
        (folder / "run.json").write_text(json.dumps(record, indent=2))
        (folder / "epochs.jsonl").write_text(text % tuple(draw.random() for _ in range(epochs * len(METRICS))))


def timed(work: str, root: Path) -> tuple[float, float, str]:
    """Return seconds, peak MiB and the answer of a piece of work in a fresh process (its imports not counted)."""
    command = [sys.executable, "-c", TIMED.format(work=work), str(root), "experiment-00"]
    done = subprocess.run(
        command, cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True, check=True
    )
    spent, peak, *answer = done.stdout.split()
    return float(spent), float(peak), " ".join(answer)


def main() -> int:
    """Print build time, the query beside its limits, and the ratio to a scan of the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=160)
    parser.add_argument("--experiments", type=int, default=20, help="that the runs are spread over")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, start = Path(folder), time.perf_counter()
        make_store(root, args.runs, args.epochs, args.experiments)
        print(
            f"{args.runs} runs x {args.epochs} epochs x {len(METRICS)} values made in {time.perf_counter() - start:.0f} s"
        )
        build_s, build_mib, first = timed(INDEXED, root)
        size = sum(path.stat().st_size for path in (root / ".index").rglob("*") if path.is_file())
        print(
            f"index built once            {build_s:7.2f} s   peak {build_mib:5.0f} MiB   {size / 2**20:.0f} MiB on disk"
        )
        query_s, query_mib, answer = timed(INDEXED, root)
        scan_s, scan_mib, scanned = timed(SCANNED, root)
        assert first == answer == scanned, (first, answer, scanned)
        print(f"page's query, from the index{query_s:7.2f} s   peak {query_mib:5.0f} MiB", end="   ")
        print(f"{query_s / QUERY_LIMIT_S:4.2f} of {QUERY_LIMIT_S:.0f} s, {query_mib / QUERY_LIMIT_MIB:4.2f} of 1 GiB")
        print(f"same answer, from the JSON  {scan_s:7.2f} s   peak {scan_mib:5.0f} MiB   ratio {scan_s / query_s:4.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
