"""Command line of the library.

python -m seglab compare PHOTO… --out DIR [--label-space camvid-11|cityscapes-8]
python -m seglab precompute
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seglab.labels import GROUPS, SPACES
from seglab.predict.shelf import bundled_models, bundled_runs
from seglab.records.files import RunError, write_atomic
from seglab.records.store import RESULTS


def unique_stems(names: Sequence[str]) -> list[str]:
    """Return a safe and unique file-name stem for each photo.

    >>> unique_stems(["a/x.jpg", "b/x.png"])
    ['x', 'x-2']
    """
    from seglab.images import safe_stem

    seen: dict[str, int] = {}
    stems = []
    for name in names:
        stem = safe_stem(name)
        number = seen.get(stem.casefold(), 0) + 1
        while number > 1 and f"{stem}-{number}".casefold() in seen:
            number += 1
        seen[stem.casefold()] = number
        unique = stem if number == 1 else f"{stem}-{number}"
        seen.setdefault(unique.casefold(), 1)
        stems.append(unique)
    return stems


def load_segmenters(extra: Sequence[str], only: Sequence[str], engine: str, results: Path = RESULTS) -> dict[str, Any]:
    """Load the bundled models and the user's own runs, by the name used in file names.

    Raises:
        ValueError: where a model cannot be loaded, or none is left.
    """
    from seglab.predict.segmenter import Segmenter
    from seglab.predict.sources import open_model

    bundled = {model.key: model for model in bundled_models(results)}
    only = only or [key for key, model in bundled.items() if model.shown]
    if unknown := [key for key in only if key not in bundled]:
        raise ValueError(f"expected --only out of {', '.join(bundled) or 'no trained model'}, got {', '.join(unknown)}")
    chosen = {key: model for key, model in bundled.items() if key in only}
    for source in extra:
        chosen[unique_stems([*chosen, Path(source).name])[-1]] = open_model(source)
    if not chosen:
        raise ValueError("no trained model on the shelf; train one (docs/training.md) or give --model RUN")
    return {name: Segmenter(model, engine=engine) for name, model in chosen.items()}  # type: ignore[arg-type]


def compare(args: argparse.Namespace) -> int:
    """Segment photos with every model and write masks, overlays and ``summary.json``."""
    from seglab.images import ImageError, open_photo
    from seglab.predict.files import mask_files, summary_row

    models = load_segmenters(args.model, args.only, args.engine)
    space_key = args.label_space or default_space(models)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    failed = 0
    bar = tqdm(total=len(args.photos) * len(models), unit="mask", disable=None)
    for path, stem in zip(args.photos, unique_stems(args.photos), strict=True):
        try:
            photo = open_photo(path)
        except ImageError as error:
            failed += 1
            tqdm.write(f"{error}", file=sys.stderr)
            rows.append({"photo": path, "model": None, "error": str(error)})
            bar.update(len(models))
            continue
        for key, model in models.items():
            try:
                prediction = model.predict(photo.pixels, space_key, args.detail)
                for name, data in mask_files(stem, key, photo.pixels, prediction).items():
                    write_atomic(out / name, data)
                rows.append(summary_row(path, key, model.model.facts.origin, prediction, photo.decode_ms))
            except (ValueError, RuntimeError, MemoryError) as error:
                failed += 1
                reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                tqdm.write(f"{photo.name}: {key}: {reason}", file=sys.stderr)
                rows.append({"photo": path, "model": key, "error": reason})
            bar.update()
    bar.close()
    text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    write_atomic(out / "summary.json", text.encode(errors="backslashreplace"))  # a file name need not be UTF-8
    done = len([row for row in rows if "error" not in row])
    print(
        f"{done} masks of {len(args.photos)} photos by {len(models)} models in {out}"
        + (f"; {failed} failed" * bool(failed))
    )
    return 1 if failed else 0


def default_space(models: dict[str, Any]) -> str:
    """Return the models' common label space: their own where it is one, else the eight groups."""
    own = {model.label_space for model in models.values()}
    return own.pop() if len(own) == 1 else GROUPS


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    from seglab.images import FORMATS

    parser = argparse.ArgumentParser(prog="python -m seglab", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("compare", help="segment photos with all models, without a browser")
    one.add_argument("photos", nargs="+", metavar="PHOTO", help=FORMATS)
    one.add_argument("--out", required=True, metavar="DIR", help="where masks, overlays and summary.json go")
    one.add_argument("--label-space", choices=list(SPACES), help="default: the models' own")
    one.add_argument(
        "--model", action="append", default=[], metavar="RUN", help="add a run's folder or a published Mask2Former"
    )
    one.add_argument("--only", action="append", default=[], metavar="KEY", help="only this bundled model (repeatable)")
    one.add_argument(
        "--detail", choices=["standard", "high"], default="standard", help="high: twice the size, in tiles"
    )
    one.add_argument("--engine", choices=["auto", "openvino", "torch"], default="auto")
    one.set_defaults(run=compare)
    two = commands.add_parser("precompute", help="segment the sample scenes for the first screen")
    two.add_argument("--redraw", action="store_true", help="draw the scenes anew first")
    two.set_defaults(run=precompute)
    three = commands.add_parser("models-table", help="print the README's table of bundled models from their records")
    three.add_argument("--write", action="store_true", help="put it into README.md")
    three.set_defaults(run=print_models_table)
    four = commands.add_parser("serve", help="open the dashboard, with the REST service under /api")
    four.add_argument("--port", type=int, default=8501)
    four.add_argument("--address", default="", help="default: all of this machine's")
    four.add_argument("--headless", action="store_true", help="open no browser")
    four.set_defaults(run=serve)
    five = commands.add_parser("export", help="write a run's model for another runtime, checked against torch")
    five.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a finished run with weights")
    five.add_argument("out", metavar="DIR", type=Path)
    five.add_argument("--to", choices=["onnx", "openvino", "safetensors"], required=True)
    five.set_defaults(run=export_run)
    args = parser.parse_args(argv)
    try:
        code: int = args.run(args)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (RunError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return code


def precompute(args: argparse.Namespace) -> int:
    """Segment the samples with every bundled model and store the answers beside the weights' hashes."""
    from seglab.predict.samples import make_samples, precompute_samples

    if args.redraw:
        make_samples()
    written = precompute_samples(load_segmenters([], list(bundled_runs(RESULTS)), "auto"))
    print(f"{written} answers stored")
    return 0


def serve(args: argparse.Namespace) -> int:
    """Serve the dashboard and, where it is installed, the REST service under /api."""
    from seglab.ui.serve import serve_dashboard

    serve_dashboard(args.port, args.address, args.headless)
    return 0


def export_run(args: argparse.Namespace) -> int:
    """Write a run's model for another runtime."""
    from seglab.predict.export import export
    from seglab.predict.sources import open_model

    made = export(open_model(args.run_folder), args.to, args.out)
    size = "{}x{} px only".format(*made.size_px[::-1]) if made.size_px else "any multiple of 32 px"
    print(f"{made.equal_frac:.3%} of the labels equal torch's, at least ({made.runtime}, sample scenes); takes {size}")
    for file in made.files:
        print(file)
    return 0


def print_models_table(args: argparse.Namespace) -> int:
    """Print the table of bundled models; with ``--write`` put it into the README."""
    from seglab.evidence.runs.models_table import models_table, write_readme

    runs = list(bundled_runs(RESULTS).values())
    if not runs:
        raise ValueError("no finished run with weights of a bundled model")
    table = models_table(runs)
    print(table)
    if args.write:
        write_readme(Path(__file__).resolve().parent.parent / "README.md", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
