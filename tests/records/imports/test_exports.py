"""Tables and exports as people have them are read with their right values, and every reading that is not literal is told."""

import json
import random
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglab.evidence.runs.table import csv_bytes
from seglab.records.imports import grid, joined
from seglab.records.imports.table import ImportedTable, ImportProblem, Said, parse_csv, parse_files, write_import
from seglab.records.store import RunStore
from trainers.export_results import curves, find_runs
from trainers.import_results import main

SPACE = "camvid-11"
Curves = dict[tuple[str, int], list[dict[str, Any]]]


def curves_of(read: ImportedTable) -> Curves:
    return {(run.title, run.seed): list(read.lines(run)) for run in read.runs}


def miou(*points: tuple[int, float]) -> list[dict[str, Any]]:
    return [{"epoch": epoch, "miou": value} for epoch, value in points]


def lines(*rows: str) -> str:
    return "\n".join([*rows, ""])


UNEVEN = lines("variant,seed,epoch,mIoU", "A,1,10,0.5", "A,1,20,0.6", "A,1,25,0.61", "B,1,10,0.5", "B,1,20,0.55")
SEMICOLON = lines("variant;seed;epoch;mIoU", "A;1;1;0,512", "A;1;2;0,61", "B;1;1;0,48", "B;1;2;0,60")
RARE = lines("variant,seed,epoch,mIoU,pole", "A,1,1,45.2,0.41", "A,1,2,50.2,2.3", "B,1,1,44.0,0.9", "B,1,2,51.3,3.1")
WANDB = lines(
    '"Step","A-seed1 - val/mIoU","A-seed1 - val/mIoU__MIN","A-seed1 - val/mIoU__MAX",'
    '"B-seed1 - val/mIoU","B-seed1 - val/mIoU__MIN","B-seed1 - val/mIoU__MAX"',
    '"1","0.41","0.41","0.41","0.40","0.40","0.40"',
    '"2","0.51","0.51","0.51","","",""',
)
TENSORBOARD = lines("Wall time,Step,Value", "1700000000.1,0,0.41", "1700000100.1,1,0.52")
MLFLOW = lines("run_id,key,value,step,timestamp", "abc,val_miou,0.41,1,17", "abc,val_miou,0.52,2,18")
HISTORY = lines(
    "_step,_runtime,_timestamp,epoch,train/loss,val/mIoU,gpu.0.temp",
    "0,1,17,1,0.9,,60",
    "1,2,18,1,0.8,0.41,60",
    "2,3,19,2,0.7,,61",
    "3,4,20,2,0.6,0.52,61",
)
LIGHTNING = lines(
    "epoch,lr,step,train_loss,val_miou", "0,0.1,49,0.9,", "0,,99,,0.41", "1,0.05,149,0.8,", "1,,199,,0.52"
)
MMSEG = lines(
    '{"lr": 0.01, "loss": 0.9, "iter": 50, "step": 50}',
    '{"aAcc": 91.2, "mIoU": 41.0, "mAcc": 60.0, "step": 100}',
    '{"aAcc": 92.2, "mIoU": 52.0, "mAcc": 61.0, "step": 200}',
)
HUGGING_FACE = json.dumps(
    {
        "global_step": 20,
        "log_history": [
            {"epoch": 0.5, "loss": 0.9, "learning_rate": 5e-05, "step": 5},
            {"epoch": 1.0, "eval_mean_iou": 0.41, "eval_loss": 0.4, "eval_runtime": 2.0, "step": 10},
            {"epoch": 2.0, "eval_mean_iou": 0.52, "eval_loss": 0.3, "eval_runtime": 2.0, "step": 20},
        ],
    },
    indent=2,
)
MINE: dict[str, Any] = {"variant": "mine", "seed": 3}
UNEVEN_NOTE = "runs have different epochs: a seed counts at the epochs it has"
ABC = {("A", 1): miou((1, 0.512), (2, 0.61)), ("B", 1): miou((1, 0.48), (2, 0.6))}

