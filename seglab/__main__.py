"""Command line of the library.

python -m seglab compare photo1.jpg photo2.jpg --out masks/ --label-space cityscapes-8
python -m seglab compare street.jpg --out masks/ --model results/camvid-architectures/fpn_resnet-seed42 --only mask2former
python -m seglab precompute --redraw
python -m seglab serve --headless --address 0.0.0.0 --port 8501
python -m seglab export results/camvid-architectures/mask2former-seed42 exported/ --to onnx
python -m seglab models-table --write
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from tqdm import tqdm
from typer import Argument, Option

from seglab.cli import among, examples, make_app, run
from seglab.images import FORMATS
from seglab.labels import SPACES, common_spaces
from seglab.predict.scores import Detail
from seglab.predict.shelf import bundled_models, bundled_runs
from seglab.records.files import write_atomic
from seglab.records.store import RESULTS

app = make_app(
    help="Compare segmentation models on photos, serve them, write them for other runtimes.", no_args_is_help=True
)


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
        opened = open_model(source)
        for note in opened.facts.notes:
            print(f"{opened.title}: {note}", file=sys.stderr)
        chosen[unique_stems([*chosen, Path(source).name])[-1]] = opened
    if not chosen:
        raise ValueError("no trained model on the shelf; train one (docs/training.md) or give --model RUN")
    return {name: Segmenter(model, engine=engine) for name, model in chosen.items()}  # type: ignore[arg-type]


@app.command(epilog=examples(__doc__, "python -m seglab compare"))
def compare(
    photos: Annotated[list[str], Argument(metavar="PHOTO", help=f"{FORMATS}.")],
    out: Annotated[Path, Option(metavar="DIR", help="Where masks, overlays and summary.json go.")],
    label_space: Annotated[
        str | None, Option(help="Of the answers; the models' own by default.", **among(SPACES))
    ] = None,
    model: Annotated[
        list[str],
        Option(
            metavar="RUN",
            help="Add a run's or checkpoint's folder, an .onnx or .pt2 file, or OWNER/NAME of the hub; repeatable.",
        ),
    ] = [],
    only: Annotated[list[str], Option(metavar="KEY", help="Only this bundled model; repeatable.")] = [],
    detail: Annotated[
        str, Option(help="What models see; high: twice the size, in tiles.", **among(("standard", "high")))
    ] = "standard",
    engine: Annotated[
        str, Option(help="auto: torch where there is CUDA, else OpenVINO.", **among(("auto", "openvino", "torch")))
    ] = "auto",
) -> int:
    """Segment photos with every model and write masks, overlays and summary.json."""
    from seglab.images import ImageError, open_photo
    from seglab.predict.files import mask_files, summary_row

    models = load_segmenters(model, only, engine)
    space_key = label_space or default_space(models)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    failed = 0
    bar = tqdm(total=len(photos) * len(models), unit="mask", disable=None)
    for path, stem in zip(photos, unique_stems(photos), strict=True):
        try:
            photo = open_photo(path)
        except ImageError as error:
            failed += 1
            tqdm.write(f"{error}", file=sys.stderr)
            rows.append({"photo": path, "model": None, "error": str(error)})
            bar.update(len(models))
            continue
        for key, segmenter in models.items():
            try:
                prediction = segmenter.predict(photo.pixels, space_key, cast(Detail, detail), photo.name)
                for name, data in mask_files(stem, key, photo.pixels, prediction).items():
                    write_atomic(out / name, data)
                rows.append(summary_row(path, key, segmenter.model.facts.origin, prediction, photo.decode_ms))
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
        f"{done} masks of {len(photos)} photos by {len(models)} models in {out}" + (f"; {failed} failed" * bool(failed))
    )
    return 1 if failed else 0


def default_space(models: dict[str, Any]) -> str:
    """Return the finest label space in which all models can answer; their own where it is one."""
    return common_spaces(model.label_space for model in models.values())[0]


@app.command(epilog=examples(__doc__, "python -m seglab precompute"))
def precompute(
    redraw: Annotated[bool, Option("--redraw", help="Draw the scenes anew first.")] = False,
    choose: Annotated[
        bool, Option("--choose", help="Only print which seed of each sample meets seglab/predict/choosing.py.")
    ] = False,
) -> int:
    """Segment the samples with every bundled model and store the answers beside the weights' hashes."""
    from seglab.predict.samples import choose_samples, make_samples, precompute_samples

    if choose:
        for line in choose_samples(load_segmenters([], [], "auto")):
            print(line, flush=True)
        return 0
    if redraw:
        make_samples()
    written = precompute_samples(load_segmenters([], list(bundled_runs(RESULTS)), "auto"))
    print(f"{written} answers stored")
    return 0


@app.command(epilog=examples(__doc__, "python -m seglab serve"))
def serve(
    port: Annotated[int, Option(help="TCP port to listen on.")] = 8501,
    address: Annotated[str, Option(help="IP address to listen on; all of this machine's by default.")] = "",
    headless: Annotated[bool, Option("--headless", help="Open no browser.")] = False,
) -> int:
    """Serve the dashboard and, where it is installed, the REST service under /api."""
    from seglab.ui.serve import serve_dashboard

    serve_dashboard(port, address, headless)
    return 0


@app.command("export", epilog=examples(__doc__, "python -m seglab export"))
def export_run(
    run_folder: Annotated[Path, Argument(metavar="RUN", help="Folder of a finished run with weights.")],
    out: Annotated[Path, Argument(metavar="DIR", help="Where the files go; made where it is not there.")],
    to: Annotated[str, Option(help="The runtime that it is for.", **among(("onnx", "openvino", "safetensors")))],
) -> int:
    """Write a run's model for another runtime."""
    from seglab.predict.export import export
    from seglab.predict.sources import open_model

    made = export(open_model(run_folder), cast(Any, to), out)
    size = "{}x{} px only".format(*made.size_px[::-1]) if made.size_px else "any multiple of 32 px"
    print(f"{made.equal_frac:.3%} of the labels equal torch's, at least ({made.runtime}, sample scenes); takes {size}")
    for file in made.files:
        print(file)
    return 0


@app.command("models-table", epilog=examples(__doc__, "python -m seglab models-table"))
def print_models_table(write: Annotated[bool, Option("--write", help="Put it into docs/models.md.")] = False) -> int:
    """Print the table of bundled models."""
    from seglab.evidence.runs.models_table import models_table, write_table

    runs = list(bundled_runs(RESULTS).values())
    if not runs:
        raise ValueError("no finished run with weights of a bundled model")
    table = models_table(runs)
    print(table)
    if write:
        write_table(Path(__file__).resolve().parent.parent / "docs" / "models.md", table)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return run(app, argv, "python -m seglab")


if __name__ == "__main__":
    sys.exit(main())