CASES: dict[str, tuple[str, dict[str, Any], Curves, list[str]]] = {
    "uneven epochs": (
        UNEVEN,
        {},
        {("A", 1): miou((10, 0.5), (20, 0.6), (25, 0.61)), ("B", 1): miou((10, 0.5), (20, 0.55))},
        [UNEVEN_NOTE],
    ),
    "decimal comma": (SEMICOLON, {}, ABC, ["`;` separates, so `,` is the decimal sign"]),
    "excel's own line": (
        "sep=;\n" + SEMICOLON,
        {},
        ABC,
        ["`;` separates, so `,` is the decimal sign"],
    ),
    "an index and an empty column": (
        lines(",variant,seed,epoch,mIoU,", "0,A,1,1,0.5,", "1,A,1,2,0.6,"),
        {},
        {("A", 1): miou((1, 0.5), (2, 0.6))},
        ["left out: column 1, which has no name", "left out: column 6, which has no name"],
    ),
    "nan": (
        lines("variant,seed,epoch,mIoU,road", "A,1,1,0.5,NaN", "A,1,2,0.6,0.9"),
        {},
        {("A", 1): [{"epoch": 1, "miou": 0.5, "iou/road": None}, {"epoch": 2, "miou": 0.6, "iou/road": 0.9}]},
        ["`NaN` read as a figure that does not count, first in line 2"],
    ),
    "tab and comma": (SEMICOLON.replace(";", "\t"), {}, ABC, ["a tab separates, so `,` is the decimal sign"]),
    "quoted commas": (
        lines("variant,seed,epoch,mIoU", 'A,1,1,"0,512"'),
        {},
        {("A", 1): miou((1, 0.512))},
        ["`,` is the decimal sign"],
    ),
    "rare class": (
        RARE,
        {},
        {
            ("A", 1): [
                {"epoch": 1, "miou": 0.452, "iou/pole": 0.0041},
                {"epoch": 2, "miou": 0.502, "iou/pole": 0.023},
            ],
            ("B", 1): [
                {"epoch": 1, "miou": 0.44, "iou/pole": 0.009},
                {"epoch": 2, "miou": 0.513, "iou/pole": 0.031},
            ],
        },
        ["percent: mIoU 51.3 > 1 in line 5"],
    ),
    "percent sign": (
        lines("variant,seed,epoch,mIoU", "A,1,0,0.9%", "A,1,1,45.2 %"),
        {},
        {("A", 1): miou((0, 0.009), (1, 0.452))},
        ["percent: '0.9%' in line 2 has a percent sign"],
    ),
    "percent in the name": (
        lines("variant,seed,epoch,mIoU (%)", "A,1,0,0.9"),
        {},
        {("A", 1): miou((0, 0.009))},
        ["`mIoU (%)` read as mIoU", "percent: the column mIoU (%) says so"],
    ),
    "wandb chart": (
        WANDB,
        {},
        {("A", 1): miou((1, 0.41), (2, 0.51)), ("B", 1): miou((1, 0.4))},
        [
            "a W&B chart's export: one run a group of columns, `Step` read as epoch",
            "`…__MIN` and `…__MAX` left out",
            "`val/mIoU` read as mIoU",
            "`run` read as variant",
            "variant and seed read from the run's name, such as `A-seed1`",
            UNEVEN_NOTE,
        ],
    ),
    "tensorboard": (
        TENSORBOARD,
        {**MINE, "mapping": {"Value": "mIoU"}},
        {("mine", 3): miou((0, 0.41), (1, 0.52))},
        ["a TensorBoard export: `Step` read as epoch", "`Value` read as mIoU, as you say"],
    ),
    "mlflow": (
        MLFLOW,
        {"seed": 3},
        {("abc", 3): miou((1, 0.41), (2, 0.52))},
        [
            "an MLflow export: one run a `run_id`, one column a `key`, `step` read as epoch",
            "`val_miou` read as mIoU",
            "`run` read as variant",
        ],
    ),
    "mlflow without steps": (
        lines("run_name,key,value", "A-seed1,val_miou,0.41", "B-seed1,val_miou,0.4", "B-seed1,lr,0.1"),
        {"epoch": 160},
        {("A", 1): [{"epoch": 160, "miou": 0.41, "lr": None}], ("B", 1): [{"epoch": 160, "miou": 0.4, "lr": 0.1}]},
        [
            "an MLflow export: one run a `run_name`, one column a `key`, no step, so figures of one epoch",
            "`val_miou` read as mIoU",
            "`run` read as variant",
            "variant and seed read from the run's name, such as `A-seed1`",
        ],
    ),
    "mlflow search_runs": (
        lines(
            "run_id,experiment_id,status,artifact_uri,start_time,metrics.val_miou,params.seed,params.loss,tags.mlflow.runName",
            "ab,1,FINISHED,s3://x,2026,0.41,3,ce,first",
            "cd,1,FINISHED,s3://y,2026,0.52,4,dice,second",
        ),
        {"epoch": 160},
        {("first", 3): miou((160, 0.41)), ("second", 4): miou((160, 0.52))},
        [
            "an MLflow export: a table of runs, one a `tags.mlflow.runname`; it holds no step, so figures of one epoch",
            "`val_miou` read as mIoU",
            "`run` read as variant",
            "left out: `params.loss`",
        ],
    ),
    "mlflow page": (
        lines(
            "Start Time,Duration,Run ID,Name,Source Type,Source Name,User,Status,lr,seed,val_miou",
            "2026-11-27,5s,ab,A,LOCAL,train.py,me,FINISHED,0.1,3,0.41",
        ),
        {"epoch": 160},
        {("A", 3): [{"epoch": 160, "lr": 0.1, "miou": 0.41}]},
        [
            "an MLflow export: a table of runs, one a `name`; it holds no step, so figures of one epoch",
            "`val_miou` read as mIoU",
            "`run` read as variant",
        ],
    ),
    "wandb history": (
        HISTORY,
        MINE,
        {
            ("mine", 3): [
                {"epoch": 1, "train_loss": 0.8, "miou": 0.41},
                {"epoch": 2, "train_loss": 0.6, "miou": 0.52},
            ]
        },
        [
            "the history of a W&B run: the rows of one epoch are one, the last figure of each column counts",
            "`train/loss` read as train_loss",
            "`val/mIoU` read as mIoU",
            "left out: `gpu.0.temp`",
        ],
    ),
    "lightning": (
        LIGHTNING,
        MINE,
        {
            ("mine", 3): [
                {"epoch": 0, "lr": 0.1, "train_loss": 0.9, "miou": 0.41},
                {"epoch": 1, "lr": 0.05, "train_loss": 0.8, "miou": 0.52},
            ]
        },
        [
            "a Lightning log: the rows of one epoch are one, the last figure of each column counts",
            "`val_miou` read as mIoU",
        ],
    ),
    "mmsegmentation": (
        MMSEG,
        MINE,
        {
            ("mine", 3): [
                {"epoch": 100, "lr": None, "train_loss": None, "pixel_accuracy": 0.912, "miou": 0.41},
                {"epoch": 200, "lr": None, "train_loss": None, "pixel_accuracy": 0.922, "miou": 0.52},
            ]
        },
        [
            "an MMSegmentation log: the step read as epoch",
            "`aAcc` read as pixel_accuracy",
            "`loss` read as train_loss",
            "left out: `mAcc`",
            "1 line without a score left out",
            "percent: aAcc 92.2 > 1 in line 3",
        ],
    ),
    "hugging face": (
        HUGGING_FACE,
        MINE,
        {
            ("mine", 3): [
                {"epoch": 1, "train_loss": None, "lr": None, "miou": 0.41},
                {"epoch": 2, "train_loss": None, "lr": None, "miou": 0.52},
            ]
        },
        [
            "a Hugging Face trainer's state",
            "`learning_rate` read as lr",
            "`eval_mean_iou` read as mIoU",
            "`loss` read as train_loss",
            "left out: `eval_loss`, `eval_runtime`",
            "1 entry without a score left out",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_as_people_have_it_has_the_right_values_and_tells_how_it_was_read(name: str) -> None:
    text, said, expected, notes = CASES[name]
    read = parse_csv(text.encode(), SPACE, **said)
    assert curves_of(read) == expected
    assert list(read.notes) == notes


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "the text is UTF-16"),
        ("cp1252", "line 2 is not UTF-8: the text is"),
    ],
)
def test_encodings_of_spreadsheets_are_read(encoding: str, note: str) -> None:
    read = parse_csv(lines("variant,seed,epoch,mIoU", "été – a,1,1,0.5").encode(encoding), SPACE)
    assert curves_of(read) == {("été – a", 1): miou((1, 0.5))}
    assert [one.startswith(note) for one in read.notes] == [True] * bool(note)


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("IoU_road", "iou/road"),
        ("road_iou", "iou/road"),
        ("IoU/road", "iou/road"),
        ("iou.road", "iou/road"),
        ("val/IoU/road (%)", "iou/road"),
        ("boundary_f1.road", "boundary_f1/road"),
        ("road trimap_iou", "trimap_iou/road"),
        ("mean_iou", "miou"),
        ("val/mIoU", "miou"),
        ("mIoU (%)", "miou"),
        ("Mean IoU [%]", "miou"),
    ],
)
def test_a_column_is_known_with_the_usual_prefixes_and_suffixes(column: str, key: str) -> None:
    read = parse_csv(lines(f"variant,seed,epoch,{column}", "A,1,1,45").encode(), SPACE)
    assert read.metrics == (key,)
    assert list(read.lines(read.runs[0])) == [{"epoch": 1, key: 0.45}]
    assert column == "IoU/road" or read.notes[0].startswith(f"`{column}` read as ")


@pytest.mark.parametrize("variant", ["method", "Model", "run", "loss"])
@pytest.mark.parametrize("epoch", ["step", "Iteration"])
def test_a_synonym_of_a_key_is_taken_where_no_column_has_its_name(variant: str, epoch: str) -> None:
    read = parse_csv(lines(f"{variant},seed,{epoch},mIoU", "CE,1,500,0.5").encode(), SPACE)
    assert curves_of(read) == {("CE", 1): miou((500, 0.5))}
    assert read.notes == (f"`{variant}` read as variant", f"`{epoch}` read as epoch")


def test_figures_of_training_are_not_taken_for_those_of_validation() -> None:
    with pytest.raises(ImportProblem, match="'train_miou', is not known") as caught:
        parse_csv(lines("variant,seed,epoch,mIoU,train_miou", "A,1,1,0.5,0.9").encode(), SPACE)
    assert caught.value.flags == ("--map", "train_miou=skip")
    read = parse_csv(lines("variant,seed,epoch,loss,val_loss,mIoU", "A,1,1,0.7,0.9,0.5").encode(), SPACE)
    assert curves_of(read) == {("A", 1): [{"epoch": 1, "train_loss": 0.7, "miou": 0.5}]}
    assert read.notes == ("`loss` read as train_loss", "left out: `val_loss`")


def test_several_files_are_one_experiment() -> None:
    def file(run: str, tag: str, value: str) -> tuple[str, bytes]:
        return f"run-{run}-tag-{tag}.csv", lines("Wall time,Step,Value", f"17.5,4,{value}").encode()

    files = [
        file("A-seed1", "val_mIoU", "0.4"),
        file("A-seed1", "val_road_iou", "0.9"),
        file("B-seed1", "val_mIoU", "0.5"),
    ]
    read = parse_files(files, Said(SPACE))
    assert curves_of(read) == {
        ("A", 1): [{"epoch": 4, "miou": 0.4, "iou/road": 0.9}],
        ("B", 1): [{"epoch": 4, "miou": 0.5, "iou/road": None}],
    }
    with pytest.raises(ImportProblem, match="stands in line 2 already"):
        parse_files([files[0], files[0]], Said(SPACE))
    with pytest.raises(ImportProblem, match=r"^b\.csv: the file is empty$"):
        parse_files([files[0], ("b.csv", b"")], Said(SPACE))


def test_the_name_of_one_runs_log_may_tell_variant_and_seed() -> None:
    read = parse_csv(LIGHTNING.encode(), SPACE, name="logs/unet_seed7.csv")
    assert list(curves_of(read)) == [("unet", 7)]
    assert "variant unet and seed 7 read from the file's name" in read.notes


def test_an_s_and_a_number_are_no_seed() -> None:
    with pytest.raises(ImportProblem, match="lacks the column seed"):
        parse_csv(WANDB.replace("A-seed1", "deeplab-s16").encode(), SPACE)


def test_event_files_are_read(tmp_path: Path) -> None:
    writers = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    summary_pb2 = pytest.importorskip("tensorboard.compat.proto.summary_pb2")
    writer = writers.EventFileWriter(str(tmp_path))
    for step, value in ((1, 0.5), (2, 0.75)):
        summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="val/mIoU", simple_value=value)])
        writer.add_event(event_pb2.Event(step=step, summary=summary))
    bomb = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="val/mIoU")])
    bomb.value[0].metadata.plugin_data.plugin_name = "scalars"
    bomb.value[0].tensor.dtype = 1
    bomb.value[0].tensor.float_val.append(0.5)
    bomb.value[0].tensor.tensor_shape.dim.add().size = 2**40
    writer.add_event(event_pb2.Event(step=3, summary=bomb))
    writer.close()
    (file,) = tmp_path.iterdir()
    read = parse_csv(file.read_bytes(), SPACE, name=file.name, **MINE)
    assert curves_of(read) == {("mine", 3): miou((1, 0.5), (2, 0.75))}
    for spoilt in (b"", b"x" * 50, file.read_bytes()[:20]):
        with pytest.raises(ImportProblem):
            parse_csv(spoilt, SPACE, name=file.name, **MINE)


@pytest.mark.parametrize(
    "name", ["tensorboard", "mlflow", "mlflow page", "wandb history", "lightning", "mmsegmentation", "hugging face"]
)
def test_the_command_that_a_refusal_prints_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my file").write_text(CASES[name][0])
    assert main(["my file", "--experiment", "mine", "--results", "r"]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    words = shlex.split(told.partition(": ")[2])
    assert words[:3] == ["python", "-m", "trainers.import_results"]
    assert not Path("r").exists()
    assert main([*words[3:], "--results", "r"]) == 0
    assert len(find_runs([Path("r")])) == 1


def test_a_column_that_may_be_the_epoch_is_suggested() -> None:
    with pytest.raises(ImportProblem) as caught:
        parse_csv(lines("variant,seed,time step,mIoU", "A,1,10,0.5").encode(), SPACE)
    assert caught.value.flags == ("--map", "time step=epoch")


@pytest.mark.parametrize(
    ("text", "said", "says"),
    [
        (UNEVEN, {"variant": "x"}, "leave --variant out"),
        (UNEVEN, {"seed": 1}, "leave --seed out"),
        (UNEVEN, {"mapping": {"nothing": "mIoU"}}, "the file has no column 'nothing'"),
        (UNEVEN, {"mapping": {"mIoU": "beauty"}}, "'beauty' is no meaning"),
        (
            TENSORBOARD,
            {"variant": "=x", "seed": 1, "mapping": {"Value": "mIoU"}},
            "starts like a spreadsheet's formula",
        ),
        (TENSORBOARD, {"variant": "x", "seed": -1, "mapping": {"Value": "mIoU"}}, "expected a seed from 0"),
        (MLFLOW + "abc,val_miou,0.6,2,19\n", {"seed": 1}, "line 4: variant 'abc', seed 1, epoch 2 stands in line 3"),
        (UNEVEN, {"epoch": 1}, "leave --epoch out"),
        ("Run ID,Status,Start Time,val_miou\nab,FINISHED,2026\n", {"seed": 1, "epoch": 1}, "line 2: expected 4 cells"),
        ("run_id,key,value\nab,val_miou,0.5\n", {"seed": 1}, "--map COLUMN=epoch, or of which one all figures are"),
        ("run_id,key,value\nab,val_miou,0.5\n", {"seed": 1, "epoch": -1}, "expected an epoch from 0"),
        (MLFLOW.replace("0.52", "much"), {"seed": 1}, "line 3: column val_miou: expected a number"),
        (WANDB.replace("B-seed1", "B"), {}, "the run 'B' does not tell its seed"),
        (lines("variant,seed,epoch,mIoU", "A,1,0,30", "A,1,1,0.41", "A,1,2,45"), {}, "line 3: mixed units"),
        (lines("variant,seed,epoch,mIoU,sky,road", "A,1,1,71,0.9,0.95"), {}, "mixed units"),
        (lines("variant,seed,epoch,val_miou,test_miou", "A,1,1,71,70"), {}, "are the same; leave one of them out"),
        ("{" * 100_000, MINE, "line 1: the text is not JSON"),
        ('{"log_history": [1]}', MINE, "log_history as a list of objects"),
        ('{"log_history": [{"epoch": "x", "step": "9z", "eval_mean_iou": "0.5"}]}', MINE, "the header has no metric"),
        ('{"step": 1, "mIoU": 0.5}\n[1]\n', MINE, "line 2: expected a JSON object a line"),
        ('{"step": 1, "mIoU": 0.5}\n{"step"\n', MINE, "line 2: the text is not JSON"),
        ('{"step": 1, "mIoU": Infinity}\n', MINE, "line 1: column mIoU: expected a number"),
        ('{"step": 1.5, "mIoU": 0.5}\n', MINE, "line 1: expected epoch as a whole number"),
    ],
)
def test_what_cannot_be_is_told(text: str, said: dict[str, Any], says: str) -> None:
    with pytest.raises(ImportProblem) as caught:
        parse_csv(text.encode(), SPACE, **said)
    assert any(says in one for one in caught.value.problems), caught.value.problems


def test_exports_have_the_caps_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined, "MAX_ROWS", 1)
    with pytest.raises(ImportProblem, match="line 3: more than 1 rows"):
        parse_csv(MLFLOW.encode(), SPACE, seed=1)
    monkeypatch.setattr(joined, "MAX_ROWS", 100)
    monkeypatch.setattr(joined, "MAX_COLUMNS", 2)
    with pytest.raises(ImportProblem, match="more than 2 columns"):
        parse_csv(MMSEG.encode(), SPACE, **MINE)
    with pytest.raises(ImportProblem, match="larger than 16 MiB"):
        parse_csv(b"{" * (grid.MAX_BYTES + 1), SPACE)


def test_what_is_exported_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    header = "variant,seed,epoch,mIoU,iou/road,iou/sky,train_loss,lr,seconds"
    rows = [
        ",".join([variant, str(seed), str(epoch), *(repr(float(value)) for value in draw.random(6))])
        for variant, seed, last in (("a", 1, 4), ("a", 2, 3), ("b", 1, 5))
        for epoch in range(last)
    ]
    write_import(parse_csv(lines(header, *rows).encode(), SPACE), "first", tmp_path)
    curves(find_runs([tmp_path / "first"])).to_csv(tmp_path / "curves.csv", index=False)
    again = parse_csv((tmp_path / "curves.csv").read_bytes(), SPACE)
    assert curves_of(again) == curves_of(parse_csv(lines(header, *rows).encode(), SPACE))
    assert "left out: `experiment`, `provenance`" in again.notes
    page = parse_csv(csv_bytes(RunStore(tmp_path).curves("first")), SPACE)
    assert page.notes[0] == "a long table: one column a metric and class"
    assert {run: [sorted(line.items()) for line in own] for run, own in curves_of(page).items()} == {
        run: [sorted((key, line[key]) for key in ("epoch", *page.metrics)) for line in own]
        for run, own in curves_of(again).items()
    }
    assert {"miou", "iou/road", "iou/sky"} <= set(page.metrics)


def test_no_spoilt_export_ends_in_anything_but_a_table_or_sentences() -> None:
    draw = random.Random(0)
    odd = [
        b"\0",
        b'"',
        b"\r",
        b"\n",
        b",",
        b"nan",
        b"1e999",
        b"\xff",
        b"",
        b"%",
        b"{",
        b"}",
        b"[",
        b" - ",
        b"null",
        b"9" * 30,
    ]
    for text, said, _, _ in CASES.values():
        for _ in range(100):
            data = bytearray(text.encode())
            for _ in range(draw.randrange(1, 4)):
                at = draw.randrange(len(data))
                data[at : at + draw.randrange(4)] = draw.choice(odd)
            with suppress(ImportProblem):
                parse_csv(bytes(data), SPACE, **said)
